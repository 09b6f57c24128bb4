// The parts of a translation: each takes a scope and gives the resources of one type.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/resource/resource.h"
#include "control/translate/memo.h"
#include "control/translate/scope.h"

namespace graymesh::translate {

using Resources = std::vector<resource::ResourcePtr>;

// cluster.cc (docs/translation.md 2)
Resources outbound_clusters(const OutboundScope& scope, Memo& memo);
Resources inbound_clusters(const InboundScope& scope, Memo& memo);
Resources gateway_clusters(const GatewayScope& scope, Memo& memo);
// route.cc (4): one for every route configuration that the scope's listeners name, without its
// virtual hosts if they come one by one (4.12)
Resources outbound_routes(const OutboundScope& scope, Memo& memo);
Resources gateway_routes(const GatewayScope& scope, Memo& memo);
Resources outbound_hosts(const OutboundScope& scope, Memo& memo);
Resources gateway_hosts(const GatewayScope& scope, Memo& memo);
// listener.cc (5, 6)
Resources outbound_listeners(const OutboundScope& scope, Memo& memo);
Resources inbound_listeners(const InboundScope& scope, Memo& memo);
Resources gateway_listeners(const GatewayScope& scope, Memo& memo);

// "outbound|8080|feature-a|web.fe-pre.svc.cluster.local"
std::string outbound_cluster_name(std::uint32_t port, std::string_view subset,
                                  std::string_view host);
// "inbound|8080||"
std::string inbound_cluster_name(std::uint32_t port);

// Which route configurations a scope has, decided once here so that listener.cc and route.cc agree.
// (docs/translation.md 4.1, 5.3: one per HTTP port, `host:port` for sniffed ports on a VIP,
// "http_proxy" for MeshConfig's proxyHttpPort.)
struct RouteTable {
  std::string name;        // "8080", "web.fe-pre.svc.cluster.local:9999", "http_proxy"
  std::uint32_t port = 0;  // 0: every port (http_proxy)
  const snapshot::Egress* egress = nullptr;  // within scope.view
  const snapshot::Service* only =
      nullptr;  // a table of one service (sniffed port on a VIP); else null
};
std::vector<RouteTable> route_tables(const OutboundScope& scope);
// By which a listener asks for it: "8080", or "8080|vhds" if its virtual hosts come one by one. An
// Envoy would go from one to the other under one name by way of a table without hosts.
std::string wire_name(std::string_view table, bool vhds);

// Likewise for gateways: "http.8080", "https.8443.https.gateway.istio-system".
struct GatewayTable {
  std::string name;
  std::uint32_t port = 0;  // as the Gateway writes it
  struct Server {
    const snapshot::GatewayServers* gateway = nullptr;
    const model::GatewayServer* server = nullptr;
  };
  std::vector<Server> servers;  // whose hosts are merged into the table, in order of precedence
};
std::vector<GatewayTable> gateway_tables(const GatewayScope& scope);

}  // namespace graymesh::translate
