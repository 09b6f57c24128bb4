// Inside the room: what the listener*.cc files share. Listeners are first planned, as plain values
// in which conflicts are decided (who has which address and port), and then written down.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "control/translate/http_connection_manager.h"
#include "control/translate/memo.h"
#include "control/translate/scope.h"

namespace envoy::config::listener::v3 {
class FilterChain;
class FilterChainMatch;
class Listener;
}  // namespace envoy::config::listener::v3

namespace graymesh::translate {

struct Place;  // route_parts.h

// A filter chain that passes bytes on. Without names and ranges it takes whatever no other takes.
struct TcpChain {
  std::vector<std::string> server_names;   // sorted; SNI, exact or "*.example.com"
  std::vector<std::string> prefix_ranges;  // sorted; normal_range()s, "10.0.0.0/8"
  TcpHandling handling;

  bool takes_all() const { return server_names.empty() && prefix_ranges.empty(); }
};

// What chains of one listener match already. Envoy refuses a listener in which two match alike, and
// Istio lets the first have it.
class Claims {
 public:
  // Takes away from `chain` the names that are taken. False if nothing is left of it.
  bool claim(TcpChain& chain);

 private:
  std::set<std::pair<std::string, std::string>> taken_;  // (range, name); empty: any
};

struct ListenerPlan {
  std::string bind;  // an IP, or "unix:///path"
  std::uint32_t port = 0;
  bool bound = false;  // opens a socket; else fed by virtualOutbound
  std::string table;   // route configuration of the HTTP chain; empty: no HTTP here
  snapshot::Protocol protocol = snapshot::Protocol::http;
  bool explicit_proxy = false;
  std::vector<TcpChain> tcp;
  Claims claims;  // of `tcp`
  std::vector<std::string> origins;

  std::string name() const { return port == 0 ? bind : bind + "_" + std::to_string(port); }
};

// Outbound listeners of a scope, by (bind, port), no two alike: listener_outbound.cc.
std::vector<ListenerPlan> plan_outbound(const OutboundScope& scope);

// As TcpChain has them; without those that Envoy does not take.
std::vector<std::string> to_server_names(const std::vector<std::string>& hosts);
std::vector<std::string> to_ranges(const std::vector<std::string>& subnets);

// How the plain bytes of a service's port are passed on: by VirtualServices' tcp and tls routes, or
// else to the service. `any_address`: the listener takes connections of several services, so that
// TLS ones must be told apart by name. `place.port` is the port. `rules`: those with such routes,
// in order of precedence. listener_l4.cc.
std::vector<TcpChain> tcp_chains(const Place& place,
                                 std::span<const snapshot::VirtualServicePtr> rules,
                                 const snapshot::SeenService& seen, const snapshot::Port& port,
                                 bool any_address);
// Where a tcp or tls route leads.
TcpHandling l4_handling(const snapshot::VirtualService& owner, const model::L4Route& route,
                        const Place& place);

// Pieces of a listener, in listener_chain.cc.
enum class Direction : std::uint8_t { inbound, outbound };
void set_listener(std::string name, Direction direction,
                  envoy::config::listener::v3::Listener& out);
void set_chain_match(const TcpChain& chain, envoy::config::listener::v3::FilterChainMatch& out);
// Plain HTTP/1 and HTTP/2 as the http_inspector recognises them.
void match_http(envoy::config::listener::v3::FilterChainMatch& out);
void add_http_inspector(const model::MeshConfig& mesh, envoy::config::listener::v3::Listener& out);
void add_tls_inspector(envoy::config::listener::v3::Listener& out);
void set_tcp_to(const model::MeshConfig& mesh, const Manner& manner, const std::string& cluster,
                envoy::config::listener::v3::FilterChain& out);
resource::ResourcePtr to_resource(const envoy::config::listener::v3::Listener& listener,
                                  std::vector<std::string> origins = {});

// TLS that a gateway or an ingress listener terminates, in listener_tls.cc. False if its
// certificates are not to be had (a Secret): then there can be no chain.
bool set_server_tls(const model::ServerTls& tls, envoy::config::listener::v3::FilterChain& out);

}  // namespace graymesh::translate
