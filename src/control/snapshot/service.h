// The services of one namespace, from Kubernetes Services and Istio's ServiceEntries.
//
// A host is declared once in a namespace: a Kubernetes Service goes before a ServiceEntry, and
// ServiceEntries of one host that agree in how they are resolved are united: ports, addresses and
// endpoints. Services of type ExternalName are no services but other names of one.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "control/snapshot/carry.h"
#include "control/snapshot/objects.h"
#include "control/snapshot/snapshot.h"

namespace graymesh::snapshot {

// An ExternalName Service.
struct Alias {
  std::string host;
  std::string target;  // another host, perhaps an alias too
  model::Key origin;

  bool operator==(const Alias&) const = default;
};

struct Services {
  std::vector<ServicePtr> services;  // sorted by host; `aliases` is left empty
  std::vector<Alias> aliases;        // sorted by host
  // For each service, the objects that declare it and its endpoints: a Service, or ServiceEntries.
  std::vector<std::vector<model::ObjectPtr>> sources;
  std::vector<model::Problem> problems;

  // The place of `host` in `services`; services.size() if it is none of them.
  std::size_t index_of(std::string_view host) const;
};

// `distribution` is the namespace's: of services that say nothing themselves. `before` gives the
// values to carry over; may be null.
Services derive_services(const NamespaceObjects& objects, const model::MeshConfig& mesh,
                         model::TrafficDistribution distribution, const Services* before);

// Finds the services whose selector selects given labels, without asking each.
class SelectorIndex {
 public:
  explicit SelectorIndex(const std::vector<ServicePtr>& services);
  // Places in `services`, ascending. A service without a selector selects nothing.
  std::vector<std::size_t> selecting(const model::Labels& labels) const;

 private:
  std::vector<ServicePtr> services_;
  std::unordered_map<std::string, std::vector<std::size_t>, StringHash, std::equal_to<>> by_label_;
};

}  // namespace graymesh::snapshot
