// The HTTP routes of a VirtualService, in the order in which they are tried
// (docs/translation.md 4.5): each `http` gives a route for each of its matches that applies, until
// one takes every request.
#include "control/translate/parts.h"
#include "control/translate/route_parts.h"
#include "control/translate/site.h"
#include "control/translate/wire.h"
#include "envoy/config/route/v3/route_components.pb.h"

namespace graymesh::translate {
namespace {

using envoy_route::Route;
using envoy_route::RouteMatch;

// False for what is left of an `http` whose delegate is not there.
bool leads_somewhere(const model::HttpRoute& http) {
  return http.redirect || http.direct_response || !http.route.empty();
}

std::string path_of(const RouteMatch& match) {
  if (!match.path().empty()) return match.path();
  if (match.has_safe_regex()) return match.safe_regex().regex();
  return match.prefix() + "*";
}

// The name of the operation in traces: "web.shop.svc.cluster.local:8080/cart*".
std::string operation(const model::HttpRoute& http, const snapshot::VirtualService& rule,
                      const Place& place, const Route& route) {
  if (route.has_route() && http.route.size() == 1) {
    const Target target = target_of(http.route.front().destination, place);
    return target.host + ":" + std::to_string(target.port) + path_of(route.match());
  }
  return rule.origin.name + ":" + std::to_string(place.port) + path_of(route.match());
}

Route make_route(const model::HttpRoute& http, const model::HttpMatch* match,
                 const snapshot::VirtualService& rule, const Place& place) {
  Route out;
  out.set_name(match && !match->name.empty() ? http.name + "." + match->name : http.name);
  if (match) {
    set_match(*match, *out.mutable_match());
    out.set_stat_prefix(match->stat_prefix);
  } else {
    out.mutable_match()->set_prefix("/");
  }
  set_config_metadata(*out.mutable_metadata(), rule.origin);
  add_headers(http.headers, out);
  set_action(http, place, out);
  if (http.fault) set_fault(*http.fault, out);
  if (http.cors) set_cors(*http.cors, out);
  wake_site_filter(http.headers, out);
  out.mutable_decorator()->set_operation(operation(http, rule, place, out));
  return out;
}

// Adds the route of one match; true if nothing behind it is ever asked.
bool add_route(const model::HttpRoute& http, const model::HttpMatch* match,
               const snapshot::VirtualService& rule, const Place& place,
               envoy_route::VirtualHost& out) {
  Route route = make_route(http, match, rule, place);
  if (gives_cookie(http, route)) *out.add_routes() = split_cookie(*http.sticky->cookie, route);
  const bool last = catches_all(route.match());
  *out.add_routes() = std::move(route);
  return last;
}

bool looks_at_the_client(const snapshot::VirtualService& rule) {
  for (const auto& http : rule.spec.http) {
    for (const auto& match : http.match) {
      if (!match.source_labels.empty() || !match.source_namespace.empty()) return true;
    }
  }
  return false;
}

void add_target(const model::Destination& destination, const Place& place, MemoKey& key) {
  const Target target = target_of(destination, place);
  key.add(target.port).add(std::uint64_t{target.falls_back});
  if (target.host != destination.host) key.add(target.host);
  if (target.rule) key.add(*target.rule);
}

void add_place(const Place& place, MemoKey& key) {
  key.add(place.port).add(std::uint64_t{place.tls}).add(place.gateway).add(place.mesh);
}

}  // namespace

bool has_routes(const snapshot::VirtualService& rule, const Place& place) {
  for (const auto& http : rule.spec.http) {
    if (!leads_somewhere(http)) continue;
    if (http.match.empty()) return true;
    for (const auto& match : http.match) {
      if (applies(match, place)) return true;
    }
  }
  return false;
}

void add_routes(const snapshot::VirtualService& rule, const Place& place,
                envoy_route::VirtualHost& out) {
  for (const auto& http : rule.spec.http) {
    if (!leads_somewhere(http)) continue;
    if (http.match.empty()) {
      add_route(http, nullptr, rule, place, out);
      return;
    }
    for (const auto& match : http.match) {
      if (!applies(match, place)) continue;
      if (add_route(http, &match, rule, place, out)) return;
    }
  }
}

void add_default_route(const snapshot::SeenService& seen, const Place& place,
                       envoy_route::VirtualHost& out) {
  const model::Destination destination{
      .host = seen.service->host, .subset = {}, .port = place.port};
  auto& route = *out.add_routes();
  route.set_name("default");
  route.mutable_match()->set_prefix("/");
  auto& action = *route.mutable_route();
  action.set_cluster(cluster_name(destination, place));
  set_duration(*action.mutable_timeout(), model::Duration::zero());
  set_duration(*action.mutable_max_stream_duration()->mutable_grpc_timeout_header_max(),
               model::Duration::zero());
  const Target target = target_of(destination, place);
  if (target.hash) add_hash_policy(*target.hash, action);
  set_retries({}, *place.mesh, action);
  route.mutable_decorator()->set_operation(seen.service->host + ":" + std::to_string(place.port) +
                                           "/*");
}

void add_inputs(const snapshot::VirtualServicePtr& rule, const Place& place, MemoKey& key) {
  key.add(rule);
  add_place(place, key);
  for (const auto& http : rule->spec.http) {
    for (const auto& weighted : http.route) add_target(weighted.destination, place, key);
    for (const auto& mirror : http.mirrors) add_target(mirror.destination, place, key);
  }
  if (!looks_at_the_client(*rule)) return;
  key.add(place.namespace_);
  for (const auto& [name, value] : place.labels) key.add(name).add(value);
}

void add_inputs(const snapshot::SeenService& seen, const Place& place, MemoKey& key) {
  key.add(seen.service->host);
  add_place(place, key);
  add_target({.host = seen.service->host, .subset = {}, .port = place.port}, place, key);
}

}  // namespace graymesh::translate
