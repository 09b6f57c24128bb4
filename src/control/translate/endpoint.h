// Inside the room: the endpoints of one cluster, for EDS and for the clusters that carry their own.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "control/snapshot/snapshot.h"
#include "control/translate/cluster.h"
#include "control/translate/memo.h"
#include "control/translate/scope.h"

namespace envoy::config::endpoint::v3 {
class ClusterLoadAssignment;
}  // namespace envoy::config::endpoint::v3

namespace graymesh::translate {

// What localities mean to one cluster (docs/translation.md 8).
struct LocalityRule {
  const model::LocalityLb* settings = nullptr;  // null: Istio's default, nearer ones first
  bool distribute = false;                      // `settings` shares traffic out by weights
  bool failover = false;  // endpoints further away take over when nearer ones are ejected
  bool weighted = false;  // Envoy must look at the localities' weights
};
LocalityRule locality_rule(const model::MeshConfig& mesh, const snapshot::Service& service,
                           const Policy& policy);

struct AssignmentInput {
  std::string_view cluster;
  std::span<const snapshot::Endpoint> endpoints;  // of the service's port
  const model::Subset* subset = nullptr;          // null: all of them
  const Vantage& vantage;                         // where the proxy is
  LocalityRule rule;
  bool node_local = false;                  // only those of the proxy's node
  bool addresses_only = false;              // leaves out endpoints that are host names
  const model::Subset* fallback = nullptr;  // whose endpoints stand behind the own; null: none
  const model::Subset* not_in = nullptr;    // endpoints of this one are left out; null: none
};

// Returns how many endpoints there are.
std::size_t set_assignment(const AssignmentInput& input,
                           envoy::config::endpoint::v3::ClusterLoadAssignment& out);

// Endpoints of one locality and priority, as Envoy groups them.
struct LocalityGroup {
  snapshot::Locality locality;
  std::uint32_t priority = 0;
  std::uint32_t weight = 0;
  std::vector<const snapshot::Endpoint*> endpoints;
};
// Moves weights or priorities as the rule says; leaves priorities dense, beginning with 0.
void apply_locality_rule(const AssignmentInput& input, std::vector<LocalityGroup>& groups);

// Makes the assignments of one client, service by service: one for every EDS cluster, empty where
// nothing is selected.
class Assigner {
 public:
  Assigner(std::shared_ptr<const model::MeshConfig> mesh, Client client, const Vantage& vantage)
      : mesh_(std::move(mesh)), client_(client), vantage_(vantage) {}

  // Null: its endpoints are no matter of EDS.
  BundlePtr of(const snapshot::SeenService& seen, const snapshot::EndpointsPtr& endpoints,
               Memo& memo) const;

 private:
  std::shared_ptr<const model::MeshConfig> mesh_;
  Client client_;
  const Vantage& vantage_;
};

}  // namespace graymesh::translate
