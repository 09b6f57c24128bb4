// Which endpoints are near, and what that means (docs/translation.md 8). One of:
//
//   distribute   traffic from here goes to localities by given shares: weights move
//   failover     nearer endpoints first: priorities move; 0 same sub-zone, 1 same zone, 2 same
//                region, 3 elsewhere; or by the labels of failoverPriority
//
// Both need to know where the proxy is.
#include <algorithm>
#include <map>
#include <set>

#include "control/translate/endpoint.h"

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

std::uint32_t by_region(const model::LocalityLb* settings, const Locality& from,
                        const Locality& to) {
  const std::uint32_t near = distance(from, to);
  if (near < 3 || !settings) return near;
  for (const auto& failover : settings->failover) {
    if (failover.from == from.region) return failover.to == to.region ? 3 : 4;
  }
  return near;
}

std::string_view find_label(const model::Labels* labels, const Locality& locality,
                            std::string_view name) {
  if (labels) {
    if (const auto it = labels->find(name); it != labels->end()) return it->second;
  }
  if (name == "topology.kubernetes.io/region") return locality.region;
  if (name == "topology.kubernetes.io/zone") return locality.zone;
  if (name == "topology.istio.io/subzone") return locality.sub_zone;
  return {};
}

// How many of the labels, from the first that differs on, are lost.
std::uint32_t by_labels(const std::vector<std::string>& wanted, const AssignmentInput& input,
                        const Endpoint& endpoint) {
  std::uint32_t lost = static_cast<std::uint32_t>(wanted.size());
  for (const std::string& want : wanted) {
    const auto equals = want.find('=');
    const auto name = std::string_view(want).substr(0, equals);
    const auto value = equals == std::string::npos
                           ? find_label(input.proxy_labels, input.proxy, name)
                           : std::string_view(want).substr(equals + 1);
    if (find_label(&endpoint.labels, endpoint.locality, name) != value) break;
    --lost;
  }
  return lost;
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

}  // namespace

LocalityRule locality_rule(const model::MeshConfig& mesh, const Policy& policy) {
  const model::LocalityLb* settings = mesh.locality_lb ? &*mesh.locality_lb : nullptr;
  if (policy.load_balancer && policy.load_balancer->locality)
    settings = &*policy.load_balancer->locality;
  if (settings && !settings->enabled.value_or(true)) return {};
  LocalityRule rule{.settings = settings};
  rule.distribute = settings && !settings->distribute.empty();
  rule.failover = !rule.distribute && policy.outlier_detection != nullptr;
  const bool named =
      settings && (!settings->failover.empty() || !settings->failover_priority.empty());
  rule.weighted = rule.distribute || (rule.failover && named);
  return rule;
}

void apply_locality_rule(const AssignmentInput& input, Groups& groups) {
  if (input.proxy == Locality{}) return;
  const LocalityRule& rule = input.rule;
  if (rule.distribute) {
    for (const auto& entry : rule.settings->distribute) {
      if (matches(entry.from, input.proxy)) return distribute(entry, groups);
    }
    return;
  }
  if (!rule.failover) return;
  const auto* settings = rule.settings;
  if (!settings || settings->failover_priority.empty()) {
    return prioritise(
        groups, [&](const Endpoint& e) { return by_region(settings, input.proxy, e.locality); });
  }
  prioritise(groups, [&](const Endpoint& e) {
    const std::uint32_t first = by_labels(settings->failover_priority, input, e);
    return settings->failover.empty() ? first
                                      : first * 5 + by_region(settings, input.proxy, e.locality);
  });
}

}  // namespace graymesh::translate
