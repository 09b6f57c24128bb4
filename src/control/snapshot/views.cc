// How views are kept: by what chose them, and from one Catalog to the next.

#include <algorithm>

#include "control/snapshot/carry.h"
#include "control/snapshot/view.h"

namespace graymesh::snapshot {
namespace {

// Which DestinationRules for some workloads only are for this one.
std::string rules_for(const Catalog& catalog, std::string_view namespace_,
                      const model::Labels& labels) {
  std::string result;
  const auto own = catalog.namespaces.find(namespace_);
  if (own == catalog.namespaces.end()) return result;
  for (const auto& rule : own->second->rules) {
    const auto& selector = rule->spec.workload_selector;
    if (selector.empty() || !model::selects(selector, labels)) continue;
    result += rule->origins.front().name + ',';
  }
  return result;
}

}  // namespace

Reductions::Reductions(const Reductions& before, const Catalog& catalog) {
  for (const auto& [key, reduced] : before.made_) {
    const ServicePtr& whole = std::get<0>(key);
    for (auto at = catalog.first_of(whole->host);
         at != catalog.services.end() && (*at)->host == whole->host; ++at) {
      if (*at == whole) made_.emplace(key, reduced);
    }
  }
}

ServicePtr Reductions::reduce(const ServicePtr& service, std::vector<std::uint32_t> ports,
                              std::vector<std::string> aliases) {
  std::ranges::sort(ports);
  if (ports.size() == service->ports.size()) ports.clear();
  if (ports.empty() && aliases == service->aliases) return service;
  ServicePtr& made = made_[{service, ports, aliases}];
  if (made) return made;
  Service reduced = *service;
  reduced.aliases = std::move(aliases);
  if (!ports.empty()) {
    std::erase_if(reduced.ports, [&ports](const Port& port) {
      return !std::ranges::binary_search(ports, port.number);
    });
  }
  return made = std::make_shared<const Service>(std::move(reduced));
}

Views::Views(CatalogPtr catalog, Views* before) : catalog_(std::move(catalog)) {
  if (before == nullptr) return;
  const std::lock_guard lock(before->mutex_);
  reductions_ = Reductions(before->reductions_, *catalog_);
  fragments_ = Fragments(before->fragments_, *catalog_);
  // What nobody asked for since the Catalog before is forgotten.
  older_views_ = before->views_;
  older_gateways_ = before->gateways_;
}

ViewPtr Views::view(std::string_view namespace_, const model::Labels& labels) {
  const SidecarObject* sidecar = select_sidecar(*catalog_, namespace_, labels);
  std::string key(namespace_);
  if (sidecar != nullptr) key += '\n' + sidecar->origin.namespace_ + '/' + sidecar->origin.name;
  key += '\n' + rules_for(*catalog_, namespace_, labels);

  const std::lock_guard lock(mutex_);
  ViewPtr& view = views_[key];
  if (!view) {
    view =
        carry(older_views_[key], make_view(*catalog_, {.namespace_ = namespace_, .labels = &labels},
                                           sidecar, reductions_, fragments_));
    older_views_.erase(key);
  }
  return view;
}

GatewayViewPtr Views::gateway(std::string_view namespace_, const model::Labels& labels,
                              std::vector<std::pair<std::uint32_t, std::uint32_t>> target_ports) {
  std::vector<GatewayServers> gateways = select_gateways(*catalog_, labels);
  std::string key(namespace_);
  for (const auto& gateway : gateways) {
    key += '\n' + gateway.origin.namespace_ + '/' + gateway.origin.name;
  }
  for (const auto& [port, target] : target_ports) {
    key += '\n' + std::to_string(port) + ':' + std::to_string(target);
  }
  key += '\n' + rules_for(*catalog_, namespace_, labels);

  const std::lock_guard lock(mutex_);
  GatewayViewPtr& view = gateways_[key];
  if (!view) {
    view = carry(older_gateways_[key],
                 make_gateway_view(*catalog_, {.namespace_ = namespace_, .labels = &labels},
                                   std::move(gateways), std::move(target_ports), fragments_));
    older_gateways_.erase(key);
  }
  return view;
}

}  // namespace graymesh::snapshot
