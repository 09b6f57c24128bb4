#include <fmt/core.h>

#include <array>
#include <ctime>

#include "api/pages.h"
#include "base/json.h"

namespace graymesh::api {
namespace {

using nlohmann::json;
using State = xds::TypeStatus::State;

std::string_view name_of(resource::Node::Kind kind) {
  switch (kind) {
    case resource::Node::Kind::sidecar:
      return "sidecar";
    case resource::Node::Kind::router:
      return "router";
    case resource::Node::Kind::other:
      return "other";
  }
  return {};
}

// istioctl's words for the first four.
std::string_view name_of(State state) {
  switch (state) {
    case State::not_subscribed:
      return "NOT SUBSCRIBED";
    case State::never_sent:
      return "NOT SENT";
    case State::stale:
      return "STALE";
    case State::synced:
      return "SYNCED";
    case State::refused:
      return "REFUSED";
  }
  return {};
}

json type_of(const xds::TypeStatus& type) {
  return {{"type", resource::short_name(type.type)},
          {"state", name_of(type.state)},
          {"since", to_text(type.since)},
          {"resources", type.resources},
          {"sent", type.sent},
          {"acked", type.acked},
          {"nacked", type.nacked},
          {"bytes", type.bytes},
          {"chunk", type.chunk},
          {"applyMicros", static_cast<double>(type.apply_each.count()) / 1000}};
}

json refusal_of(const xds::Refusal& refusal) {
  return {{"type", resource::short_name(refusal.type)},
          {"resource", refusal.resource},
          {"version", refusal.version},
          {"error", refusal.error},
          {"origins", refusal.origins},
          {"at", to_text(refusal.at)}};
}

std::string_view name_of(xds::Waits waits) {
  switch (waits) {
    case xds::Waits::nothing:
      return "";
    case xds::Waits::admission:
      return "admission";
    case xds::Waits::turn:
      return "turn";
  }
  return {};
}

json dropped_of(const std::vector<xds::Dropped>& dropped) {
  json all = json::array();
  for (const auto& one : dropped) {
    all.push_back({{"id", one.node_id},
                   {"peer", one.peer},
                   {"at", to_text(one.at)},
                   {"reason", one.reason},
                   {"text", one.text}});
  }
  return all;
}

std::string short_id(const resource::Node& node) {
  return node.name.empty() ? node.id : fmt::format("{}.{}", node.name, node.namespace_);
}

}  // namespace

std::string to_text(Clock::Wall time) {
  if (time == Clock::Wall{}) return {};
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch());
  const std::time_t seconds = static_cast<std::time_t>(since.count() / 1000);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  return fmt::format("{}.{:03}Z", text.data(), since.count() % 1000);
}

json proxies_page(const std::vector<xds::ProxyStatus>& status,
                  const std::vector<xds::Dropped>& dropped) {
  json items = json::array();
  for (const auto& proxy : status) {
    json types = json::array();
    for (const auto& type : proxy.types) types.push_back(type_of(type));
    json refusals = json::array();
    for (const auto& refusal : proxy.refusals) refusals.push_back(refusal_of(refusal));
    items.push_back({{"id", proxy.node.id},
                     {"name", proxy.node.name},
                     {"namespace", proxy.node.namespace_},
                     {"kind", name_of(proxy.node.kind)},
                     {"address", proxy.node.address},
                     {"labels", proxy.node.labels},
                     {"userAgent", proxy.node.user_agent},
                     {"peer", proxy.peer},
                     {"protocol", proxy.delta ? "delta" : "sotw"},
                     {"connected", to_text(proxy.connected)},
                     {"snapshot", proxy.snapshot},
                     {"waits", name_of(proxy.waits)},
                     {"types", std::move(types)},
                     {"refusals", std::move(refusals)}});
  }
  return {{"items", std::move(items)}, {"dropped", dropped_of(dropped)}};
}

Result<std::string> proxy_named(const std::vector<xds::ProxyStatus>& status,
                                std::string_view wanted) {
  std::string found;
  for (const auto& proxy : status) {
    if (proxy.node.id != wanted && short_id(proxy.node) != wanted) continue;
    if (!found.empty() && found != proxy.node.id) {
      return Error{Code::failed_precondition,
                   fmt::format("{} means several proxies, must be a node id", wanted)};
    }
    found = proxy.node.id;
  }
  if (found.empty()) {
    return Error{Code::not_found,
                 fmt::format("proxy {} is not connected ({} are)", wanted, status.size())};
  }
  return found;
}

json syncz_page(const std::vector<xds::ProxyStatus>& status) {
  // istiod's list of clients; each type's word, as istioctl proxy-status shows it.
  json out = json::array();
  for (const auto& proxy : status) {
    json one = {{"cluster_id", proxy.node.cluster_id},
                {"proxy", short_id(proxy.node)},
                {"proxy_type", name_of(proxy.node.kind)},
                {"istio_version", proxy.node.user_agent}};
    for (const auto& type : proxy.types) {
      static constexpr std::array<const char*, resource::type_count> words = {
          "cluster", "endpoint", "listener", "route", "virtual_host"};
      const std::string word = words[static_cast<std::size_t>(type.type)];
      one[word + "_status"] = name_of(type.state);
      one[word + "_sent"] = type.sent;
      one[word + "_acked"] = type.acked;
    }
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace graymesh::api
