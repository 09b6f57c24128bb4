// Who answers for the services of one namespace (docs/translation.md 3).
//
// A Kubernetes Service is answered by the addresses in its EndpointSlices; by its Endpoints where
// there are no slices; by the pods that it selects where there are neither (a folder written by
// hand); and always by the WorkloadEntries that it selects. A ServiceEntry is answered by its
// inline endpoints, or by the pods and WorkloadEntries that it selects, or, over DNS, by its own
// host.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "control/snapshot/service.h"
#include "control/snapshot/workload.h"

namespace graymesh::snapshot {

// A service port as one address serves it, ready or not.
struct Served {
  std::size_t service = 0;  // place in Services::services
  std::size_t port = 0;     // place in the Service's ports
  std::uint32_t target_port = 0;

  bool operator==(const Served&) const = default;
};

struct Running {
  explicit Running(WorkloadsPtr people) : workloads(std::move(people)) {}

  WorkloadsPtr workloads;
  std::vector<EndpointsPtr> endpoints;  // of Services::services, in their order
  std::unordered_map<std::string, std::vector<Served>, StringHash, std::equal_to<>> by_address;
  std::vector<model::Problem> problems;
};

// Equal Endpoints keep the address they had in `before`, which belongs to `services_before`; both
// may be null. `workloads` are those of `objects`.
Running derive_running(const NamespaceObjects& objects, const Services& services,
                       const Localities& localities, WorkloadsPtr workloads, const Running* before,
                       const Services* services_before);

}  // namespace graymesh::snapshot
