#include "control/snapshot/workload.h"

#include <algorithm>

namespace graymesh::snapshot {
namespace {

std::string label(const model::Labels& labels, std::string_view name) {
  const auto at = labels.find(name);
  return at == labels.end() ? std::string() : at->second;
}

Workload workload_of_pod(const model::ObjectPtr& object, const Localities& localities) {
  const auto& pod = object->as<model::Pod>();
  const auto& meta = object->meta;
  Workload workload{.endpoint = {}, .addresses = pod.ips, .object = object};
  Endpoint& endpoint = workload.endpoint;
  if (!pod.ips.empty()) endpoint.address = pod.ips.front();
  endpoint.labels = meta.labels;
  endpoint.namespace_ = meta.key.namespace_;
  endpoint.workload = pod.workload.empty() ? meta.key.name : pod.workload;
  endpoint.service_account = pod.service_account;
  endpoint.network = label(meta.labels, "topology.istio.io/network");
  endpoint.node = pod.node;
  if (const auto locality = locality_label(meta.labels)) {
    endpoint.locality = *locality;
  } else if (const auto node = localities.find(pod.node); node != localities.end()) {
    endpoint.locality = node->second;
  }
  workload.gone = pod.phase == "Succeeded" || pod.phase == "Failed";
  // A pod written by hand has an address but no conditions.
  workload.ready = !workload.gone && !pod.terminating && (pod.ready || pod.phase.empty());
  return workload;
}

Workload workload_of_entry(const model::ObjectPtr& object) {
  const auto& entry = object->as<model::WorkloadEntry>();
  model::Labels labels = object->meta.labels;  // they win over those of the spec
  labels.insert(entry.labels.begin(), entry.labels.end());
  Workload workload{.endpoint = endpoint_of(entry, labels, object->meta.key.namespace_),
                    .addresses = {entry.address},
                    .object = object};
  workload.endpoint.workload = object->meta.key.name;
  workload.ready = entry.healthy;
  return workload;
}

}  // namespace

Localities localities_of(const NamespaceObjects& cluster) {
  Localities result;
  for (const auto& node : cluster.of(model::Kind::node)) {
    const auto& labels = node->meta.labels;
    Locality locality{.region = label(labels, "topology.kubernetes.io/region"),
                      .zone = label(labels, "topology.kubernetes.io/zone"),
                      .sub_zone = label(labels, "topology.istio.io/subzone")};
    if (locality != Locality{}) result.emplace(node->meta.key.name, std::move(locality));
  }
  return result;
}

std::string label_pair(std::string_view name, std::string_view value) {
  std::string result;
  result.reserve(name.size() + 1 + value.size());
  return result.append(name).append(1, '=').append(value);
}

Locality locality_named(std::string_view text) {
  const auto next = [&text]() -> std::string {
    const auto slash = std::min(text.find('/'), text.size());
    std::string part(text.substr(0, slash));
    text.remove_prefix(std::min(slash + 1, text.size()));
    return part;
  };
  Locality result;
  result.region = next();
  result.zone = next();
  result.sub_zone = next();
  return result;
}

std::optional<Locality> locality_label(const model::Labels& labels) {
  std::string text = label(labels, "topology.istio.io/locality");
  if (text.empty()) text = label(labels, "istio-locality");
  if (text.empty()) return std::nullopt;
  if (text.find('/') == std::string::npos) std::ranges::replace(text, '.', '/');
  return locality_named(text);
}

Endpoint endpoint_of(const model::WorkloadEntry& entry, const model::Labels& labels,
                     std::string_view namespace_) {
  Endpoint endpoint;
  endpoint.address = entry.address;
  endpoint.labels = labels;
  endpoint.namespace_ = namespace_;
  endpoint.service_account = entry.service_account;
  endpoint.network = entry.network;
  endpoint.weight = entry.weight == 0 ? 1 : entry.weight;
  if (!entry.locality.empty()) {
    endpoint.locality = locality_named(entry.locality);
  } else if (const auto locality = locality_label(labels)) {
    endpoint.locality = *locality;
  }
  return endpoint;
}

std::optional<std::uint32_t> Workload::port_named(std::string_view name) const {
  if (const auto* of_pod = pod()) {
    for (const auto& port : of_pod->ports) {
      if (port.name == name) return port.number;
    }
  } else if (const auto* of_entry = entry()) {
    for (const auto& [port_name, number] : of_entry->ports) {
      if (port_name == name) return number;
    }
  }
  return std::nullopt;
}

Workloads::Workloads(const NamespaceObjects& objects, const Localities& localities) {
  const auto& pods = objects.of(model::Kind::pod);
  const auto& entries = objects.of(model::Kind::workload_entry);
  all_.reserve(pods.size() + entries.size());
  for (const auto& pod : pods) all_.push_back(workload_of_pod(pod, localities));
  for (const auto& entry : entries) all_.push_back(workload_of_entry(entry));

  for (std::size_t i = 0; i < all_.size(); ++i) {
    const Workload& workload = all_[i];
    const auto* pod = workload.pod();
    if (pod != nullptr) pods_by_name_.emplace(workload.object->meta.key.name, i);
    for (const auto& [key, value] : workload.endpoint.labels) {
      by_label_[label_pair(key, value)].push_back(i);
    }
    // Many pods share the address of their node: it names none of them. Nor does that of an ended
    // pod.
    if (workload.gone || (pod != nullptr && pod->host_network)) continue;
    for (const auto& address : workload.addresses) by_address_.emplace(address, i);
  }
}

const Workload* Workloads::pod(std::string_view name) const {
  const auto at = pods_by_name_.find(name);
  return at == pods_by_name_.end() ? nullptr : &all_[at->second];
}

const Workload* Workloads::at(std::string_view address) const {
  const auto at = by_address_.find(address);
  return at == by_address_.end() ? nullptr : &all_[at->second];
}

std::vector<const Workload*> Workloads::selected(const model::Labels& selector) const {
  std::vector<const Workload*> result;
  const std::vector<std::size_t>* rarest = nullptr;
  for (const auto& [key, value] : selector) {
    const auto at = by_label_.find(label_pair(key, value));
    if (at == by_label_.end()) return {};
    if (rarest == nullptr || at->second.size() < rarest->size()) rarest = &at->second;
  }
  if (rarest == nullptr) return {};
  for (const std::size_t i : *rarest) {
    if (model::selects(selector, all_[i].endpoint.labels)) result.push_back(&all_[i]);
  }
  return result;
}

}  // namespace graymesh::snapshot
