// Builds a Snapshot in steps; each takes over from the Snapshot before what did not change.

#include <algorithm>
#include <tuple>

#include "control/snapshot/carry.h"
#include "control/snapshot/destination_rule.h"
#include "control/snapshot/snapshot_data.h"
#include "control/snapshot/virtual_service.h"

namespace graymesh::snapshot {
namespace {

using Data = Snapshot::Data;
using model::Kind;

const NamespaceObjects& cluster_wide(const Objects& objects) {
  static const NamespaceObjects none;
  const auto at = objects.namespaces.find("");
  return at == objects.namespaces.end() ? none : *at->second;
}

std::shared_ptr<const Localities> localities_for(const Objects& objects, const Data* before) {
  const auto& cluster = cluster_wide(objects);
  if (before != nullptr && same_objects(&cluster, &cluster_wide(before->objects), Kind::node)) {
    return before->localities;
  }
  return carry(before == nullptr ? nullptr : before->localities, localities_of(cluster));
}

std::vector<SidecarObject> sidecars_of(const NamespaceObjects& objects, const Declared* before) {
  std::vector<SidecarObject> result;
  for (const auto& object : objects.of(Kind::sidecar)) {
    SidecarObject sidecar{.origin = object->meta.key,
                          .created = object->meta.created,
                          .spec = {object, &object->as<model::Sidecar>()}};
    if (before != nullptr) {
      const auto at = std::ranges::find(before->sidecars, sidecar.origin, &SidecarObject::origin);
      if (at != before->sidecars.end() && *at->spec == *sidecar.spec) sidecar.spec = at->spec;
    }
    result.push_back(std::move(sidecar));
  }
  std::ranges::stable_sort(result, {}, [](const SidecarObject& sidecar) {
    return std::pair(sidecar.spec->workload_selector.empty(), sidecar.created);
  });
  return result;
}

std::vector<GatewayServers> gateways_of(const NamespaceObjects& objects, const Declared* before) {
  std::vector<GatewayServers> result;
  for (const auto& object : objects.of(Kind::gateway)) {
    model::Gateway spec = object->as<model::Gateway>();
    for (auto& server : spec.servers) server.position = {};
    GatewayServers gateway{
        .origin = object->meta.key, .created = object->meta.created, .spec = nullptr};
    if (before != nullptr) {
      const auto at = std::ranges::find(before->gateways, gateway.origin, &GatewayServers::origin);
      if (at != before->gateways.end()) gateway.spec = at->spec;
    }
    gateway.spec = carry(gateway.spec, std::move(spec));
    result.push_back(std::move(gateway));
  }
  return result;
}

// What a namespace was before, and whether its objects of a kind are still those.
class Past {
 public:
  // `settings_same`: MeshConfig, and what the Namespace itself says.
  Past(const NamespaceObjects& now, const Territory* before, bool settings_same)
      : now_(now), before_(before), settings_same_(settings_same) {}

  const Territory* before() const { return before_; }
  const NamespaceObjects* objects() const {
    return before_ != nullptr && settings_same_ ? before_->objects.get() : nullptr;
  }
  bool same(std::initializer_list<Kind> kinds) const {
    return objects() != nullptr && std::ranges::all_of(kinds, [this](Kind kind) {
             return same_objects(&now_, objects(), kind);
           });
  }

 private:
  const NamespaceObjects& now_;
  const Territory* before_;
  bool settings_same_;
};

DeclaredPtr declare(const NamespaceObjects& objects, const Services& services,
                    const model::MeshConfig& mesh, const Past& past) {
  static const Declared nothing;
  DeclaredPtr known = past.before() == nullptr ? nullptr : past.before()->declared;
  const Declared& before = known == nullptr ? nothing : *known;
  if (past.same({Kind::service, Kind::service_entry, Kind::virtual_service, Kind::destination_rule,
                 Kind::sidecar, Kind::gateway})) {
    return known;
  }
  Declared declared{.services = services.services,
                    .aliases = services.aliases,
                    .virtual_services = derive_virtual_services(objects, mesh, past.objects(),
                                                                before.virtual_services),
                    .rules = past.same({Kind::destination_rule})
                                 ? before.rules
                                 : derive_destination_rules(objects, mesh, before.rules),
                    .sidecars = sidecars_of(objects, &before),
                    .gateways = gateways_of(objects, &before)};
  return carry(known, std::move(declared));
}

model::TrafficDistribution distribution_of(std::string_view namespace_, const Objects& objects) {
  const auto object = cluster_wide(objects).find(Kind::namespace_, namespace_);
  const auto any = model::TrafficDistribution::any;
  return object == nullptr ? any : object->as<model::Namespace>().distribution.value_or(any);
}

TerritoryPtr settle(std::string_view name, const NamespaceObjectsPtr& objects, const Data& data,
                    const Data* before, const TerritoryPtr& known) {
  const auto distribution = distribution_of(name, data.objects);
  const bool settings_same = before != nullptr && *before->mesh == *data.mesh &&
                             distribution_of(name, before->objects) == distribution;
  const bool nodes_same = before != nullptr && before->localities == data.localities;
  const Past past(*objects, known.get(), settings_same);
  if (known && settings_same && nodes_same && known->objects == objects) return known;

  Territory territory;
  territory.objects = objects;
  if (past.same({Kind::service, Kind::service_entry})) {
    territory.services = known->services;
    territory.selectors = known->selectors;
  } else {
    territory.services = std::make_shared<const Services>(derive_services(
        *objects, *data.mesh, distribution, known ? known->services.get() : nullptr));
    territory.selectors = std::make_shared<const SelectorIndex>(territory.services->services);
  }
  territory.declared = declare(*objects, *territory.services, *data.mesh, past);
  if (nodes_same && past.same({Kind::service, Kind::service_entry, Kind::endpoint_slice, Kind::pod,
                               Kind::workload_entry})) {
    territory.running = known->running;
  } else if (nodes_same &&
             past.same({Kind::service, Kind::service_entry, Kind::pod, Kind::workload_entry})) {
    territory.running = std::make_shared<const Running>(derive_running(
        *objects, *known->objects, *territory.services, *data.localities, *known->running));
  } else {
    const bool same_workloads = nodes_same && past.same({Kind::pod, Kind::workload_entry});
    const WorkloadsPtr workloads =
        same_workloads ? known->running->workloads
                       : std::make_shared<const Workloads>(*objects, *data.localities);
    territory.running = std::make_shared<const Running>(derive_running(
        *objects, *territory.services, *data.localities, workloads,
        known ? known->running.get() : nullptr, known ? known->services.get() : nullptr));
  }
  return std::make_shared<const Territory>(std::move(territory));
}

void settle_all(Data& data, const Data* before) {
  for (const auto& [name, objects] : data.objects.namespaces) {
    if (name.empty()) continue;
    TerritoryPtr known;
    if (before != nullptr) {
      const auto at = before->territories.find(name);
      if (at != before->territories.end()) known = at->second;
    }
    data.territories.emplace(name, settle(name, objects, data, before, known));
  }
}

void make_catalog_and_views(Data& data, const Data* before) {
  std::map<std::string, DeclaredPtr, std::less<>> declared;
  for (const auto& [name, territory] : data.territories) {
    if (*territory->declared != Declared{}) declared.emplace(name, territory->declared);
  }
  if (before != nullptr && *before->mesh == *data.mesh && before->catalog->namespaces == declared) {
    data.catalog = before->catalog;
    data.views = before->views;
    return;
  }
  data.catalog = std::make_shared<const Catalog>(make_catalog(
      data.mesh, std::move(declared), before == nullptr ? nullptr : before->catalog.get()));
  data.views =
      std::make_shared<Views>(data.catalog, before == nullptr ? nullptr : before->views.get());
}

// True if the objects of these kinds are as they were, down to the lines in their files.
bool same_lines(const Data& data, const Data& before, std::initializer_list<Kind> kinds) {
  return std::ranges::all_of(data.territories, [&](const auto& named) {
    const auto* known = before.territory(named.first);
    return known != nullptr && std::ranges::all_of(kinds, [&](Kind kind) {
             return same_objects(named.second->objects.get(), known->objects.get(), kind);
           });
  });
}

void find_problems(Data& data, const Data* before) {
  Unchanged unchanged;
  unchanged.rules = before != nullptr && (data.catalog == before->catalog ||
                                          (data.catalog->rules == before->catalog->rules &&
                                           data.catalog->services == before->catalog->services));
  unchanged.rule_lines = unchanged.rules && same_lines(data, *before, {Kind::destination_rule});
  if (before != nullptr && data.catalog == before->catalog &&
      same_lines(data, *before,
                 {Kind::service, Kind::service_entry, Kind::virtual_service, Kind::destination_rule,
                  Kind::gateway})) {
    data.declared_problems = before->declared_problems;
  } else {
    data.declared_problems = std::make_shared<const DeclaredProblems>(find_declared_problems(
        *data.catalog, data.objects, before == nullptr ? nullptr : before->declared_problems.get(),
        before == nullptr ? nullptr : before->catalog.get(), unchanged));
  }
  const FindPlace find = [&data](std::string_view namespace_) -> Place {
    const Territory* territory = data.territory(namespace_);
    return {.running = territory->running, .services = territory->services};
  };
  data.subset_problems = std::make_shared<const SubsetProblems>(
      find_subset_problems(*data.catalog, data.objects, find,
                           before == nullptr ? nullptr : before->subset_problems.get(), unchanged));
}

// From the objects that are in `data`.
SnapshotPtr build(std::shared_ptr<Data> data, std::shared_ptr<const model::MeshConfig> mesh,
                  const Data* before, std::uint64_t number) {
  data->number = number;
  data->mesh = std::move(mesh);
  if (before != nullptr && *before->mesh == *data->mesh) data->mesh = before->mesh;
  data->localities = localities_for(data->objects, before);
  settle_all(*data, before);
  make_catalog_and_views(*data, before);
  data->reduced = std::make_shared<ReducedEndpoints>(
      before == nullptr ? nullptr : before->reduced.get(), data->territories);
  find_problems(*data, before);
  return std::make_shared<const Snapshot>(std::move(data));
}

}  // namespace

SnapshotPtr build(std::span<const model::ObjectPtr> objects,
                  std::shared_ptr<const model::MeshConfig> mesh, const Snapshot* previous,
                  std::uint64_t number) {
  if (previous != nullptr)
    return build(changes_to(objects, previous->data().objects), std::move(mesh), *previous, number);
  auto data = std::make_shared<Data>();
  data->objects = arrange(objects);
  return build(std::move(data), std::move(mesh), nullptr, number);
}

SnapshotPtr build(const Changes& changes, std::shared_ptr<const model::MeshConfig> mesh,
                  const Snapshot& previous, std::uint64_t number) {
  auto data = std::make_shared<Data>();
  data->objects = arrange(changes, previous.data().objects);
  return build(std::move(data), std::move(mesh), &previous.data(), number);
}

}  // namespace graymesh::snapshot
