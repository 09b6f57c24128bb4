// Who takes which address and port outbound (docs/translation.md 5.2).
//
// Captured: HTTP services share `0.0.0.0_<port>`; TCP and sniffed ones have `<virtual IP>_<port>`.
// None of them opens a socket: virtualOutbound hands them their connections.
//
// Not captured: everything is bound on one address, so a port belongs to one listener: to the HTTP
// services, which share it, or else to the first TCP service (own namespace first), or, with TLS,
// to all of them by name. Ports that something else on this address has are left to it; the
// explicit HTTP proxy serves HTTP services of such ports.
#include <algorithm>
#include <map>
#include <set>
#include <span>

#include "control/translate/ip.h"
#include "control/translate/listener.h"
#include "control/translate/parts.h"
#include "control/translate/route_parts.h"

namespace graymesh::translate {
namespace {

using snapshot::Egress;
using snapshot::Port;
using snapshot::SeenService;

bool is_unix(std::string_view bind) { return bind.starts_with("unix://"); }

bool has_l4(const snapshot::VirtualServicePtr& rule) {
  return !rule->spec.tcp.empty() || !rule->spec.tls.empty();
}

// Who may be looked up: destinations of tcp and tls routes. Most meshes have none, and listeners
// are made for each instance.
std::span<const SeenService> destinations(const snapshot::View& view) {
  const bool any = std::ranges::any_of(view.egress, [](const Egress& egress) {
    return std::ranges::any_of(egress.virtual_services, has_l4);
  });
  return any ? view.services : std::span<const SeenService>();
}

class Planner {
 public:
  explicit Planner(const OutboundScope& scope)
      : scope_(scope), services_(destinations(*scope.view)), any_ip_(any_address(scope.family)) {
    for (const auto& table : route_tables(scope)) tables_.insert(table.name);
  }

  void add(const Egress& egress) {
    const bool bound =
        !scope_.captured || egress.capture_mode == model::CaptureMode::none || is_unix(egress.bind);
    if (egress.port) claimed_.insert(egress.port->number);
    if (egress.port && whole_listener_is_http(egress)) return add_http_port(egress, bound);
    l4_rules_.clear();
    std::ranges::copy_if(egress.virtual_services, std::back_inserter(l4_rules_), has_l4);
    for (const SeenService* seen : in_scope_order(egress)) {
      for (const Port& port : seen->service->ports) {
        if (egress.port ? port.number != egress.port->number : claimed_.contains(port.number))
          continue;
        if (bound) {
          add_bound(egress, *seen, port);
        } else {
          add_captured(egress, *seen, port);
        }
      }
    }
  }

  void add_proxy() {
    const std::uint32_t port = scope_.http_proxy_port;
    if (port == 0 || !tables_.contains("http_proxy")) return;
    auto* plan = plan_for(scope_.bind, port, true);
    if (!plan) return;
    plan->table = "http_proxy";
    plan->explicit_proxy = true;
  }

  std::vector<ListenerPlan> take() {
    std::vector<ListenerPlan> plans;
    for (auto& [key, plan] : plans_) {
      if (!plan.table.empty() || !plan.tcp.empty()) plans.push_back(std::move(plan));
    }
    return plans;
  }

 private:
  static bool whole_listener_is_http(const Egress& egress) {
    return is_unix(egress.bind) ||
           snapshot::is_http(snapshot::protocol_named(egress.port->protocol));
  }

  // Services of the proxy's own namespace come first: they win what can be had only once.
  std::vector<const SeenService*> in_scope_order(const Egress& egress) const {
    std::vector<const SeenService*> services;
    for (const auto& seen : egress.services) services.push_back(&seen);
    std::stable_partition(services.begin(), services.end(), [&](const SeenService* seen) {
      return seen->service->namespace_ == scope_.view->namespace_;
    });
    return services;
  }

  Place place(const Port& port) const {
    return {.mesh = scope_.snapshot->mesh_ptr(),
            .services = services_,
            .namespace_ = scope_.view->namespace_,
            .labels = scope_.labels,
            .port = port.number};
  }

  // Null if the address is somebody else's.
  ListenerPlan* plan_for(const std::string& bind, std::uint32_t port, bool bound) {
    const auto& mesh = scope_.snapshot->mesh();
    if (scope_.captured &&
        (port == mesh.proxy_listen_port || port == mesh.proxy_inbound_listen_port) &&
        (bind == any_ip_ || bound)) {
      return nullptr;
    }
    if (bound && !is_unix(bind) && port < scope_.lowest_port) return nullptr;
    if (bound && !is_unix(bind) &&
        std::binary_search(scope_.taken_ports.begin(), scope_.taken_ports.end(), port)) {
      return nullptr;
    }
    auto& plan = plans_[{bind, port}];
    plan.bind = bind;
    plan.port = port;
    plan.bound = bound;
    return &plan;
  }

  void add_http(const std::string& bind, const std::string& table, const Port& port, bool bound) {
    if (!tables_.contains(table)) return;  // nobody would answer for it
    auto* plan = plan_for(bind, port.number, bound);
    if (!plan || !plan->table.empty()) return;
    plan->table = table;
    plan->protocol = port.protocol;
  }

  void add_tcp(const std::string& bind, bool bound, const SeenService& seen, const Port& port,
               std::vector<TcpChain> chains) {
    auto* plan = plan_for(bind, port.number, bound);
    if (!plan) return;
    for (auto& chain : chains) {
      if (!plan->claims.claim(chain)) continue;
      plan->tcp.push_back(std::move(chain));
      auto origin = model::to_string(seen.service->origin);
      if (plan->origins.empty() || plan->origins.back() != origin)
        plan->origins.push_back(std::move(origin));
    }
  }

  // A Sidecar's egress listener for one port (or socket) that speaks HTTP, whatever services it
  // has.
  void add_http_port(const Egress& egress, bool bound) {
    const std::string bind = !egress.bind.empty() ? egress.bind : bound ? scope_.bind : any_ip_;
    Port port;
    port.number = egress.port->number;
    port.protocol = snapshot::protocol_named(egress.port->protocol);
    add_http(bind, is_unix(bind) ? bind : std::to_string(port.number), port, bound);
    const auto plan = plans_.find({bind, port.number});
    if (plan != plans_.end() && port.protocol == snapshot::Protocol::http_proxy)
      plan->second.explicit_proxy = true;
  }

  void add_bound(const Egress& egress, const SeenService& seen, const Port& port) {
    const std::string& bind = egress.bind.empty() ? scope_.bind : egress.bind;
    if (!snapshot::is_tcp(port.protocol))
      return add_http(bind, std::to_string(port.number), port, true);
    add_tcp(bind, true, seen, port, tcp_chains(place(port), l4_rules_, seen, port, true));
  }

  void add_captured(const Egress& egress, const SeenService& seen, const Port& port) {
    const std::string number = std::to_string(port.number);
    if (snapshot::is_http(port.protocol)) {
      return add_http(egress.bind.empty() ? any_ip_ : egress.bind, number, port, false);
    }
    for (const std::string& address : addresses_of(egress, seen, port)) {
      const bool range = address.find('/') != std::string::npos;
      const std::string bind = range ? any_ip_ : address;
      auto chains = tcp_chains(place(port), l4_rules_, seen, port, bind == any_ip_);
      for (auto& chain : chains) {
        // The subnets that a VirtualService asks for go before the service's own.
        if (range && chain.prefix_ranges.empty()) chain.prefix_ranges = to_ranges({address});
      }
      add_tcp(bind, false, seen, port, std::move(chains));
      if (port.protocol == snapshot::Protocol::automatic) {
        add_http(bind, bind == any_ip_ ? number : seen.service->host + ":" + number, port, false);
      }
    }
  }

  // Where connections to a TCP or sniffed port are meant for.
  std::vector<std::string> addresses_of(const Egress& egress, const SeenService& seen,
                                        const Port& port) const {
    if (!egress.bind.empty()) return {egress.bind};
    std::vector<std::string> own;
    for (const auto& address : seen.service->addresses) {
      if (!normal_range(address).empty()) own.push_back(address);
    }
    if (!seen.service->addresses.empty()) return own;
    if (!seen.service->headless) return {any_ip_};
    // Each pod has its own address, which its clients find by DNS.
    std::set<std::string> pods;
    const auto endpoints = scope_.snapshot->endpoints(*seen.service);
    const auto index = static_cast<std::size_t>(&port - seen.service->ports.data());
    if (index < endpoints->by_port.size()) {
      for (const auto& endpoint : endpoints->by_port[index]) {
        if (is_ip(endpoint.address)) pods.insert(endpoint.address);
      }
    }
    return {pods.begin(), pods.end()};
  }

  const OutboundScope& scope_;
  const Lookup services_;
  const std::string any_ip_;
  std::set<std::string> tables_;
  std::set<std::uint32_t> claimed_;                    // by egress listeners with a port
  std::vector<snapshot::VirtualServicePtr> l4_rules_;  // of the egress listener that is added
  std::map<std::pair<std::string, std::uint32_t>, ListenerPlan> plans_;
};

}  // namespace

std::vector<ListenerPlan> plan_outbound(const OutboundScope& scope) {
  Planner planner(scope);
  planner.add_proxy();
  for (const auto& egress : scope.view->egress) planner.add(egress);
  return planner.take();
}

}  // namespace graymesh::translate
