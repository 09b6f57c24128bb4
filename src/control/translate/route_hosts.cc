// Which virtual hosts a sidecar's table has, and who owns each: VirtualServices in their order of
// precedence, then the services that none of them speaks of (docs/translation.md 4.2, 4.9).
//
// A host of a VirtualService that is no service of the table has a virtual host of its own: on the
// ports of the VirtualService's services, or, without any, on port 80.
#include "control/translate/route_hosts.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

namespace graymesh::translate {
namespace {

using snapshot::SeenService;
using snapshot::VirtualServicePtr;

bool is_wildcard(std::string_view host) { return host.starts_with('*'); }

bool is_routed(const snapshot::Port& port) {
  return snapshot::is_http(port.protocol) || port.protocol == snapshot::Protocol::automatic;
}

class Hosts {
 public:
  Hosts(const RouteTable& table, const OutboundScope& scope, const Lookup& services)
      : table_(table), scope_(scope), services_(services), rules_(table.egress->virtual_services) {
    for (const auto& seen : table.egress->services) {
      if ((table.only && table.only != seen.service.get()) || !has_port(*seen.service)) continue;
      registry_.push_back(&seen);
      by_host_.emplace(seen.service->host, &seen);
    }
    index_rules();
    add_full_names();
  }

  std::vector<HostPlan> plan() {
    for (std::size_t i = 0; i < rules_.size(); ++i) add_rule(i);
    for (const auto* seen : registry_) add_default(*seen);
    return std::move(plans_);
  }

 private:
  bool any_port() const { return table_.port == 0; }
  Ports ports() const { return any_port() ? Ports::written : Ports::left_out; }

  bool has_port(const snapshot::Service& service) const {
    return any_port() ||
           std::any_of(service.ports.begin(), service.ports.end(),
                       [&](const snapshot::Port& port) { return port.number == table_.port; });
  }

  Place place(std::uint32_t port) const {
    return {.mesh = scope_.snapshot->mesh_ptr(),
            .services = services_,
            .namespace_ = scope_.view->namespace_,
            .labels = scope_.labels,
            .port = port};
  }

  template <typename Visit>
  void each_port(const SeenService& seen, const Visit& visit) const {
    for (const auto& port : seen.service->ports) {
      if (is_routed(port) && (any_port() || port.number == table_.port)) visit(port.number);
    }
  }

  // The longest wildcard that matches a service counts for it, and only where no rule has its name.
  void index_rules() {
    for (std::size_t i = 0; i < rules_.size(); ++i) {
      for (const auto& host : rules_[i]->spec.hosts) {
        if (!is_wildcard(host)) {
          named_.insert(host);
        } else if (seen_wildcards_.insert(lower(host)).second) {  // Istio keeps the first
          wildcards_.push_back({lower(host), i});
        }
      }
    }
    std::stable_sort(wildcards_.begin(), wildcards_.end(),
                     [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
  }

  // True if the service belongs to this rule by a wildcard.
  bool speaks_for(std::size_t rule, const snapshot::Service& service) const {
    if (named_.contains(service.host)) return false;
    for (const auto& [pattern, owner] : wildcards_) {
      if (model::host_matches(pattern, service.host)) return owner == rule;
    }
    return false;
  }

  struct Reach {
    std::vector<const SeenService*> services;
    std::vector<std::string> others;  // hosts that are no services of this table
  };

  Reach reach_of(std::size_t rule) const {
    Reach reach;
    for (const auto& host : rules_[rule]->spec.hosts) {
      if (!is_wildcard(host)) {
        const auto it = by_host_.find(host);
        if (it == by_host_.end()) {
          reach.others.push_back(host);
        } else {
          reach.services.push_back(it->second);
        }
        continue;
      }
      bool matched = false;
      const std::string pattern = lower(host);
      for (const auto* seen : registry_) {
        if (!model::host_matches(pattern, seen->service->host)) continue;
        matched = true;
        if (speaks_for(rule, *seen->service)) reach.services.push_back(seen);
      }
      if (!matched) reach.others.push_back(pattern);
    }
    return reach;
  }

  void add_rule(std::size_t index) {
    const auto& rule = rules_[index];
    Reach reach = reach_of(index);
    if (table_.only) reach.others.clear();
    std::map<std::uint32_t, std::vector<const SeenService*>> by_port;
    for (const auto* seen : reach.services) {
      each_port(*seen, [&](std::uint32_t port) { by_port[port].push_back(seen); });
    }
    const bool on_80 = any_port() ? !reach.others.empty() : by_port.empty() && table_.port == 80;
    if (on_80) by_port[80];
    for (const auto& [port, services] : by_port) {
      if (!has_routes(*rule, place(port))) continue;
      for (const auto& host : reach.others) {
        add({.name = host + ":" + std::to_string(port),
             .domains = {},
             .port = port,
             .rule = &rule,
             .service = nullptr},
            domains_of(host, port, ports()));
      }
      for (const auto* seen : services) add_service(*seen, port, &rule);
    }
  }

  void add_default(const SeenService& seen) {
    each_port(seen, [&](std::uint32_t port) { add_service(seen, port, nullptr); });
  }

  void add_service(const SeenService& seen, std::uint32_t port, const VirtualServicePtr* rule) {
    add({.name = seen.service->host + ":" + std::to_string(port),
         .domains = {},
         .port = port,
         .rule = rule,
         .service = &seen},
        domains_of(*seen.service, port, scope_.view->namespace_, ports()));
  }

  void add(HostPlan plan, std::vector<Domain> domains) {
    if (!claims_.claim_name(plan.name)) return;
    // A table of one service takes whatever it is called by.
    plan.domains = table_.only ? std::vector<std::string>{"*"} : claims_.claim(std::move(domains));
    if (!plan.domains.empty()) plans_.push_back(std::move(plan));
  }

  void add_full_names() {
    for (const auto* seen : registry_) {
      claims_.add_full_name(seen->service->host);
      each_port(*seen, [&](std::uint32_t port) {
        claims_.add_full_name(seen->service->host + ":" + std::to_string(port));
      });
    }
  }

  const RouteTable& table_;
  const OutboundScope& scope_;
  const Lookup& services_;
  const std::vector<VirtualServicePtr>& rules_;
  std::vector<const SeenService*> registry_;
  std::unordered_map<std::string_view, const SeenService*> by_host_;
  std::set<std::string_view> named_;
  std::set<std::string> seen_wildcards_;
  std::vector<std::pair<std::string, std::size_t>>
      wildcards_;  // longest first: (pattern, index in rules_)
  Claims claims_;
  std::vector<HostPlan> plans_;
};

}  // namespace

std::vector<HostPlan> plan_hosts(const RouteTable& table, const OutboundScope& scope,
                                 const Lookup& services) {
  if (!table.egress) return {};
  return Hosts(table, scope, services).plan();
}

}  // namespace graymesh::translate
