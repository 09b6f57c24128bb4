// Route configurations of gateways (docs/translation.md 6.3, 6.4): the servers of one table say
// which hosts may be asked for, the VirtualServices attached to their Gateways say where they lead.
//
//   Gateway hosts {*.example.com}  and  VirtualService hosts {shop.example.com, shop.other.com}
//   give the virtual host shop.example.com.
//
// Unlike in a sidecar, VirtualServices of one host are put together: routes of the first come
// first, and those that take every request go behind all others.
#include <algorithm>
#include <map>
#include <set>

#include "control/translate/parts.h"
#include "control/translate/route_config.h"
#include "control/translate/route_hosts.h"
#include "control/translate/route_parts.h"
#include "control/translate/wire.h"
#include "envoy/config/route/v3/route_components.pb.h"

namespace graymesh::translate {
namespace {

using model::GatewayServer;
using snapshot::GatewayServers;
using snapshot::VirtualServicePtr;

bool redirects(const GatewayServer& server) { return server.tls && server.tls->https_redirect; }

bool terminates_https(const GatewayServer& server) {
  return snapshot::protocol_named(server.protocol) == snapshot::Protocol::https && server.tls &&
         server.tls->mode != model::ServerTls::Mode::passthrough &&
         server.tls->mode != model::ServerTls::Mode::auto_passthrough;
}

std::string name_of(const GatewayServers& gateway) {
  return gateway.origin.namespace_ + "/" + gateway.origin.name;
}

// A VirtualService's routes as one server of a Gateway has them.
struct Part {
  const VirtualServicePtr* rule = nullptr;
  std::string gateway;
  std::uint32_t port = 0;

  bool operator==(const Part&) const = default;
};

struct GatewayHost {
  std::vector<std::string> domains;
  std::uint32_t port = 0;
  bool require_tls = false;
  std::vector<Part> parts;
};

class Table {
 public:
  Table(const GatewayTable& table, const GatewayScope& scope, const Lookup& services, Memo& memo)
      : table_(table), scope_(scope), services_(services), memo_(memo) {
    for (const auto& server : table_.servers) add(*server.gateway, *server.server);
  }

  resource::ResourcePtr make() {
    RouteConfig config(table_.name, true);
    for (const auto& host : collapsed()) config.add(make_host(host), memo_);
    for (const auto& server : table_.servers) config.add_origin(server.gateway->origin);
    return config.take(memo_);
  }

  // Each domain a virtual host of its own: so that a name stays with its host, whatever others have
  // in common with it.
  void make_hosts(Resources& out) {
    const std::string name = wire_name(table_.name, true);
    for (const auto& host : apart()) {
      Host made = make_host(host);
      for (const auto& server : table_.servers) made.origins.push_back(&server.gateway->origin);
      out.push_back(host_of_table(name, std::move(made), memo_));
    }
  }

 private:
  Place place(const std::string& gateway, std::uint32_t port) const {
    return {.mesh = scope_.snapshot->mesh_ptr(),
            .services = services_,
            .gateway = gateway,
            .namespace_ = scope_.view->namespace_,
            .labels = scope_.labels,
            .port = port,
            .tls = tls_};
  }

  void add(const GatewayServers& gateway, const GatewayServer& server) {
    tls_ = terminates_https(server);
    const std::string name = name_of(gateway);
    for (const auto& rule : scope_.view->virtual_services) {
      const auto& attached = rule->spec.gateways;
      if (std::find(attached.begin(), attached.end(), name) == attached.end()) continue;
      if (!has_routes(*rule, place(name, server.port))) continue;
      for (const auto& host : snapshot::common_hosts(server, gateway, *rule)) {
        GatewayHost& found = hosts_[host];
        found.port = table_.port;
        found.require_tls |= redirects(server);
        const Part part{.rule = &rule, .gateway = name, .port = server.port};
        if (std::find(found.parts.begin(), found.parts.end(), part) == found.parts.end())
          found.parts.push_back(part);
      }
    }
    if (!redirects(server)) return;
    for (const auto& host : server.hosts) {  // also those that nobody routes
      GatewayHost& found = hosts_[snapshot::server_host(host)];
      found.port = table_.port;
      found.require_tls = true;
    }
  }

  // Hosts with the very same routes are one virtual host of several domains.
  std::vector<GatewayHost> collapsed() {
    std::vector<GatewayHost> out;
    for (auto& [name, found] : hosts_) {
      GatewayHost& host = found;  // clang 14 does not capture a structured binding
      const auto same = std::find_if(out.begin(), out.end(), [&](const GatewayHost& other) {
        return other.parts == host.parts && other.require_tls == host.require_tls;
      });
      if (same == out.end()) {
        out.push_back(std::move(host));
        out.back().domains = {name};
      } else {
        same->domains.push_back(name);
      }
    }
    if (out.empty()) out.push_back(blackhole());
    return out;
  }

  std::vector<GatewayHost> apart() {
    std::vector<GatewayHost> out;
    for (auto& [name, found] : hosts_) {
      out.push_back(found);
      out.back().domains = {name};
    }
    if (out.empty()) out.push_back(blackhole());
    return out;
  }

  GatewayHost blackhole() const {
    return {.domains = {"*"}, .port = table_.port, .require_tls = false, .parts = {}};
  }

  // `host` outlives what is made of it.
  Host make_host(const GatewayHost& host) const {
    Host made{.name = (hosts_.empty() ? "blackhole" : host.domains.front()) + ":" +
                      std::to_string(host.port),
              .key = MemoKey("virtual host of a gateway"),
              .origins = {},
              .body = {}};
    made.key.add(std::uint64_t{host.require_tls}).add(std::uint64_t{hosts_.empty()});
    for (const auto& domain : host.domains) made.key.add(domain);
    for (const auto& part : host.parts) {
      add_inputs(*part.rule, place(part.gateway, part.port), made.key);
      made.origins.push_back(&(*part.rule)->origin);
      for (const auto& delegate : (*part.rule)->delegates) made.origins.push_back(&delegate);
    }
    made.body = [this, &host](const std::string& name) {
      envoy_route::VirtualHost out;
      out.set_name(name);
      for (const auto& domain : host.domains) out.add_domains(domain);
      if (!hosts_.empty()) out.set_include_request_attempt_count(true);
      if (host.require_tls) out.set_require_tls(envoy_route::VirtualHost::ALL);
      for (const auto& part : host.parts)
        add_routes(**part.rule, place(part.gateway, part.port), out);
      auto& routes = *out.mutable_routes();
      std::stable_partition(routes.begin(), routes.end(),
                            [](const envoy_route::Route& route) { return !comes_last(route); });
      return serialize(out);
    };
    return made;
  }

  const GatewayTable& table_;
  const GatewayScope& scope_;
  const Lookup& services_;
  Memo& memo_;
  bool tls_ = false;  // servers of one table are alike in this
  std::map<std::string, GatewayHost> hosts_;
};

}  // namespace

std::vector<GatewayTable> gateway_tables(const GatewayScope& scope) {
  std::vector<GatewayTable> out;
  const auto target_port = [&](std::uint32_t port) {
    for (const auto& [from, to] : scope.view->target_ports) {
      if (from == port) return to;
    }
    return port;
  };
  for (const auto& gateway : scope.view->gateways) {
    for (const auto& server : gateway.spec->servers) {
      const bool plain = snapshot::is_http(snapshot::protocol_named(server.protocol));
      if (!plain && !terminates_https(server)) continue;  // bytes, which no route looks into
      std::string name = plain ? "http." + std::to_string(target_port(server.port))
                               : "https." + std::to_string(server.port) + "." + server.port_name +
                                     "." + gateway.origin.name + "." + gateway.origin.namespace_;
      if (!server.bind.empty()) name += "." + server.bind;
      const auto found = std::find_if(
          out.begin(), out.end(), [&](const GatewayTable& table) { return table.name == name; });
      if (found == out.end()) {
        out.push_back(
            {.name = std::move(name), .port = server.port, .servers = {{&gateway, &server}}});
      } else if (plain) {  // Istio takes the first of two HTTPS servers with one name
        found->servers.push_back({&gateway, &server});
      }
    }
  }
  return out;
}

Resources gateway_routes(const GatewayScope& scope, Memo& memo) {
  Resources out;
  if (scope.vhds) {
    for (const auto& table : gateway_tables(scope))
      out.push_back(table_without_hosts(wire_name(table.name, true), true, memo));
    return out;
  }
  const Lookup services(scope.view->services);
  for (const auto& table : gateway_tables(scope))
    out.push_back(Table(table, scope, services, memo).make());
  return out;
}

Resources gateway_hosts(const GatewayScope& scope, Memo& memo) {
  const Lookup services(scope.view->services);
  Resources out;
  for (const auto& table : gateway_tables(scope))
    Table(table, scope, services, memo).make_hosts(out);
  return out;
}

}  // namespace graymesh::translate
