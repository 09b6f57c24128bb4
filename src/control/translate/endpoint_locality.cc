// Which endpoints are near, and what that means (docs/translation.md 8). One of:
//
//   distribute   traffic from here goes to localities by given shares: weights move
//   failover     nearer endpoints first: priorities move; 0 same sub-zone, 1 same zone, 2 same
//                region, 3 elsewhere; or by the labels of failoverPriority, among which the
//                network weighs more than all others
//
// A service's trafficDistribution is failover by labels that asks for no outlierDetection: which
// endpoints are not ready is told with them.
#include <algorithm>
#include <map>
#include <set>

#include "control/translate/endpoint.h"
#include "control/translate/vantage.h"

namespace graymesh::translate {
namespace {

using snapshot::Endpoint;
using snapshot::Locality;
using Groups = std::vector<LocalityGroup>;

// "region/zone/sub_zone", each part a name, `*` or missing, which is any.
bool matches(std::string_view pattern, const Locality& locality) {
  for (const std::string* part : {&locality.region, &locality.zone, &locality.sub_zone}) {
    const auto slash = pattern.find('/');
    const auto want = pattern.substr(0, slash);
    if (want == "*" || want.empty()) return true;
    if (want != *part) return false;
    if (slash == std::string_view::npos) return true;
    pattern.remove_prefix(slash + 1);
  }
  return true;
}

void distribute(const model::LocalityLb::Distribute& rule, Groups& groups) {
  std::set<LocalityGroup*> taken;
  // The most specific first: "r/z/s" before "r/z/*" before "r/*". A share goes to all that it
  // names.
  std::vector<std::pair<std::string, std::uint32_t>> shares(rule.to.begin(), rule.to.end());
  std::stable_sort(shares.begin(), shares.end(), [](const auto& a, const auto& b) {
    const bool a_wild = a.first.ends_with('*');
    if (a_wild != b.first.ends_with('*')) return !a_wild;
    return a.first.size() > b.first.size();
  });
  for (const auto& [where, share] : shares) {
    std::vector<LocalityGroup*> named;
    std::uint64_t total = 0;
    for (auto& group : groups) {
      if (taken.contains(&group) || !matches(where, group.locality)) continue;
      named.push_back(&group);
      total += group.weight;
    }
    for (LocalityGroup* group : named) {
      taken.insert(group);
      if (total == 0) continue;
      group->weight =
          static_cast<std::uint32_t>((std::uint64_t{group->weight} * share + total - 1) / total);
    }
  }
  for (auto& group : groups) {
    if (!taken.contains(&group)) group.endpoints.clear(), group.weight = 0;
  }
}

std::uint32_t distance(const Locality& from, const Locality& to) {
  if (from.region != to.region) return 3;
  if (from.zone != to.zone) return 2;
  return from.sub_zone == to.sub_zone ? 0 : 1;
}

// Ours: a proxy that is nowhere is near to all.
std::uint32_t by_region(const model::LocalityLb* settings, const Locality& from,
                        const Locality& to) {
  if (from == Locality{}) return 0;
  const std::uint32_t near = distance(from, to);
  if (near < 3 || !settings) return near;
  for (const auto& failover : settings->failover) {
    if (failover.from == from.region) return failover.to == to.region ? 3 : 4;
  }
  return near;
}

// Whether an endpoint has the label as it is wanted: "key", which is as the proxy has it, or
// "key=value".
bool agrees(std::string_view wanted, const Vantage& vantage, const Endpoint& endpoint) {
  const auto equals = wanted.find('=');
  const auto name = wanted.substr(0, equals);
  const auto own = vantage.labels.find(name);
  const std::string_view proxy =
      own == vantage.labels.end() ? std::string_view() : std::string_view(own->second);
  const std::string_view value = find_label({.labels = endpoint.labels,
                                             .locality = endpoint.locality,
                                             .node = endpoint.node,
                                             .network = endpoint.network,
                                             .cluster = endpoint.cluster_id},
                                            name);
  // We know one cluster, which has no name.
  if (name == cluster_label && value.empty()) return true;
  return value == (equals == std::string_view::npos ? proxy : wanted.substr(equals + 1));
}

// How many of the labels, from the first that differs on, are lost. A network in front is no part
// of that run: another network comes behind all that the other labels say of the own.
std::uint32_t by_labels(const std::vector<std::string>& wanted, const Vantage& vantage,
                        const Endpoint& endpoint) {
  const auto count = static_cast<std::uint32_t>(wanted.size());
  std::uint32_t behind = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (agrees(wanted[i], vantage, endpoint)) continue;
    if (i > 0 || wanted[i] != network_label) return behind + count - i;
    behind = count;
  }
  return behind;
}

// Groups again, by (locality, priority), as `priority_of` says of each endpoint.
template <typename PriorityOf>
void prioritise(Groups& groups, PriorityOf priority_of) {
  Groups out;
  for (const auto& group : groups) {
    std::map<std::uint32_t, LocalityGroup> split;
    for (const Endpoint* endpoint : group.endpoints) {
      const std::uint32_t priority = priority_of(*endpoint);
      auto& part = split[priority];
      part.locality = group.locality;
      part.priority = priority;
      part.weight += std::max(endpoint->weight, 1u);
      part.endpoints.push_back(endpoint);
    }
    for (auto& [priority, part] : split) out.push_back(std::move(part));
  }
  // Envoy wants 0, 1, 2, ... without gaps.
  std::map<std::uint32_t, std::uint32_t> dense;
  for (const auto& group : out) dense[group.priority] = 0;
  std::uint32_t next = 0;
  for (auto& [priority, number] : dense) number = next++;
  for (auto& group : out) group.priority = dense[group.priority];
  groups = std::move(out);
}

model::LocalityLb preferring(std::initializer_list<std::string_view> labels) {
  model::LocalityLb settings;
  settings.failover_priority.assign(labels.begin(), labels.end());
  return settings;
}

// What a service's trafficDistribution means; null: nothing.
const model::LocalityLb* preference_of(model::TrafficDistribution distribution) {
  static const auto same_zone = preferring({network_label, region_label, zone_label});
  static const auto same_node =
      preferring({network_label, region_label, zone_label, sub_zone_label, node_label});
  switch (distribution) {
    case model::TrafficDistribution::same_zone:
      return &same_zone;
    case model::TrafficDistribution::same_node:
      return &same_node;
    case model::TrafficDistribution::any:
      break;
  }
  return nullptr;
}

}  // namespace

LocalityRule locality_rule(const model::MeshConfig& mesh, const snapshot::Service& service,
                           const Policy& policy) {
  const auto* settings = policy.load_balancer && policy.load_balancer->locality
                             ? &*policy.load_balancer->locality
                             : nullptr;
  const auto* preference = settings ? nullptr : preference_of(service.distribution);
  if (preference) settings = preference;
  if (!settings && mesh.locality_lb) settings = &*mesh.locality_lb;
  if (settings && !settings->enabled.value_or(true)) return {};
  LocalityRule rule{.settings = settings};
  rule.distribute = settings && !settings->distribute.empty();
  rule.failover = !rule.distribute && (policy.outlier_detection != nullptr || preference);
  const bool named =
      settings && (!settings->failover.empty() || !settings->failover_priority.empty());
  rule.weighted = rule.distribute || (rule.failover && named);
  return rule;
}

void apply_locality_rule(const AssignmentInput& input, Groups& groups) {
  const LocalityRule& rule = input.rule;
  const Locality& from = input.vantage.locality;
  if (rule.distribute) {
    for (const auto& entry : rule.settings->distribute) {
      if (matches(entry.from, from)) return distribute(entry, groups);
    }
    return;
  }
  if (!rule.failover) return;
  const auto* settings = rule.settings;
  if (!settings || settings->failover_priority.empty()) {
    return prioritise(groups,
                      [&](const Endpoint& e) { return by_region(settings, from, e.locality); });
  }
  prioritise(groups, [&](const Endpoint& e) {
    const std::uint32_t first = by_labels(settings->failover_priority, input.vantage, e);
    return settings->failover.empty() ? first : first * 5 + by_region(settings, from, e.locality);
  });
}

}  // namespace graymesh::translate
