// Who runs in one namespace: its pods and WorkloadEntries, with all that an endpoint takes from
// them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "control/snapshot/carry.h"
#include "control/snapshot/objects.h"
#include "control/snapshot/snapshot.h"

namespace graymesh::snapshot {

// By node name.
using Localities = std::map<std::string, Locality, std::less<>>;
Localities localities_of(const NamespaceObjects& cluster);

// "app=web": how labels are indexed.
std::string label_pair(std::string_view name, std::string_view value);

// "region/zone/subzone"; parts may be missing.
Locality locality_named(std::string_view text);

struct Workload {
  Endpoint endpoint;                   // without a port; `address` is the first of `addresses`
  std::vector<std::string> addresses;  // of a pod, its IPs
  model::ObjectPtr object;             // Pod or WorkloadEntry
  bool ready = true;
  bool gone = false;  // it has ended

  const model::Pod* pod() const { return std::get_if<model::Pod>(&object->spec); }
  const model::WorkloadEntry* entry() const {
    return std::get_if<model::WorkloadEntry>(&object->spec);
  }
  // The number behind a named target port; nothing if it has no such port.
  std::optional<std::uint32_t> port_named(std::string_view name) const;
};

class Workloads {
 public:
  Workloads(const NamespaceObjects& objects, const Localities& localities);

  bool has_pods() const { return !pods_by_name_.empty(); }
  const Workload* pod(std::string_view name) const;    // null if there is none
  const Workload* at(std::string_view address) const;  // a pod or WorkloadEntry; null if unknown
  // Pods, then WorkloadEntries, each by name. An empty selector selects none.
  std::vector<const Workload*> selected(const model::Labels& selector) const;

 private:
  std::vector<Workload> all_;  // pods, then entries, each sorted by name
  std::unordered_map<std::string_view, std::size_t> pods_by_name_;
  std::unordered_map<std::string, std::size_t, StringHash, std::equal_to<>> by_address_;
  std::unordered_map<std::string, std::vector<std::size_t>, StringHash, std::equal_to<>> by_label_;
};

using WorkloadsPtr = std::shared_ptr<const Workloads>;

// What an inline endpoint of a ServiceEntry, or a WorkloadEntry, says of itself.
Endpoint endpoint_of(const model::WorkloadEntry& entry, const model::Labels& labels,
                     std::string_view namespace_);

}  // namespace graymesh::snapshot
