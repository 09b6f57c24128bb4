// What of one Snapshot is still so in another, by addresses first and values only where those
// differ: asked for every proxy after every change.
#include <algorithm>

#include "control/snapshot/snapshot_data.h"

namespace graymesh::snapshot {
namespace {

using Territories = std::map<std::string, TerritoryPtr, std::less<>>;

bool same_workload(const Workload* a, const Workload* b) {
  if (a == b) return true;
  if (a == nullptr || b == nullptr) return false;
  if (a->endpoint != b->endpoint || a->addresses != b->addresses) return false;
  if (a->object == b->object) return true;
  const auto *pod = a->pod(), *other_pod = b->pod();
  if (pod != nullptr && other_pod != nullptr)
    return pod->ports == other_pod->ports && pod->lane_stamp == other_pod->lane_stamp;
  const auto *entry = a->entry(), *other_entry = b->entry();
  return entry != nullptr && other_entry != nullptr && entry->ports == other_entry->ports;
}

bool same_workloads(const Running& a, const Running& b, std::span<const std::string> addresses) {
  return a.workloads == b.workloads || std::ranges::all_of(addresses, [&](const auto& address) {
           return same_workload(a.workloads->at(address), b.workloads->at(address));
         });
}

bool same_served(const Running& a, const Running& b, std::span<const std::string> addresses) {
  return &a == &b || std::ranges::all_of(addresses, [&](const auto& address) {
    return a.served.of(address) == b.served.of(address);
  });
}

bool same_services(const Territory& a, const Territory& b) {
  return a.services == b.services || a.services->services == b.services->services;
}

}  // namespace

bool Snapshot::same_declared(const Snapshot& other) const {
  return data_->catalog == other.data_->catalog && data_->mesh == other.data_->mesh;
}

std::vector<ServicePtr> Snapshot::moved(const Snapshot& since) const {
  std::vector<ServicePtr> moved;
  for (const auto& [name, territory] : data_->territories) {
    const Territory* then = since.data_->territory(name);
    if (then != nullptr && then->running == territory->running) continue;
    const auto& services = territory->services->services;
    const Running& running = *territory->running;
    if (then != nullptr && then->services == territory->services) {
      running.answers.each_apart(then->running->answers, [&](std::size_t i) {
        if (then->running->endpoints(i) != running.endpoints(i)) moved.push_back(services[i]);
        return true;
      });
      continue;
    }
    for (std::size_t i = 0; i < services.size(); ++i) {
      const std::size_t at = then == nullptr ? 0 : then->services->index_of(services[i]->host);
      const bool known = then != nullptr && at < then->running->answers.size();
      if (!known || then->running->endpoints(at) != running.endpoints(i))
        moved.push_back(services[i]);
    }
  }
  return moved;
}

bool Snapshot::same_place(const Snapshot& other, std::string_view namespace_,
                          std::span<const std::string> addresses) const {
  if (data_ == other.data_) return true;
  if (!same_declared(other)) return false;
  const Territories &now = data_->territories, &then = other.data_->territories;
  const bool same = std::ranges::equal(now, then, [&](const auto& a, const auto& b) {
    return a.second == b.second ||
           (a.first == b.first &&
            same_workloads(*a.second->running, *b.second->running, addresses));
  });
  if (!same) return false;
  const Territory *here = data_->territory(namespace_),
                  *before = other.data_->territory(namespace_);
  if (here == before) return true;
  return here != nullptr && before != nullptr && same_services(*here, *before) &&
         same_served(*here->running, *before->running, addresses);
}

}  // namespace graymesh::snapshot
