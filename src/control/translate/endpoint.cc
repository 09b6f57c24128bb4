// Endpoint assignments: one for every EDS cluster, empty where nothing is selected, because Envoy
// waits for the answer (docs/translation.md 3).
//
// Remembered service by service, with the address of the service's Endpoints in the key: an
// endpoint that comes or goes costs the assignments of its own service and nothing else.
#include "control/translate/endpoint.h"

#include <algorithm>
#include <map>
#include <set>

#include "control/translate/ip.h"
#include "control/translate/parts.h"
#include "control/translate/vantage.h"
#include "control/translate/wire.h"
#include "envoy/config/endpoint/v3/endpoint.pb.h"

namespace graymesh::translate {
namespace {

using envoy::config::endpoint::v3::ClusterLoadAssignment;
using envoy::config::endpoint::v3::LbEndpoint;
using snapshot::Endpoint;

std::string_view label(const Endpoint& endpoint, std::initializer_list<std::string_view> names,
                       std::string_view otherwise) {
  for (const auto name : names) {
    const auto it = endpoint.labels.find(name);
    if (it != endpoint.labels.end() && !it->second.empty()) return it->second;
  }
  return otherwise;
}

// "workload;namespace;canonical name;canonical revision;cluster", for people and telemetry.
std::string workload_text(const Endpoint& endpoint) {
  const auto name =
      label(endpoint, {"service.istio.io/canonical-name", "app.kubernetes.io/name", "app"},
            endpoint.workload);
  auto revision =
      label(endpoint,
            {"service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"}, "");
  if (revision == "latest") revision = "";
  std::string text = endpoint.workload;
  text.append(";").append(endpoint.namespace_).append(";").append(name);
  text.append(";").append(revision).append(";").append(endpoint.cluster_id);
  return text;
}

envoy::config::core::v3::HealthStatus health_of(snapshot::Health health) {
  switch (health) {
    case snapshot::Health::healthy:
      return envoy::config::core::v3::HEALTHY;
    case snapshot::Health::unhealthy:
      return envoy::config::core::v3::UNHEALTHY;
    case snapshot::Health::draining:
      return envoy::config::core::v3::DRAINING;
  }
  return envoy::config::core::v3::UNKNOWN;
}

void set_endpoint(const Endpoint& from, LbEndpoint& out) {
  set_address(*out.mutable_endpoint()->mutable_address(), from.address, from.port);
  out.set_health_status(health_of(from.health));
  out.mutable_load_balancing_weight()->set_value(std::max(from.weight, 1u));
  auto& istio = *(*out.mutable_metadata()->mutable_filter_metadata())["istio"].mutable_fields();
  istio["workload"].set_string_value(workload_text(from));
}

// Who answers can be told by it: `%UPSTREAM_METADATA(graymesh:subset)%`.
void set_subset(const model::Subset& subset, LbEndpoint& out) {
  auto& own = *(*out.mutable_metadata()->mutable_filter_metadata())["graymesh"].mutable_fields();
  own["subset"].set_string_value(subset.name);
}

std::vector<LocalityGroup> group(const AssignmentInput& input) {
  std::map<snapshot::Locality, LocalityGroup> by_locality;
  // The same address twice would make gRPC refuse the whole assignment.
  std::set<std::pair<std::string_view, std::uint32_t>> seen;
  const auto own = input.vantage.labels.find(node_label);
  const std::string_view node =
      own == input.vantage.labels.end() ? std::string_view() : own->second;
  for (const Endpoint& endpoint : input.endpoints) {
    if (input.node_local && endpoint.node != node) continue;
    if (input.subset && !model::selects(input.subset->labels, endpoint.labels)) continue;
    if (input.not_in && model::selects(input.not_in->labels, endpoint.labels)) continue;
    // EDS knows addresses only; what is a name is for DNS.
    if (input.addresses_only && !is_ip(endpoint.address) &&
        !endpoint.address.starts_with("unix://"))
      continue;
    if (!seen.emplace(endpoint.address, endpoint.port).second) continue;
    auto& group = by_locality[endpoint.locality];
    group.endpoints.push_back(&endpoint);
    const std::uint32_t weight = std::max(endpoint.weight, 1u);
    group.weight = group.weight > no_limit - weight ? no_limit : group.weight + weight;
  }
  std::vector<LocalityGroup> groups;
  for (auto& [locality, members] : by_locality) {
    members.locality = locality;
    groups.push_back(std::move(members));
  }
  return groups;
}

resource::ResourcePtr assignment(const AssignmentInput& input, const snapshot::SeenService& seen) {
  ClusterLoadAssignment out;
  set_assignment(input, out);
  std::vector<std::string> origins{model::to_string(seen.service->origin)};
  return std::make_shared<const resource::Resource>(resource::Type::endpoints, out.cluster_name(),
                                                    serialize(out), std::move(origins));
}

Memo::Resources assignments(const model::MeshConfig& mesh, const snapshot::SeenService& seen,
                            const snapshot::Endpoints& endpoints, Client client,
                            const Vantage& vantage) {
  static const std::vector<Endpoint> none;
  Memo::Resources made;
  const snapshot::Service& service = *seen.service;
  for_each_cluster(seen, [&](std::size_t port, const model::Subset* subset) {
    const std::uint32_t number = service.ports[port].number;
    const Policy policy = policy_for(seen.rule ? &seen.rule->spec : nullptr, number, subset);
    if (discovery_of(client, service, policy) != Discovery::eds) return;
    const std::string name =
        outbound_cluster_name(number, subset ? subset->name : "", service.host);
    made.push_back(
        assignment({.cluster = name,
                    .endpoints = port < endpoints.by_port.size() ? endpoints.by_port[port] : none,
                    .subset = subset,
                    .vantage = vantage,
                    .rule = locality_rule(mesh, service, policy),
                    .node_local = service.node_local,
                    .addresses_only = true,
                    .fallback = client == Client::proxyless
                                    ? nullptr
                                    : fallback_of(seen.rule ? &seen.rule->spec : nullptr, subset)},
                   seen));
  });
  return made;
}

}  // namespace

namespace {

// Adds the endpoints that `input` selects, from `priority` on; returns how many there are.
std::size_t add_endpoints(const AssignmentInput& input, std::uint32_t priority, bool marked,
                          ClusterLoadAssignment& out) {
  auto groups = group(input);
  apply_locality_rule(input, groups);
  std::size_t count = 0;
  for (const auto& group : groups) {
    auto& to = *out.add_endpoints();
    auto& locality = *to.mutable_locality();  // gRPC wants one, if only an empty one
    locality.set_region(group.locality.region);
    locality.set_zone(group.locality.zone);
    locality.set_sub_zone(group.locality.sub_zone);
    to.set_priority(priority + group.priority);
    if (group.weight > 0) to.mutable_load_balancing_weight()->set_value(group.weight);
    for (const Endpoint* endpoint : group.endpoints) {
      auto& added = *to.add_lb_endpoints();
      set_endpoint(*endpoint, added);
      if (marked) set_subset(*input.subset, added);
    }
    count += group.endpoints.size();
  }
  return count;
}

// Envoy spreads requests over priorities once less than 1/1.4 of the first is healthy; with this,
// the first has them all while one of its endpoints is.
constexpr std::uint32_t first_priority_alone = 1'000'000;

}  // namespace

std::size_t set_assignment(const AssignmentInput& input, ClusterLoadAssignment& out) {
  out.set_cluster_name(std::string(input.cluster));
  const bool falls_back = input.subset && input.fallback;
  const std::size_t count = add_endpoints(input, 0, falls_back, out);
  if (!falls_back) return count;
  // 1 also where there are no own ones, so that nobody moves when the first comes or the last goes.
  std::uint32_t next = 1;
  for (const auto& group : out.endpoints()) next = std::max(next, group.priority() + 1);
  AssignmentInput behind = input;
  behind.subset = input.fallback;
  behind.not_in = input.subset;
  out.mutable_policy()->mutable_overprovisioning_factor()->set_value(first_priority_alone);
  return count + add_endpoints(behind, next, true, out);
}

BundlePtr Assigner::of(const snapshot::SeenService& seen, const snapshot::EndpointsPtr& endpoints,
                       Memo& memo) const {
  if (is_dns(*seen.service)) return nullptr;
  MemoKey key("endpoints");
  key.add(static_cast<std::uint64_t>(client_)).add(mesh_).add(seen.service).add(seen.rule);
  // Most often no rule compares anything with the proxy.
  const bool anywhere = vantage_ == Vantage{};
  key.add(endpoints).add(anywhere ? std::string() : text_of(vantage_, heeds_of(*mesh_, seen)));
  return memo.bundle(std::move(key),
                     [&] { return assignments(*mesh_, seen, *endpoints, client_, vantage_); });
}

}  // namespace graymesh::translate
