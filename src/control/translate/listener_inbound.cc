// Listeners towards the application beside the proxy (docs/translation.md 5.6, 5.7): one for all
// redirected connections (virtualInbound), or one for each port of an instance that is not
// captured.
#include "control/translate/inbound.h"
#include "control/translate/listener.h"
#include "control/translate/parts.h"
#include "control/translate/wire.h"
#include "envoy/config/accesslog/v3/accesslog.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/config/route/v3/route.pb.h"
#include "envoy/extensions/filters/listener/original_dst/v3/original_dst.pb.h"

namespace graymesh::translate {
namespace {

using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;
using envoy::config::route::v3::RouteConfiguration;
using snapshot::Protocol;

// One route, to the application. It needs no RDS: it changes with the listener only.
RouteConfiguration routes_to(const std::string& cluster, std::uint32_t service_port,
                             const std::string& operation, bool retries) {
  RouteConfiguration out;
  out.set_name(cluster);
  out.mutable_validate_clusters()->set_value(false);
  auto& host = *out.add_virtual_hosts();
  host.set_name("inbound|http|" + std::to_string(service_port));
  host.add_domains("*");
  auto& route = *host.add_routes();
  route.set_name("default");
  route.mutable_match()->set_prefix("/");
  route.mutable_decorator()->set_operation(operation);
  auto& action = *route.mutable_route();
  action.set_cluster(cluster);
  action.mutable_timeout();
  action.mutable_max_stream_duration()->mutable_max_stream_duration();
  action.mutable_max_stream_duration()->mutable_grpc_timeout_header_max();
  if (retries) {
    // The application closed an idle connection just when we used it: nothing has been done yet.
    action.mutable_retry_policy()->set_retry_on("reset-before-request");
    action.mutable_retry_policy()->mutable_num_retries()->set_value(2);
  }
  return out;
}

bool speaks_grpc(Protocol protocol) {
  return protocol == Protocol::grpc || protocol == Protocol::grpc_web;
}

void set_http_chain(const InboundScope& scope, const InboundPort& inbound, const std::string& bind,
                    FilterChain& out) {
  const auto routes = routes_to(inbound_cluster_name(inbound.port), inbound.service_port,
                                inbound.host + ":" + std::to_string(inbound.service_port) + "/*",
                                !speaks_grpc(inbound.protocol));
  set_http(scope.snapshot->mesh(),
           {.side = Side::inbound,
            .stat_prefix = "inbound_" + bind + "_" + std::to_string(inbound.port) + ";",
            .table = {},
            .routes = &routes,
            .protocol = inbound.protocol,
            .manner = scope.manner,
            .host = inbound.services.empty() ? std::string() : inbound.host},
           *out.add_filters());
}

// The chains of one port. `chain` names and adds one; a sniffed port has two.
template <typename AddChain>
void add_chains(const InboundScope& scope, const InboundPort& inbound, const std::string& bind,
                AddChain add_chain) {
  const bool sniffed = inbound.protocol == Protocol::automatic;
  if (sniffed || snapshot::is_http(inbound.protocol))
    set_http_chain(scope, inbound, bind, add_chain(true, sniffed));
  if (!snapshot::is_http(inbound.protocol)) {
    set_tcp_to(scope.snapshot->mesh(), scope.manner, inbound_cluster_name(inbound.port),
               add_chain(false, sniffed));
  }
}

std::vector<std::string> origins_of(const InboundPort& inbound) {
  std::vector<std::string> origins;
  for (const auto& service : inbound.services) origins.push_back(model::to_string(service->origin));
  return origins;
}

// A listener of its own: nothing else arrives here, so HTTP and TCP need no match.
resource::ResourcePtr own_listener(const InboundScope& scope, const InboundPort& inbound) {
  const auto& mesh = scope.snapshot->mesh();
  Listener out;
  set_listener(inbound.bind + "_" + std::to_string(inbound.port), Direction::inbound, out);
  set_address(*out.mutable_address(), inbound.bind, inbound.port);
  out.mutable_max_connections_to_accept_per_socket_event()->set_value(1);
  if (inbound.protocol == Protocol::automatic) add_http_inspector(mesh, out);
  add_chains(scope, inbound, inbound.bind, [&](bool http, bool sniffed) -> FilterChain& {
    if (sniffed && !http) return *out.mutable_default_filter_chain();
    auto& chain = *out.add_filter_chains();
    if (sniffed) match_http(*chain.mutable_filter_chain_match());
    return chain;
  });
  if (logs_access(mesh)) set_listener_log(mesh, *out.add_access_log());
  return to_resource(out, origins_of(inbound));
}

// Connections to ports that no service names.
void add_passthrough_chains(const InboundScope& scope, Listener& out) {
  const auto& mesh = scope.snapshot->mesh();
  auto& loop = *out.add_filter_chains();
  loop.set_name("virtualInbound-blackhole");
  loop.mutable_filter_chain_match()->mutable_destination_port()->set_value(
      mesh.proxy_inbound_listen_port);
  set_tcp_to(mesh, scope.manner, "BlackHoleCluster", loop);

  auto& http = *out.add_filter_chains();
  http.set_name("virtualInbound-catchall-http");
  match_http(*http.mutable_filter_chain_match());
  const auto routes = routes_to("InboundPassthroughCluster", 0, ":0/*", true);
  set_http(mesh,
           {.side = Side::inbound,
            .stat_prefix = "InboundPassthroughCluster;",
            .table = {},
            .routes = &routes,
            .manner = scope.manner},
           *http.add_filters());

  auto& tcp = *out.add_filter_chains();
  tcp.set_name("virtualInbound");
  tcp.mutable_filter_chain_match()->set_transport_protocol("raw_buffer");
  set_tcp_to(mesh, scope.manner, "InboundPassthroughCluster", tcp);
}

// Keeps the client's address on the way to the application. OriginalSrc {mark = 2}, which we do not
// generate; 1337 is the mark that Istio's redirect lets pass.
void add_original_source(Listener& out) {
  auto& filter = *out.add_listener_filters();
  filter.set_name("envoy.filters.listener.original_src");
  auto& config = *filter.mutable_typed_config();
  config.set_type_url(
      "type.googleapis.com/envoy.extensions.filters.listener.original_src.v3.OriginalSrc");
  config.set_value("\x10\xb9\x0a");
}

// Ports known not to be sniffed must not wait for the client's first bytes.
void add_inspection(const model::MeshConfig& mesh, const std::vector<InboundPort>& ports,
                    bool transparent, Listener& out) {
  auto& original = *out.add_listener_filters();
  original.set_name("envoy.filters.listener.original_dst");
  pack(envoy::extensions::filters::listener::original_dst::v3::OriginalDst(),
       *original.mutable_typed_config());
  if (transparent) {
    out.mutable_transparent()->set_value(true);
    add_original_source(out);
  }
  add_http_inspector(mesh, out);
  std::vector<std::uint32_t> known;
  for (const auto& inbound : ports) {
    if (!inbound.listens && inbound.protocol != Protocol::automatic) known.push_back(inbound.port);
  }
  if (known.empty()) return;
  using envoy::config::listener::v3::ListenerFilterChainMatchPredicate;
  const auto set_port = [](std::uint32_t port, ListenerFilterChainMatchPredicate& predicate) {
    auto& range = *predicate.mutable_destination_port_range();
    range.set_start(static_cast<std::int32_t>(port));
    range.set_end(static_cast<std::int32_t>(port + 1));
  };
  auto& disabled = *out.mutable_listener_filters()->rbegin()->mutable_filter_disabled();
  if (known.size() == 1) return set_port(known.front(), disabled);
  for (const std::uint32_t port : known) set_port(port, *disabled.mutable_or_match()->add_rules());
}

resource::ResourcePtr virtual_inbound(const InboundScope& scope,
                                      const std::vector<InboundPort>& ports) {
  const auto& mesh = scope.snapshot->mesh();
  const std::string any = any_address(scope.family);
  Listener out;
  set_listener("virtualInbound", Direction::inbound, out);
  set_address(*out.mutable_address(), any, mesh.proxy_inbound_listen_port);
  out.mutable_max_connections_to_accept_per_socket_event()->set_value(1);
  add_inspection(mesh, ports, scope.transparent, out);
  add_passthrough_chains(scope, out);
  std::vector<std::string> origins;
  for (const auto& inbound : ports) {
    if (inbound.listens) continue;
    add_chains(scope, inbound, any, [&](bool http, bool sniffed) -> FilterChain& {
      auto& chain = *out.add_filter_chains();
      chain.set_name(any + "_" + std::to_string(inbound.port));
      auto& match = *chain.mutable_filter_chain_match();
      if (http && sniffed) match_http(match);
      match.set_transport_protocol("raw_buffer");
      match.mutable_destination_port()->set_value(inbound.port);
      return chain;
    });
    for (auto& origin : origins_of(inbound)) origins.push_back(std::move(origin));
  }
  if (logs_access(mesh)) set_listener_log(mesh, *out.add_access_log());
  return to_resource(out, std::move(origins));
}

void add_key(const InboundPort& inbound, MemoKey& key) {
  key.add(inbound.port)
      .add(static_cast<std::uint64_t>(inbound.protocol))
      .add(inbound.service_port)
      .add(inbound.host);
  key.add(std::uint64_t{inbound.listens}).add(inbound.bind);
  for (const auto& service : inbound.services) key.add(service);
}

}  // namespace

Resources inbound_listeners(const InboundScope& scope, Memo& memo) {
  const auto mesh = scope.snapshot->mesh_ptr();
  Resources out;
  if (mesh->proxy_listen_port == 0) return out;
  const auto ports = inbound_ports(scope);
  if (scope.captured) {
    MemoKey key("virtualInbound");
    key.add(mesh).add(std::uint64_t{scope.transparent}).add(text_of(scope.manner));
    key.add(any_address(scope.family));
    for (const auto& inbound : ports) add_key(inbound, key);
    out.push_back(memo.resource(std::move(key), [&] { return virtual_inbound(scope, ports); }));
  }
  for (const auto& inbound : ports) {
    if (!inbound.listens || inbound.port < scope.lowest_port) continue;
    MemoKey key("inbound listener");
    key.add(mesh).add(text_of(scope.manner));
    add_key(inbound, key);
    out.push_back(memo.resource(std::move(key), [&] { return own_listener(scope, inbound); }));
  }
  return out;
}

}  // namespace graymesh::translate
