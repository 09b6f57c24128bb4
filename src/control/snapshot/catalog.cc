#include "control/snapshot/catalog.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "control/snapshot/virtual_service.h"

namespace graymesh::snapshot {
namespace {

constexpr auto host_of = [](const ServicePtr& service) -> std::string_view {
  return service->host;
};
constexpr auto by_host = [](const ServicePtr& service) {
  return std::tie(service->host, service->namespace_);
};

using Aliases = std::map<std::string_view, const Alias*>;

Aliases aliases_of(const Catalog& catalog) {
  Aliases result;
  for (const auto& [name, declared] : catalog.namespaces) {
    for (const auto& alias : declared->aliases) result.emplace(alias.host, &alias);
  }
  return result;
}

// Follows aliases of aliases. Null if they go in a circle or lead to no service.
ServicePtr service_behind(const Catalog& catalog, const Aliases& aliases, const Alias& alias) {
  std::set<std::string_view> passed;
  std::string_view host = alias.host;
  for (auto at = aliases.find(host); at != aliases.end(); at = aliases.find(host)) {
    if (!passed.insert(host).second) return nullptr;
    host = at->second->target;
  }
  return catalog.service(host);
}

void gather_services(Catalog& catalog, const Aliases& aliases, const Catalog* before) {
  for (const auto& [name, declared] : catalog.namespaces) {
    const auto& services = declared->services;
    catalog.services.insert(catalog.services.end(), services.begin(), services.end());
  }
  std::ranges::sort(catalog.services, {}, by_host);
  if (aliases.empty()) return;

  std::map<ServicePtr, std::vector<std::string>> named;
  for (const auto& [host, alias] : aliases) {
    if (const auto service = service_behind(catalog, aliases, *alias)) {
      named[service].emplace_back(host);
    }
  }
  for (auto& service : catalog.services) {
    const auto at = named.find(service);
    if (at == named.end()) continue;
    Service with = *service;
    with.aliases = std::move(at->second);
    ServicePtr known;
    if (before != nullptr) {
      const auto place = std::ranges::lower_bound(
          before->services, std::tie(with.host, with.namespace_), {}, by_host);
      if (place != before->services.end()) known = *place;
    }
    service = carry(known, std::move(with));
  }
}

bool names_alias(const VirtualService& service, const Aliases& aliases) {
  if (aliases.empty()) return false;
  bool found = false;
  each_destination(service.spec, [&](const model::Destination& destination, const auto*) {
    found = found || aliases.contains(destination.host);
  });
  return found;
}

// One delegate of two roots has one fault.
void drop_repeated(std::vector<DelegateFault>& faults) {
  const auto place = [](const DelegateFault& fault) {
    return std::tie(fault.object, fault.index, fault.field);
  };
  std::ranges::stable_sort(faults, {}, place);
  const auto same = [&place](const auto& a, const auto& b) { return place(a) == place(b); };
  faults.erase(std::unique(faults.begin(), faults.end(), same), faults.end());
}

// The VirtualServices of a Catalog by their names, looked up only if anyone asks.
class ByName {
 public:
  explicit ByName(const Catalog* catalog) : catalog_(catalog) {}
  VirtualServicePtr find(const model::Key& key) {
    if (catalog_ != nullptr && known_.empty()) {
      for (const auto& service : catalog_->virtual_services)
        known_.emplace(service->origin, service);
    }
    const auto at = known_.find(key);
    return at == known_.end() ? nullptr : at->second;
  }

 private:
  const Catalog* catalog_;
  std::map<model::Key, VirtualServicePtr> known_;
};

void gather_virtual_services(Catalog& catalog, const Aliases& aliases, const Catalog* before) {
  ByName known(before);
  const FindVirtualService find = [&catalog](std::string_view namespace_, std::string_view name) {
    return catalog.declared(namespace_, name);
  };
  for (const auto& [name, declared] : catalog.namespaces) {
    for (const auto& service : declared->virtual_services) {
      if (is_delegate(*service)) continue;
      const bool delegating = has_delegates(*service);
      if (!delegating && !names_alias(*service, aliases)) {
        catalog.virtual_services.push_back(service);
        continue;
      }
      VirtualService made =
          delegating ? merge_delegates(*service, find, catalog.delegate_faults) : *service;
      each_destination(made.spec, [&aliases](model::Destination& destination, const auto*) {
        const auto at = aliases.find(destination.host);
        if (at != aliases.end()) destination.host = at->second->target;  // one step, as Istio
      });
      catalog.virtual_services.push_back(carry(known.find(service->origin), std::move(made)));
    }
  }
  std::ranges::sort(catalog.virtual_services, {}, [](const VirtualServicePtr& service) {
    return std::tie(service->created, service->origin.name, service->origin.namespace_);
  });
  drop_repeated(catalog.delegate_faults);
}

}  // namespace

bool goes_before(const Service& a, const Service& b) {
  if (a.kubernetes != b.kubernetes) return a.kubernetes;
  return std::tie(a.created, a.origin.name, a.namespace_) <
         std::tie(b.created, b.origin.name, b.namespace_);
}

std::vector<ServicePtr>::const_iterator Catalog::first_of(std::string_view host) const {
  return std::ranges::lower_bound(services, host, {}, host_of);
}

ServicePtr Catalog::service(std::string_view host) const {
  ServicePtr result;
  for (auto at = first_of(host); at != services.end() && (*at)->host == host; ++at) {
    if (!result || goes_before(**at, *result)) result = *at;
  }
  return result;
}

const VirtualService* Catalog::declared(std::string_view namespace_, std::string_view name) const {
  const auto at = namespaces.find(namespace_);
  if (at == namespaces.end()) return nullptr;
  const auto& all = at->second->virtual_services;
  const auto found = std::ranges::lower_bound(all, name, {}, [](const VirtualServicePtr& service) {
    return std::string_view(service->origin.name);
  });
  return found != all.end() && (*found)->origin.name == name ? found->get() : nullptr;
}

Catalog make_catalog(std::shared_ptr<const model::MeshConfig> mesh,
                     std::map<std::string, DeclaredPtr, std::less<>> namespaces,
                     const Catalog* before) {
  Catalog catalog;
  catalog.mesh = std::move(mesh);
  catalog.namespaces = std::move(namespaces);
  const Aliases aliases = aliases_of(catalog);
  gather_services(catalog, aliases, before);
  gather_virtual_services(catalog, aliases, before);

  for (const auto& [name, declared] : catalog.namespaces) {
    catalog.gateways.insert(catalog.gateways.end(), declared->gateways.begin(),
                            declared->gateways.end());
    if (declared->rules.empty()) continue;
    catalog.rules.insert(catalog.rules.end(), declared->rules.begin(), declared->rules.end());
    auto& index = catalog.rule_indexes[name];
    if (before != nullptr) {
      const auto then = before->namespaces.find(name);
      if (then != before->namespaces.end() && then->second->rules == declared->rules &&
          before->rule_indexes.contains(name)) {
        index = before->rule_indexes.at(name);
      }
    }
    if (!index) index = std::make_shared<const RuleIndex>(declared->rules);
  }
  std::ranges::sort(catalog.gateways, {}, [](const GatewayServers& gateway) {
    return std::tie(gateway.created, gateway.origin.name, gateway.origin.namespace_);
  });
  return catalog;
}

}  // namespace graymesh::snapshot
