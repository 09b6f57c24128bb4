// Listeners of a gateway: one for each address and port that its Gateways' servers name
// (docs/translation.md 6). Plain HTTP has one chain for all servers of the port; TLS has a chain
// for every server, chosen by the name that the client asks for.
#include <algorithm>
#include <map>

#include "control/translate/listener.h"
#include "control/translate/parts.h"
#include "control/translate/route_parts.h"
#include "control/translate/wire.h"
#include "envoy/config/accesslog/v3/accesslog.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"

namespace graymesh::translate {
namespace {

using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;
using model::GatewayServer;
using snapshot::GatewayServers;

// The proxy's own pages: admin, merged statistics, readiness, statistics.
constexpr std::uint32_t proxy_ports[] = {15000, 15020, 15021, 15090};

bool terminates_tls(const GatewayServer& server) {
  return server.tls && server.tls->mode != model::ServerTls::Mode::passthrough &&
         server.tls->mode != model::ServerTls::Mode::auto_passthrough;
}

// "shop/web.example.com" is "web.example.com" in the mouth of a client.
std::vector<std::string> plain_hosts(std::vector<std::string> hosts) {
  for (auto& host : hosts) {
    if (const auto slash = host.find('/'); slash != std::string::npos) host.erase(0, slash + 1);
  }
  return hosts;
}

bool applies(const model::L4Match& match, const Place& place) {
  if (match.port != 0 && match.port != place.port) return false;
  const auto& gateways = match.gateways;
  return gateways.empty() ||
         std::find(gateways.begin(), gateways.end(), place.gateway) != gateways.end();
}

class Builder {
 public:
  explicit Builder(const GatewayScope& scope)
      : scope_(scope), mesh_(scope.snapshot->mesh()), services_(scope.view->services) {
    for (auto& table : gateway_tables(scope)) {
      for (const auto& server : table.servers) tables_[server.server] = table.name;
    }
  }

  void add(const GatewayServers& gateway, const GatewayServer& server) {
    const std::uint32_t port = target_port(server.port);
    if (port < scope_.lowest_port) return;
    if (std::find(std::begin(proxy_ports), std::end(proxy_ports), port) != std::end(proxy_ports))
      return;
    const std::string& bind = server.bind.empty() ? scope_.bind : server.bind;
    Draft& draft = drafts_[{bind, port}];
    draft.name = bind + "_" + std::to_string(port);
    draft.bind = bind;
    draft.port = port;
    const auto protocol = snapshot::protocol_named(server.protocol);
    const std::size_t before = draft.chains.size();
    if (snapshot::is_http(protocol)) {
      add_http(server, protocol, draft);
    } else if (protocol == snapshot::Protocol::https && terminates_tls(server)) {
      add_https(server, draft);
    } else {
      add_l4(gateway, server, draft);
    }
    if (draft.chains.size() > before) draft.origins.push_back(model::to_string(gateway.origin));
  }

  Resources take() {
    Resources out;
    for (auto& [key, draft] : drafts_) {
      if (!draft.chains.empty()) out.push_back(write(draft));
    }
    return out;
  }

 private:
  struct Draft {
    std::string name, bind;
    std::uint32_t port = 0;
    std::vector<FilterChain> chains;
    Claims claims;           // of TLS chains
    bool plaintext = false;  // has a chain for connections without TLS
    bool tls = false;
    std::vector<std::string> origins;
  };

  // A Gateway's port 80 is 8080 in a pod whose Service says so.
  std::uint32_t target_port(std::uint32_t port) const {
    for (const auto& [from, to] : scope_.view->target_ports) {
      if (from == port) return to;
    }
    return port;
  }

  const std::string* table_of(const GatewayServer& server) const {
    const auto it = tables_.find(&server);
    return it == tables_.end() ? nullptr : &it->second;
  }

  void set_http_chain(const GatewayServer& server, const std::string& table,
                      snapshot::Protocol protocol, const Draft& draft, FilterChain& out) {
    const std::string prefix =
        server.name.empty() || !server.tls ? "outbound_" + draft.name + ";" : server.name;
    set_http(mesh_,
             {.side = Side::gateway,
              .stat_prefix = prefix,
              .table = wire_name(table, scope_.vhds),
              .protocol = protocol,
              .manner = scope_.manner},
             *out.add_filters());
  }

  void add_http(const GatewayServer& server, snapshot::Protocol protocol, Draft& draft) {
    const auto* table = table_of(server);
    if (!table || draft.plaintext) return;
    draft.plaintext = true;
    set_http_chain(server, *table, protocol, draft, draft.chains.emplace_back());
  }

  void add_https(const GatewayServer& server, Draft& draft) {
    const auto* table = table_of(server);
    if (!table) return;
    FilterChain chain;
    if (!set_server_tls(*server.tls, chain) || !claim(plain_hosts(server.hosts), draft, chain))
      return;
    set_http_chain(server, *table, snapshot::Protocol::https, draft, chain);
    draft.chains.push_back(std::move(chain));
  }

  // Matches TLS for these hosts, as far as no other chain does; false if none is left.
  static bool claim(const std::vector<std::string>& hosts, Draft& draft, FilterChain& out) {
    TcpChain match;
    const bool any = std::find(hosts.begin(), hosts.end(), "*") != hosts.end();
    if (!any) match.server_names = to_server_names(hosts);
    if ((!any && match.server_names.empty()) || !draft.claims.claim(match)) return false;
    draft.tls = true;
    set_chain_match(match, *out.mutable_filter_chain_match());
    out.mutable_filter_chain_match()->set_transport_protocol("tls");
    return true;
  }

  // TCP, TLS passed through, and TLS terminated in front of TCP.
  void add_l4(const GatewayServers& gateway, const GatewayServer& server, Draft& draft) {
    const std::string name = gateway.origin.namespace_ + "/" + gateway.origin.name;
    const Place place{.mesh = scope_.snapshot->mesh_ptr(),
                      .services = services_,
                      .gateway = name,
                      .namespace_ = scope_.view->namespace_,
                      .labels = scope_.labels,
                      .port = server.port};
    for (const auto& service : scope_.view->virtual_services) {
      const auto& gateways = service->spec.gateways;
      if (std::find(gateways.begin(), gateways.end(), name) == gateways.end()) continue;
      // As in Istio, which looks at the VirtualService's hosts, and then takes all of its sniHosts.
      if (snapshot::common_hosts(server, gateway, *service).empty()) continue;
      if (server.tls && !terminates_tls(server)) {
        add_passthrough(*service, place, draft);
      } else if (add_tcp(*service, place, server, draft)) {
        return;
      }
    }
  }

  void add_passthrough(const snapshot::VirtualService& service, const Place& place, Draft& draft) {
    for (const auto& route : service.spec.tls) {
      for (const auto& match : route.match) {
        if (!applies(match, place)) continue;
        FilterChain chain;
        if (!claim(match.sni_hosts, draft, chain)) continue;
        set_l4(service, route, place, chain);
        draft.chains.push_back(std::move(chain));
      }
    }
  }

  void set_l4(const snapshot::VirtualService& service, const model::L4Route& route,
              const Place& place, FilterChain& out) const {
    TcpHandling handling = l4_handling(service, route, place);
    handling.idle_timeout = scope_.manner.idle_timeout;
    set_tcp(mesh_, handling, *out.add_filters());
  }

  // The first tcp route that applies; true if there is one.
  bool add_tcp(const snapshot::VirtualService& service, const Place& place,
               const GatewayServer& server, Draft& draft) {
    for (const auto& route : service.spec.tcp) {
      const auto& matches = route.match;
      if (!matches.empty() &&
          std::none_of(matches.begin(), matches.end(),
                       [&](const model::L4Match& match) { return applies(match, place); })) {
        continue;
      }
      FilterChain chain;
      if (server.tls) {
        if (!set_server_tls(*server.tls, chain) || !claim(plain_hosts(server.hosts), draft, chain))
          return true;
      } else {
        if (draft.plaintext) return true;
        draft.plaintext = true;
      }
      set_l4(service, route, place, chain);
      draft.chains.push_back(std::move(chain));
      return true;
    }
    return false;
  }

  resource::ResourcePtr write(Draft& draft) const {
    Listener out;
    set_listener(draft.name, Direction::outbound, out);
    set_address(*out.mutable_address(), draft.bind, draft.port);
    out.mutable_max_connections_to_accept_per_socket_event()->set_value(1);
    if (draft.tls) add_tls_inspector(out);
    for (auto& chain : draft.chains) {
      set_duration(*chain.mutable_transport_socket_connect_timeout(), std::chrono::seconds(15));
      *out.add_filter_chains() = std::move(chain);
    }
    if (logs_access(mesh_)) set_listener_log(mesh_, *out.add_access_log());
    return to_resource(out, std::move(draft.origins));
  }

  const GatewayScope& scope_;
  const model::MeshConfig& mesh_;
  const Lookup services_;
  std::map<const GatewayServer*, std::string> tables_;
  std::map<std::pair<std::string, std::uint32_t>, Draft> drafts_;
};

}  // namespace

Resources gateway_listeners(const GatewayScope& scope, Memo& memo) {
  MemoKey key("gateway listeners");
  key.add(scope.snapshot->mesh_ptr()).add(scope.view).add(scope.bind).add(scope.lowest_port);
  key.add(text_of(scope.manner)).add(std::uint64_t{scope.vhds});
  return *memo.bundle(std::move(key), [&] {
    Builder builder(scope);
    for (const auto& gateway : scope.view->gateways) {
      for (const auto& server : gateway.spec->servers) builder.add(gateway, server);
    }
    return builder.take();
  });
}

}  // namespace graymesh::translate
