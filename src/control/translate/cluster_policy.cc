// Which settings of a DestinationRule hold for one cluster (docs/translation.md 2.8).
//
//   host policy --(port entry? it alone counts)--> base
//   subset policy --(likewise)--> laid over base, setting by setting
#include "control/translate/cluster.h"

namespace graymesh::translate {
namespace {

template <typename T>
const T* address_of(const std::optional<T>& value) {
  return value ? &*value : nullptr;
}

const model::PortPolicy* port_entry(const model::TrafficPolicy& policy, std::uint32_t port) {
  for (const auto& [number, entry] : policy.port_level) {
    if (number == port) return &entry;
  }
  return nullptr;
}

Policy main_settings(const model::PortPolicy& policy) {
  return {.load_balancer = address_of(policy.load_balancer),
          .connection_pool = address_of(policy.connection_pool),
          .outlier_detection = address_of(policy.outlier_detection),
          .tls = address_of(policy.tls)};
}

}  // namespace

Policy policy_for(const model::DestinationRule* rule, std::uint32_t port,
                  const model::Subset* subset) {
  Policy base;
  if (!rule) return base;
  if (const auto* policy = address_of(rule->policy)) {
    if (const auto* entry = port_entry(*policy, port)) {
      base = main_settings(*entry);  // the rest is lost here, as in Istio
    } else {
      base = main_settings(*policy);
      base.retry_budget = address_of(policy->retry_budget);
      base.proxy_protocol = address_of(policy->proxy_protocol);
    }
  }
  const auto* over = subset ? address_of(subset->policy) : nullptr;
  if (!over) return base;
  if (const auto* entry = port_entry(*over, port)) {
    Policy mine = main_settings(*entry);  // also what it leaves out, as in Istio
    mine.retry_budget = base.retry_budget;
    mine.proxy_protocol = base.proxy_protocol;
    return mine;
  }
  const Policy mine = main_settings(*over);
  if (mine.load_balancer) base.load_balancer = mine.load_balancer;
  if (mine.connection_pool) base.connection_pool = mine.connection_pool;
  if (mine.outlier_detection) base.outlier_detection = mine.outlier_detection;
  if (mine.tls) base.tls = mine.tls;
  if (over->retry_budget) base.retry_budget = &*over->retry_budget;
  if (over->proxy_protocol) base.proxy_protocol = &*over->proxy_protocol;
  return base;
}

const model::Subset* fallback_of(const model::DestinationRule* rule, const model::Subset* subset) {
  if (!rule || !subset || subset->fallback.empty()) return nullptr;
  for (const auto& other : rule->subsets) {
    if (other.name == subset->fallback) return &other;
  }
  return nullptr;
}

Discovery discovery_of(Client client, const snapshot::Service& service, const Policy& policy) {
  using snapshot::Resolution;
  const bool to_original = policy.load_balancer &&
                           policy.load_balancer->simple == model::LoadBalancer::Simple::passthrough;
  if (client == Client::captured &&
      (to_original || service.resolution == Resolution::passthrough)) {
    return Discovery::original_dst;
  }
  switch (service.resolution) {
    case Resolution::dns:
      return Discovery::strict_dns;
    case Resolution::dns_round_robin:
      return Discovery::logical_dns;
    case Resolution::endpoints:
    case Resolution::passthrough:
      break;
  }
  // Without an original destination, headless services are reached by their endpoints.
  return Discovery::eds;
}

}  // namespace graymesh::translate
