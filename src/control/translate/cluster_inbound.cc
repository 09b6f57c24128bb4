// Clusters to the application beside the proxy (docs/translation.md 2.12).
#include "control/translate/cluster.h"
#include "control/translate/inbound.h"
#include "control/translate/parts.h"
#include "control/translate/wire.h"
#include "envoy/config/cluster/v3/cluster.pb.h"

namespace graymesh::translate {
namespace {

using envoy::config::cluster::v3::Cluster;
using resource::Resource;
using resource::Type;

resource::ResourcePtr inbound_cluster(const InboundPort& inbound, const InboundScope& scope) {
  const model::MeshConfig& mesh = scope.snapshot->mesh();
  static const snapshot::Service no_service;
  const snapshot::Service& service =
      inbound.services.empty() ? no_service : *inbound.services.front();
  snapshot::Port port;
  port.protocol = inbound.protocol;
  // Of a rule only the connection pool has a meaning towards one's own application.
  Policy policy;
  if (inbound.rule) {
    policy.connection_pool =
        policy_for(&inbound.rule->spec, inbound.service_port, nullptr).connection_pool;
  }
  Cluster out;
  set_common(mesh, inbound_cluster_name(inbound.port), out);
  if (inbound.to_address.empty()) {
    out.set_type(Cluster::ORIGINAL_DST);
    out.set_lb_policy(Cluster::CLUSTER_PROVIDED);
    set_duration(*out.mutable_cleanup_interval(), std::chrono::hours(24 * 365));
  } else {
    out.set_type(Cluster::STATIC);
    out.mutable_common_lb_config();
    auto& assignment = *out.mutable_load_assignment();
    assignment.set_cluster_name(out.name());
    auto& endpoint = *assignment.add_endpoints()->add_lb_endpoints();
    set_address(*endpoint.mutable_endpoint()->mutable_address(), inbound.to_address,
                inbound.to_port);
  }
  if (inbound.from_proxy) set_source(proxy_source(scope.family), out);
  set_connection_pool({.client = scope.captured ? Client::captured : Client::bound,
                       .mesh = mesh,
                       .service = service,
                       .port = port,
                       .policy = policy,
                       .inbound = true},
                      out);
  std::vector<std::string> origins;
  for (const auto& each : inbound.services) {
    add_service_metadata(*each, out);
    origins.push_back(model::to_string(each->origin));
  }
  return std::make_shared<const Resource>(Type::cluster, out.name(), serialize(out),
                                          std::move(origins));
}

resource::ResourcePtr inbound_passthrough(const model::MeshConfig& mesh, Family family) {
  Cluster out;
  set_common(mesh, "InboundPassthroughCluster", out);
  set_original_destination(out);
  set_source(proxy_source(family), out);
  return std::make_shared<const Resource>(Type::cluster, out.name(), serialize(out));
}

}  // namespace

Resources inbound_clusters(const InboundScope& scope, Memo& memo) {
  const auto mesh = scope.snapshot->mesh_ptr();
  Resources out;
  for (const auto& inbound : inbound_ports(scope)) {
    MemoKey key("inbound cluster");
    key.add(mesh)
        .add(inbound.rule)
        .add(inbound.port)
        .add(static_cast<std::uint64_t>(inbound.protocol));
    key.add(inbound.service_port).add(inbound.to_address).add(inbound.to_port);
    key.add(static_cast<std::uint64_t>(scope.captured))
        .add(static_cast<std::uint64_t>(inbound.from_proxy))
        .add(proxy_source(scope.family));
    for (const auto& service : inbound.services) key.add(service);
    out.push_back(memo.resource(std::move(key), [&] { return inbound_cluster(inbound, scope); }));
  }
  if (scope.captured) {
    MemoKey key("InboundPassthroughCluster");
    key.add(mesh).add(proxy_source(scope.family));
    out.push_back(
        memo.resource(std::move(key), [&] { return inbound_passthrough(*mesh, scope.family); }));
  }
  return out;
}

}  // namespace graymesh::translate
