// What is tried again: a VirtualService's retries, else the mesh's, else Istio's
// (docs/translation.md 4.8).
#include <charconv>
#include <string_view>

#include "control/translate/route_parts.h"
#include "control/translate/wire.h"
#include "envoy/config/route/v3/route_components.pb.h"
#include "envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.pb.h"
#include "envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config.pb.h"

namespace graymesh::translate {
namespace {

using envoy_route::RetryPolicy;

// Istio's choice: failures after which no server has seen the request, or which it called harmless.
// Without status codes, retriable-status-codes does nothing.
constexpr std::string_view default_retry_on =
    "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
constexpr std::string_view by_status = "retriable-status-codes";
constexpr std::uint32_t default_attempts = 2;
constexpr std::int64_t other_host_attempts_max =
    5;  // picks of the balancer until one is a new endpoint

void avoid_previous_hosts(RetryPolicy& out) {
  auto& predicate = *out.add_retry_host_predicate();
  predicate.set_name("envoy.retry_host_predicates.previous_hosts");
  pack(envoy::extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate(),
       *predicate.mutable_typed_config());
  out.set_host_selection_retry_max_attempts(other_host_attempts_max);
}

// Of the priorities that failed, after every so many attempts.
void avoid_previous_priorities(std::int32_t attempts, RetryPolicy& out) {
  auto& priority = *out.mutable_retry_priority();
  priority.set_name("envoy.retry_priorities.previous_priorities");
  envoy::extensions::retry::priority::previous_priorities::v3::PreviousPrioritiesConfig config;
  config.set_update_frequency(attempts);
  pack(config, *priority.mutable_typed_config());
}

// "5xx, 503" is the condition "5xx,retriable-status-codes" and the code 503.
void set_conditions(std::string_view list, RetryPolicy& out) {
  std::string words;
  bool has_by_status = false;
  const auto add_word = [&](std::string_view word) {
    if (!words.empty()) words += ',';
    words += word;
  };
  while (!list.empty()) {
    std::string_view word = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), word.size() + 1));
    while (word.starts_with(' ')) word.remove_prefix(1);
    while (word.ends_with(' ')) word.remove_suffix(1);
    if (word.empty()) continue;
    std::uint32_t code = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), code);
    if (error == std::errc() && end == word.data() + word.size()) {
      out.add_retriable_status_codes(code);
    } else {
      has_by_status |= word == by_status;
      add_word(word);
    }
  }
  if (!out.retriable_status_codes().empty() && !has_by_status) add_word(by_status);
  out.set_retry_on(words);
}

void set_given(const model::Retries& retries, RetryPolicy& out) {
  out.mutable_num_retries()->set_value(static_cast<std::uint32_t>(retries.attempts));
  if (!retries.retry_on.empty()) set_conditions(retries.retry_on, out);
  if (retries.per_try_timeout)
    set_duration(*out.mutable_per_try_timeout(), *retries.per_try_timeout);
  if (retries.retry_remote_localities.value_or(false)) avoid_previous_priorities(2, out);
  if (retries.backoff && *retries.backoff > model::Duration::zero()) {
    set_duration(*out.mutable_retry_back_off()->mutable_base_interval(), *retries.backoff);
  }
}

}  // namespace

void set_retries(const RetryRules& rules, const model::MeshConfig& mesh,
                 envoy_route::RouteAction& out) {
  const model::Retries* retries = rules.given;
  if (!retries && mesh.default_http_retry_policy) retries = &*mesh.default_http_retry_policy;
  if (retries && retries->attempts <= 0) return;  // switched off
  auto& policy = *out.mutable_retry_policy();
  policy.set_retry_on(std::string(default_retry_on));
  policy.mutable_num_retries()->set_value(default_attempts);
  if (retries) set_given(*retries, policy);
  const auto elsewhere = retries ? retries->retry_ignore_previous_hosts : std::nullopt;
  if (elsewhere.value_or(!rules.bound)) avoid_previous_hosts(policy);
  // The very first retry, whatever was ejected by then.
  if (rules.falls_back) avoid_previous_priorities(1, policy);
}

}  // namespace graymesh::translate
