// What happens to a request that a route takes: a redirect, an answer of our own, or its
// destinations with timeout, retries, rewrite and mirrors (docs/translation.md 4.6).
#include <algorithm>
#include <limits>

#include "control/translate/parts.h"
#include "control/translate/route_parts.h"
#include "control/translate/wire.h"
#include "envoy/config/route/v3/route_components.pb.h"

namespace graymesh::translate {
namespace {

using envoy_route::RedirectAction;
using envoy_route::Route;
using envoy_route::RouteAction;

void answer(std::uint32_t status, Route& out) { out.mutable_direct_response()->set_status(status); }

bool set_redirect_code(std::uint32_t code, RedirectAction& out) {
  switch (code) {
    case 0:
    case 301:
      out.set_response_code(RedirectAction::MOVED_PERMANENTLY);
      return true;
    case 302:
      out.set_response_code(RedirectAction::FOUND);
      return true;
    case 303:
      out.set_response_code(RedirectAction::SEE_OTHER);
      return true;
    case 307:
      out.set_response_code(RedirectAction::TEMPORARY_REDIRECT);
      return true;
    case 308:
      out.set_response_code(RedirectAction::PERMANENT_REDIRECT);
      return true;
    default:
      return false;
  }
}

void set_redirect(const model::Redirect& redirect, const Place& place, Route& out) {
  auto& action = *out.mutable_redirect();
  if (!set_redirect_code(redirect.code, action)) {
    answer(redirect.code, out);  // Envoy redirects with no other code: the status alone
    return;
  }
  action.set_host_redirect(header_text(redirect.authority));
  if (!redirect.prefix_rewrite.empty()) {
    action.set_prefix_rewrite(header_text(redirect.prefix_rewrite));
  } else {
    action.set_path_redirect(header_text(redirect.uri));  // empty: the path stays
  }
  if (!redirect.scheme.empty()) action.set_scheme_redirect(redirect.scheme);
  std::uint32_t port = redirect.port;
  if (redirect.derive_port == model::Redirect::PortFrom::request_port) port = place.port;
  const std::string_view listener_scheme = place.tls ? "https" : "http";
  const std::string_view scheme = redirect.scheme.empty() ? listener_scheme : redirect.scheme;
  const bool is_default = (port == 80 && scheme == "http") || (port == 443 && scheme == "https");
  if (!is_default) action.set_port_redirect(port);  // 0: not set
}

void set_direct_response(const model::DirectResponse& response, Route& out) {
  answer(std::clamp(response.status, 200u, 599u), out);  // Envoy's limits
  if (!response.body) return;
  auto& body = *out.mutable_direct_response()->mutable_body();
  const bool readable = std::all_of(response.body->begin(), response.body->end(),
                                    [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (readable) {
    body.set_inline_string(*response.body);
  } else {
    body.set_inline_bytes(*response.body);  // a protobuf string holds UTF-8 only
  }
}

void set_rewrite(const model::Rewrite& rewrite, RouteAction& out) {
  if (rewrite.uri_regex) {
    auto& regex = *out.mutable_regex_rewrite();
    regex.mutable_pattern()->set_regex(rewrite.uri_regex->match);
    regex.set_substitution(header_text(rewrite.uri_regex->rewrite));
  } else {
    out.set_prefix_rewrite(header_text(rewrite.uri));
  }
  if (!rewrite.authority.empty()) out.set_host_rewrite_literal(header_text(rewrite.authority));
}

void add_mirror(const model::Mirror& mirror, const Place& place, RouteAction& out) {
  const double percent = mirror.percent.value_or(100);
  if (percent <= 0) return;
  auto& policy = *out.add_request_mirror_policies();
  policy.set_cluster(cluster_name(mirror.destination, place));
  set_percent(*policy.mutable_runtime_fraction()->mutable_default_value(), percent);
  policy.mutable_trace_sampled()->set_value(false);
  policy.set_disable_shadow_host_suffix_append(true);
}

// A single destination takes everything, whatever its weight; its headers come after the route's.
void set_single(const model::WeightedDestination& single, const Place& place, Route& out) {
  auto& action = *out.mutable_route();
  action.set_cluster(cluster_name(single.destination, place));
  add_headers(single.headers, out);
  if (!action.has_host_rewrite_literal()) {
    const std::string authority = authority_of(single.headers);
    if (!authority.empty()) action.set_host_rewrite_literal(authority);
  }
}

// Envoy adds weights up in 32 bits: beyond that they are made smaller, all alike.
std::uint32_t divisor_of(const std::vector<model::WeightedDestination>& route) {
  std::uint64_t sum = 0;
  for (const auto& weighted : route) sum += weighted.weight;
  return static_cast<std::uint32_t>(sum / std::numeric_limits<std::uint32_t>::max()) + 1;
}

void set_weighted(const std::vector<model::WeightedDestination>& route, const Place& place,
                  RouteAction& out) {
  const std::uint32_t divisor = divisor_of(route);
  for (const auto& weighted : route) {
    if (weighted.weight == 0) continue;
    auto& cluster = *out.mutable_weighted_clusters()->add_clusters();
    cluster.set_name(cluster_name(weighted.destination, place));
    cluster.mutable_weight()->set_value(weighted.weight / divisor);
    add_headers(weighted.headers, cluster);
    const std::string authority = authority_of(weighted.headers);
    if (!authority.empty()) cluster.set_host_rewrite_literal(authority);
  }
}

// True if requests are bound to endpoints and there is but one destination.
bool add_hash_policies(const std::vector<model::WeightedDestination>& route, const Place& place,
                       RouteAction& out) {
  bool any = false;
  for (const auto& weighted : route) {
    const Target target = target_of(weighted.destination, place);
    if (!target.hash) continue;
    add_hash_policy(*target.hash, out);
    any = true;
  }
  return any && route.size() == 1;
}

void set_route(const model::HttpRoute& http, const Place& place, Route& out) {
  const auto has_weight = [](const model::WeightedDestination& d) { return d.weight > 0; };
  if (http.route.size() > 1 && std::none_of(http.route.begin(), http.route.end(), has_weight)) {
    answer(503, out);  // Envoy refuses a table with weights that add up to nothing
    return;
  }
  auto& action = *out.mutable_route();
  const model::Duration timeout = http.timeout.value_or(model::Duration::zero());
  set_duration(*action.mutable_timeout(), timeout);
  // A gRPC client may ask for any time; but with max_stream_duration Envoy forgets `timeout`, so
  // where there is one the client's shorter one is the client's to keep.
  if (timeout == model::Duration::zero()) {
    set_duration(*action.mutable_max_stream_duration()->mutable_grpc_timeout_header_max(), timeout);
  }
  if (http.rewrite) set_rewrite(*http.rewrite, action);
  if (!action.has_host_rewrite_literal()) {
    const std::string authority = authority_of(http.headers);
    if (!authority.empty()) action.set_host_rewrite_literal(authority);
  }
  if (http.route.size() == 1) {
    set_single(http.route.front(), place, out);
  } else {
    set_weighted(http.route, place, action);
  }
  if (http.sticky && action.weighted_clusters().clusters_size() > 1) {
    add_hash_policy(*http.sticky, action);
    action.mutable_weighted_clusters()->mutable_use_hash_policy()->set_value(true);
  }
  const bool bound = add_hash_policies(http.route, place, action);
  const bool falls_back = std::any_of(
      http.route.begin(), http.route.end(),
      [&](const auto& weighted) { return target_of(weighted.destination, place).falls_back; });
  set_retries(
      {.given = http.retries ? &*http.retries : nullptr, .bound = bound, .falls_back = falls_back},
      *place.mesh, action);
  for (const auto& mirror : http.mirrors) add_mirror(mirror, place, action);
}

}  // namespace

void set_action(const model::HttpRoute& http, const Place& place, Route& out) {
  if (http.redirect) {
    set_redirect(*http.redirect, place, out);
  } else if (http.direct_response) {
    set_direct_response(*http.direct_response, out);
  } else {
    set_route(http, place, out);
  }
}

}  // namespace graymesh::translate
