#include "control/translate/vantage.h"

#include "control/translate/cluster.h"
#include "control/translate/endpoint.h"

namespace graymesh::translate {
namespace {

// Which labels of the proxy failoverPriority compares: "key" does, "key=value" does not.
void add_compared(const std::vector<std::string>& priority, Heeds& out) {
  for (const std::string& label : priority) {
    if (label.find('=') == std::string::npos) out.labels.insert(label);
  }
}

void add_heeded(const LocalityRule& rule, Heeds& out) {
  if (!rule.distribute && !rule.failover) return;
  const auto* settings = rule.settings;
  const bool by_labels = !rule.distribute && settings && !settings->failover_priority.empty();
  if (!by_labels || !settings->failover.empty()) out.locality = true;
  if (by_labels) add_compared(settings->failover_priority, out);
}

void put(std::string& text, std::string_view value) {
  text.append(std::to_string(value.size())).append(":").append(value).append("|");
}

}  // namespace

std::string_view find_label(const Topology& workload, std::string_view name) {
  const auto own = workload.labels.find(name);
  const std::string_view label = own == workload.labels.end() ? std::string_view() : own->second;
  const auto place = [&](std::string_view known) { return known.empty() ? label : known; };
  if (name == region_label) return place(workload.locality.region);
  if (name == zone_label) return place(workload.locality.zone);
  if (name == sub_zone_label) return place(workload.locality.sub_zone);
  if (name == node_label) return place(workload.node);
  if (name == cluster_label) return place(workload.cluster);
  if (name == network_label && label.empty()) return workload.network;
  return label;
}

void Heeds::add(const Heeds& other) {
  locality = locality || other.locality;
  labels.insert(other.labels.begin(), other.labels.end());
}

Heeds heeds_of(const model::MeshConfig& mesh, const snapshot::SeenService& seen) {
  Heeds heeds;
  const snapshot::Service& service = *seen.service;
  if (service.node_local) heeds.labels.emplace(node_label);
  const bool plain = !seen.rule && service.distribution == model::TrafficDistribution::any;
  if (plain && !(mesh.locality_lb && !mesh.locality_lb->distribute.empty())) return heeds;
  for_each_cluster(seen, [&](std::size_t port, const model::Subset* subset) {
    const Policy policy =
        policy_for(seen.rule ? &seen.rule->spec : nullptr, service.ports[port].number, subset);
    add_heeded(locality_rule(mesh, service, policy), heeds);
  });
  return heeds;
}

std::string text_of(const Vantage& vantage, const Heeds& heeds) {
  std::string text;
  if (heeds.locality) {
    put(text, vantage.locality.region);
    put(text, vantage.locality.zone);
    put(text, vantage.locality.sub_zone);
  }
  for (const std::string& name : heeds.labels) {
    put(text, name);
    const auto at = vantage.labels.find(name);
    put(text, at == vantage.labels.end() ? std::string_view() : at->second);
  }
  return text;
}

}  // namespace graymesh::translate
