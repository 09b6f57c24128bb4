// Who answers for the services of one namespace (docs/translation.md 3).
//
// A Kubernetes Service is answered by the addresses in its EndpointSlices; by its Endpoints where
// there are no slices; by the pods that it selects where there are neither (a folder written by
// hand); and always by the WorkloadEntries that it selects. A ServiceEntry is answered by its
// inline endpoints, or by the pods and WorkloadEntries that it selects, or, over DNS, by its own
// host.
//
// It is found out service by service, and where only slices changed, of their services alone.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/pieces.h"
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

// What answers for one service.
struct Answer {
  EndpointsPtr endpoints;
  std::vector<std::pair<std::string, Served>> served;  // with the address
  std::vector<model::ObjectPtr> slices;                // that it was made from, by name
  std::vector<model::Problem> problems;
};
using AnswerPtr = std::shared_ptr<const Answer>;

// What each address serves, in the order of services. Cheap to copy with some services changed: it
// is cut into pieces by the addresses' hashes, which copies share.
class ServedAt {
 public:
  explicit ServedAt(const Pieces<AnswerPtr>& answers);

  const std::vector<Served>& of(std::string_view address) const;  // empty if it serves nothing
  // With `now` in place of `before`, which are of the same services.
  ServedAt with(std::span<const AnswerPtr> before, std::span<const AnswerPtr> now) const;

 private:
  using Piece = std::unordered_map<std::string, std::vector<Served>, StringHash, std::equal_to<>>;
  std::size_t piece_of(std::string_view address) const;

  std::vector<std::shared_ptr<const Piece>> pieces_;  // never none
};

struct Running {
  WorkloadsPtr workloads;
  Pieces<AnswerPtr> answers;  // of Services::services, in their order
  ServedAt served;

  const EndpointsPtr& endpoints(std::size_t service) const { return answers[service]->endpoints; }
};

// Equal Endpoints keep the address they had in `before`, which belongs to `services_before`; both
// may be null. `workloads` are those of `objects`.
Running derive_running(const NamespaceObjects& objects, const Services& services,
                       const Localities& localities, WorkloadsPtr workloads, const Running* before,
                       const Services* services_before);

// The same, where `objects` differ from those of `before` in nothing but slices.
Running derive_running(const NamespaceObjects& objects, const NamespaceObjects& objects_before,
                       const Services& services, const Localities& localities,
                       const Running& before);

}  // namespace graymesh::snapshot
