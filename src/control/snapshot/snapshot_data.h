// What a Snapshot holds.
//
//   Objects ──> Territory, one for each namespace ──> Catalog ──> Views, when asked for
//               (services, rules, endpoints, ...)     (all but endpoints)
//
// Each step is taken over from the Snapshot before where what it was made from is the same.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "control/snapshot/catalog.h"
#include "control/snapshot/endpoint.h"
#include "control/snapshot/objects.h"
#include "control/snapshot/problems.h"
#include "control/snapshot/snapshot.h"
#include "control/snapshot/view.h"

namespace graymesh::snapshot {

// All that one namespace's objects give.
struct Territory {
  NamespaceObjectsPtr objects;
  model::TrafficDistribution distribution = model::TrafficDistribution::any;
  std::shared_ptr<const Services> services;
  std::shared_ptr<const SelectorIndex> selectors;  // of `services`
  DeclaredPtr declared;
  std::shared_ptr<const Running> running;
};
using TerritoryPtr = std::shared_ptr<const Territory>;

// Endpoints of services of which a View sees only some ports. Any thread.
class ReducedEndpoints {
 public:
  // Takes over what was reduced from Endpoints that are still the same.
  ReducedEndpoints(ReducedEndpoints* before,
                   const std::map<std::string, TerritoryPtr, std::less<>>& territories);

  // `whole` and `whole_endpoints` may be null: the service is unknown.
  EndpointsPtr get(const Service& service, const ServicePtr& whole,
                   const EndpointsPtr& whole_endpoints);

 private:
  using Key = std::tuple<std::string, std::string, std::vector<std::uint32_t>>;
  struct Entry {
    EndpointsPtr whole;
    EndpointsPtr reduced;
  };
  std::mutex mutex_;
  std::map<Key, Entry> made_;  // by host, namespace, ports
};

struct Snapshot::Data {
  std::uint64_t number = 0;
  std::shared_ptr<const model::MeshConfig> mesh;
  Objects objects;
  std::shared_ptr<const Localities> localities;
  std::map<std::string, TerritoryPtr, std::less<>> territories;
  CatalogPtr catalog;
  std::shared_ptr<Views> views;  // shared with the Snapshots of the same Catalog
  std::shared_ptr<ReducedEndpoints> reduced;
  std::shared_ptr<const DeclaredProblems> declared_problems;
  std::shared_ptr<const SubsetProblems> subset_problems;

  // Null if there is no such namespace.
  const Territory* territory(std::string_view namespace_) const {
    const auto at = territories.find(namespace_);
    return at == territories.end() ? nullptr : at->second.get();
  }
};

}  // namespace graymesh::snapshot
