// All that a mesh declares, without who runs: from it, and nothing else, Views are made. So a
// Snapshot in which only endpoints changed has the same Catalog, by address, and the Views made
// from it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/snapshot/delegate.h"
#include "control/snapshot/destination_rule.h"
#include "control/snapshot/service.h"
#include "control/snapshot/snapshot.h"

namespace graymesh::snapshot {

struct SidecarObject {
  model::Key origin;
  std::int64_t created = 0;
  std::shared_ptr<const model::Sidecar> spec;

  bool operator==(const SidecarObject&) const = default;
};

// What one namespace declares, before anything of another namespace is known.
struct Declared {
  std::vector<ServicePtr> services;                 // sorted by host
  std::vector<Alias> aliases;                       // sorted by host
  std::vector<VirtualServicePtr> virtual_services;  // sorted by name; delegates not merged
  std::vector<DestinationRulePtr> rules;
  std::vector<SidecarObject> sidecars;  // those with a workloadSelector first; each by age, name
  std::vector<GatewayServers> gateways;

  bool operator==(const Declared&) const = default;
};
using DeclaredPtr = std::shared_ptr<const Declared>;

struct Catalog {
  std::shared_ptr<const model::MeshConfig> mesh;
  std::map<std::string, DeclaredPtr, std::less<>> namespaces;

  std::vector<ServicePtr> services;  // sorted by (host, namespace); with their aliases
  // Roots with their delegates merged, and destinations that name an alias led on; in creation
  // order.
  std::vector<VirtualServicePtr> virtual_services;
  std::vector<DestinationRulePtr> rules;
  RuleIndexes rule_indexes;
  std::vector<GatewayServers> gateways;  // in creation order
  std::vector<DelegateFault> delegate_faults;

  std::vector<ServicePtr>::const_iterator first_of(std::string_view host) const;
  ServicePtr service(std::string_view host) const;  // of several, the one that goes before
  const VirtualService* declared(std::string_view namespace_, std::string_view name) const;
};
using CatalogPtr = std::shared_ptr<const Catalog>;

// True if `a` goes before `b` where both declare one host: Kubernetes, then age.
bool goes_before(const Service& a, const Service& b);

// `before` gives the values to carry over; may be null.
Catalog make_catalog(std::shared_ptr<const model::MeshConfig> mesh,
                     std::map<std::string, DeclaredPtr, std::less<>> namespaces,
                     const Catalog* before);

}  // namespace graymesh::snapshot
