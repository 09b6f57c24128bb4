// Inside the room: what the route*.cc files share. A VirtualService becomes Envoy routes in passes:
// which of its matches apply here, what they match, where they lead, and what happens on the way.
// docs/translation.md 4 has the rules. Declares protobuf's types only, so including it costs
// nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "control/snapshot/snapshot.h"
#include "control/translate/memo.h"

namespace envoy::config::route::v3 {
class Route;
class RouteAction;
class RouteMatch;
class VirtualHost;
class WeightedCluster_ClusterWeight;
}  // namespace envoy::config::route::v3

namespace graymesh::translate {

namespace envoy_route = envoy::config::route::v3;

// Services by host, as one proxy sees them. The names that ExternalName Services give to a service
// lead to it. Points into `services`.
class Lookup {
 public:
  explicit Lookup(std::span<const snapshot::SeenService> services);

  const snapshot::SeenService* find(std::string_view host) const;  // null if unknown

 private:
  std::unordered_map<std::string_view, const snapshot::SeenService*> by_host_;
};

// From where a VirtualService is looked at.
struct Place {
  std::shared_ptr<const model::MeshConfig> mesh;
  const Lookup& services;
  std::string_view gateway = "mesh";  // or "namespace/name" of the Gateway that is asked
  std::string_view namespace_;        // of the proxy
  const model::Labels& labels;        // of the proxy
  std::uint32_t port = 0;             // of the listener: `match.port`, and destinations without one
  bool tls = false;                   // the listener terminates TLS: the scheme is https
};

// route_match.cc
// False for a match that is about another gateway, port or client.
bool applies(const model::HttpMatch& match, const Place& place);
void set_match(const model::HttpMatch& match, envoy_route::RouteMatch& out);
// True if every request matches, so that later routes are never reached.
bool catches_all(const envoy_route::RouteMatch& match);

// route_destination.cc
struct Target {
  std::string host;  // of the cluster: an alias is replaced by what it stands for
  std::uint32_t port = 0;
  const model::ConsistentHash* hash = nullptr;  // what the destination's requests are spread by
  const snapshot::DestinationRulePtr* rule = nullptr;  // which says so; null without `hash`
  bool falls_back = false;  // endpoints of another subset stand behind its own
};
Target target_of(const model::Destination& destination, const Place& place);
std::string cluster_name(const model::Destination& destination, const Place& place);
void add_hash_policy(const model::ConsistentHash& hash, envoy_route::RouteAction& out);
// In route_sticky.cc.
void add_hash_policy(const model::Sticky& sticky, envoy_route::RouteAction& out);

// route_sticky.cc
// True if users who come without the cookie that keeps them are to be given one.
bool gives_cookie(const model::HttpRoute& http, const envoy_route::Route& route);
// The half of `route` for users who have it; `route` is then for the others, who are given it.
envoy_route::Route split_cookie(const model::HttpCookie& cookie, envoy_route::Route& route);
// True if the route, or the two that it is a half of, takes every request.
bool comes_last(const envoy_route::Route& route);

// route_action.cc
// Redirect, direct response, or the destinations with all that goes with them.
void set_action(const model::HttpRoute& http, const Place& place, envoy_route::Route& out);

// route_headers.cc
void add_headers(const model::Headers& headers, envoy_route::Route& out);
void add_headers(const model::Headers& headers, envoy_route::WeightedCluster_ClusterWeight& out);
// Without the bytes that no header can hold: NUL, CR and LF.
std::string header_text(std::string_view text);
// What `headers` makes of the Host header; empty: nothing.
std::string authority_of(const model::Headers& headers);

// route_retry.cc
struct RetryRules {
  const model::Retries* given = nullptr;  // null: the mesh's policy, or Istio's
  bool bound = false;                     // to an endpoint: a retry may go to the same one again
  bool falls_back = false;                // a retry goes to where another subset stands in
};
void set_retries(const RetryRules& rules, const model::MeshConfig& mesh,
                 envoy_route::RouteAction& out);

// route_filters.cc
void set_fault(const model::Fault& fault, envoy_route::Route& out);
void set_cors(const model::CorsPolicy& cors, envoy_route::Route& out);

// route_http.cc
// True if add_routes would add any.
bool has_routes(const snapshot::VirtualService& rule, const Place& place);
void add_routes(const snapshot::VirtualService& rule, const Place& place,
                envoy_route::VirtualHost& out);
// The route of a service that no VirtualService speaks of. `place.port` is one of the service's.
void add_default_route(const snapshot::SeenService& seen, const Place& place,
                       envoy_route::VirtualHost& out);
// All that the above look at.
void add_inputs(const snapshot::VirtualServicePtr& rule, const Place& place, MemoKey& key);
void add_inputs(const snapshot::SeenService& seen, const Place& place, MemoKey& key);

}  // namespace graymesh::translate
