// Where a destination leads: its cluster's name, and what its requests are spread by
// (docs/translation.md 4.6, 4.10).
#include "control/translate/cluster.h"
#include "control/translate/parts.h"
#include "control/translate/route_parts.h"
#include "control/translate/wire.h"
#include "envoy/config/route/v3/route_components.pb.h"

namespace graymesh::translate {
namespace {

const model::ConsistentHash* hash_of(const model::PortPolicy& policy) {
  return policy.load_balancer && policy.load_balancer->consistent_hash
             ? &*policy.load_balancer->consistent_hash
             : nullptr;
}

const model::ConsistentHash* hash_of(const std::optional<model::TrafficPolicy>& policy,
                                     std::uint32_t port) {
  if (!policy) return nullptr;
  for (const auto& [number, entry] : policy->port_level) {
    if (number != port) continue;
    if (const auto* hash = hash_of(entry)) return hash;
  }
  return nullptr;
}

// The most specific that there is; a `port` of 0 asks for no port's own settings.
const model::ConsistentHash* hash_of(const snapshot::DestinationRule& rule,
                                     std::string_view subset_name, std::uint32_t port) {
  const auto* subset = subset_name.empty() ? nullptr : rule.subset(subset_name);
  if (subset && subset->policy) {
    if (const auto* hash = hash_of(subset->policy, port)) return hash;
    if (const auto* hash = hash_of(*subset->policy)) return hash;
  }
  if (const auto* hash = hash_of(rule.spec.policy, port)) return hash;
  return rule.spec.policy ? hash_of(*rule.spec.policy) : nullptr;
}

}  // namespace

Lookup::Lookup(std::span<const snapshot::SeenService> services) {
  by_host_.reserve(services.size() * 2);
  for (const auto& seen : services) by_host_.emplace(seen.service->host, &seen);
  for (const auto& seen : services) {
    for (const auto& alias : seen.service->aliases) by_host_.emplace(alias, &seen);
  }
}

const snapshot::SeenService* Lookup::find(std::string_view host) const {
  const auto it = by_host_.find(host);
  return it == by_host_.end() ? nullptr : it->second;
}

Target target_of(const model::Destination& destination, const Place& place) {
  Target target{.host = destination.host, .port = destination.port ? destination.port : place.port};
  const auto* seen = place.services.find(destination.host);
  if (!seen) return target;
  target.host = seen->service->host;
  const auto& ports = seen->service->ports;
  if (destination.port == 0 && ports.size() == 1) target.port = ports.front().number;
  if (!seen->rule) return target;
  target.falls_back =
      fallback_of(&seen->rule->spec, seen->rule->subset(destination.subset)) != nullptr;
  // Istio asks for a port's own settings only where the destination names the port.
  target.hash = hash_of(*seen->rule, destination.subset, destination.port);
  if (target.hash) target.rule = &seen->rule;
  return target;
}

std::string cluster_name(const model::Destination& destination, const Place& place) {
  const Target target = target_of(destination, place);
  return outbound_cluster_name(target.port, destination.subset, target.host);
}

void add_hash_policy(const model::ConsistentHash& hash, envoy_route::RouteAction& out) {
  auto& policy = *out.add_hash_policy();
  if (const auto* header = std::get_if<model::ConsistentHash::Header>(&hash.key)) {
    policy.mutable_header()->set_header_name(header->name);
  } else if (const auto* cookie = std::get_if<model::HttpCookie>(&hash.key)) {
    auto& made = *policy.mutable_cookie();
    made.set_name(cookie->name);
    made.set_path(cookie->path);
    if (cookie->ttl) set_duration(*made.mutable_ttl(), *cookie->ttl);
    for (const auto& [name, value] : cookie->attributes) {
      auto& attribute = *made.add_attributes();
      attribute.set_name(name);
      attribute.set_value(value);
    }
  } else if (const auto* query = std::get_if<model::ConsistentHash::QueryParameter>(&hash.key)) {
    policy.mutable_query_parameter()->set_name(query->name);
  } else {
    policy.mutable_connection_properties()->set_source_ip(true);
  }
}

}  // namespace graymesh::translate
