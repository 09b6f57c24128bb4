// Inside the room: what the cluster*.cc files share. A cluster is made in passes, each of which
// looks at one part of the policy and fills one part of the message (docs/translation.md 2).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "control/snapshot/snapshot.h"
#include "control/translate/ip.h"
#include "control/translate/memo.h"
#include "control/translate/scope.h"

namespace envoy::config::cluster::v3 {
class Cluster;
}  // namespace envoy::config::cluster::v3

namespace graymesh::translate {

// Who will use a cluster: what works depends on how traffic reaches the proxy.
enum class Client : std::uint8_t {
  captured,  // a sidecar with redirected traffic: the original destination is known
  bound,     // a sidecar of INTERCEPTION_MODE NONE: it is not
  gateway,
  proxyless,  // gRPC itself, which refuses what it does not support
};

// The subset that stands in for `subset` while none of its endpoints answers; null if none does.
// Both may be null. Ours: docs/translation.md 13.1.
const model::Subset* fallback_of(const model::DestinationRule* rule, const model::Subset* subset);

// The settings of a DestinationRule that hold for one cluster; null where none is given.
struct Policy {
  const model::LoadBalancer* load_balancer = nullptr;
  const model::ConnectionPool* connection_pool = nullptr;
  const model::OutlierDetection* outlier_detection = nullptr;
  const model::ClientTls* tls = nullptr;
  const model::RetryBudget* retry_budget = nullptr;
  const model::ProxyProtocol* proxy_protocol = nullptr;
};

// Istio's precedence: a port's policy replaces the one above it, a subset's is laid over the
// host's. `rule` and `subset` may be null.
Policy policy_for(const model::DestinationRule* rule, std::uint32_t port,
                  const model::Subset* subset);

// How Envoy finds a cluster's endpoints.
enum class Discovery : std::uint8_t { eds, strict_dns, logical_dns, original_dst };
Discovery discovery_of(Client client, const snapshot::Service& service, const Policy& policy);

// Visits every cluster of a service: visit(std::size_t port_index, const model::Subset* subset),
// the whole port first (null), then its subsets in the rule's order.
template <typename Visit>
void for_each_cluster(const snapshot::SeenService& seen, Visit visit) {
  for (std::size_t i = 0; i < seen.service->ports.size(); ++i) {
    visit(i, static_cast<const model::Subset*>(nullptr));
    if (!seen.rule) continue;
    for (const model::Subset& subset : seen.rule->spec.subsets) visit(i, &subset);
  }
}

// What the passes look at.
struct ClusterInput {
  Client client = Client::captured;
  const model::MeshConfig& mesh;
  const snapshot::Service& service;
  const snapshot::Port& port;
  Policy policy;
  bool inbound = false;     // to the application beside the proxy
  bool falls_back = false;  // endpoints of another subset stand behind its own
};

// The passes.
// What its statistics are called; ends with a semicolon, which no name has.
void set_stat_name(std::string_view name, envoy::config::cluster::v3::Cluster& out);
void set_common(const model::MeshConfig& mesh, std::string_view name,
                envoy::config::cluster::v3::Cluster& out);
void set_connection_pool(const ClusterInput& input, envoy::config::cluster::v3::Cluster& out);
void set_outlier_detection(const ClusterInput& input, envoy::config::cluster::v3::Cluster& out);
void set_load_balancing(const ClusterInput& input, envoy::config::cluster::v3::Cluster& out);
void set_transport(const ClusterInput& input, envoy::config::cluster::v3::Cluster& out);

// "UNLIMITED" to Envoy, whose defaults (1024 of everything, 3 retries) would be limits nobody asked
// for.
inline constexpr std::uint32_t no_limit = 4294967295u;

// The clusters of all `services`, for the memo's key `client` and the mesh's settings. `vantage` is
// for those that carry their own endpoints.
Memo::Resources service_clusters(const snapshot::Snapshot& snapshot,
                                 const std::vector<snapshot::SeenService>& services, Client client,
                                 Family family, bool on_loopback, const Vantage& vantage,
                                 Memo& memo);
// True if some endpoint is not on loopback, or is a name, which may lead anywhere. The clusters of
// such a service must not keep a source address that is on loopback: the kernel would refuse to
// connect.
bool leaves_loopback(const snapshot::Endpoints& endpoints);
// True if endpoints are found by DNS and so are part of the cluster.
inline bool is_dns(const snapshot::Service& service) {
  return service.resolution == snapshot::Resolution::dns ||
         service.resolution == snapshot::Resolution::dns_round_robin;
}
// Where the connection was meant to go before it was redirected.
void set_original_destination(envoy::config::cluster::v3::Cluster& out);
// Which address connections come from, in place of the bootstrap's choice; "0.0.0.0": the kernel's.
void set_source(std::string_view address, envoy::config::cluster::v3::Cluster& out);
// filter_metadata.istio.services gets one more entry.
void add_service_metadata(const snapshot::Service& service,
                          envoy::config::cluster::v3::Cluster& out);

}  // namespace graymesh::translate
