// Inside the room: what of a proxy has influence on which endpoints are near. A proxy is told apart
// from others of its scope by that alone, and of a service's assignments only by what that service
// looks at: so proxies everywhere share those of services without a rule.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "control/snapshot/snapshot.h"
#include "control/translate/scope.h"

namespace graymesh::translate {

inline constexpr std::string_view region_label = "topology.kubernetes.io/region";
inline constexpr std::string_view zone_label = "topology.kubernetes.io/zone";
inline constexpr std::string_view sub_zone_label = "topology.istio.io/subzone";
inline constexpr std::string_view network_label = "topology.istio.io/network";
inline constexpr std::string_view cluster_label = "topology.istio.io/cluster";
inline constexpr std::string_view node_label = "kubernetes.io/hostname";

// A workload's labels, and the places that Istio makes labels of. Looks into what it is made of.
struct Topology {
  const model::Labels& labels;
  const snapshot::Locality& locality;
  std::string_view node, network, cluster;
};
// Empty if it has no such label. A place that is known goes before the workload's own label of that
// name; of networks it is the other way round.
std::string_view find_label(const Topology& workload, std::string_view name);

// What is looked at.
struct Heeds {
  bool locality = false;
  std::set<std::string, std::less<>> labels;  // names

  void add(const Heeds& other);
  bool operator==(const Heeds&) const = default;
};
// For the endpoints of one service, under the rule with which it is seen.
Heeds heeds_of(const model::MeshConfig& mesh, const snapshot::SeenService& seen);

// Equal texts: the same to whom heeds this. Two vantages of one text are one to `heeds`.
std::string text_of(const Vantage& vantage, const Heeds& heeds);

}  // namespace graymesh::translate
