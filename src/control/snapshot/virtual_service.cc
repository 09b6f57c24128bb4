#include "control/snapshot/virtual_service.h"

#include <algorithm>

#include "control/snapshot/carry.h"
#include "control/snapshot/visibility.h"
#include "model/names.h"

namespace graymesh::snapshot {
namespace {

void resolve_gateways(std::vector<std::string>& gateways, std::string_view namespace_) {
  for (auto& gateway : gateways) gateway = model::gateway_name(gateway, namespace_);
}

VirtualService resolve(const model::Object& object, const model::MeshConfig& mesh) {
  const auto& key = object.meta.key;
  VirtualService result{.origin = key,
                        .created = object.meta.created,
                        .spec = object.as<model::VirtualService>(),
                        .visible = {},
                        .delegates = {}};
  auto& spec = result.spec;
  result.visible =
      visibility_of(spec.export_to, key.namespace_, mesh.default_virtual_service_export_to);
  for (auto& host : spec.hosts) host = model::full_host(host, key.namespace_);
  if (spec.gateways.empty()) spec.gateways = {"mesh"};
  resolve_gateways(spec.gateways, key.namespace_);
  for (auto& http : spec.http) {
    http.position = {};
    for (auto& match : http.match) {
      match.position = {};
      resolve_gateways(match.gateways, key.namespace_);
    }
  }
  for (auto* routes : {&spec.tcp, &spec.tls}) {
    for (auto& route : *routes) {
      route.position = {};
      for (auto& match : route.match) resolve_gateways(match.gateways, key.namespace_);
    }
  }
  each_destination(spec, [&key](model::Destination& destination, const auto*) {
    destination.host = model::full_host(destination.host, key.namespace_);
  });
  return result;
}

}  // namespace

std::vector<VirtualServicePtr> derive_virtual_services(
    const NamespaceObjects& objects, const model::MeshConfig& mesh,
    const NamespaceObjects* objects_before, const std::vector<VirtualServicePtr>& before) {
  const auto& now = objects.of(model::Kind::virtual_service);
  std::vector<VirtualServicePtr> result;
  result.reserve(now.size());
  std::size_t at = 0;  // both lists are sorted by name
  for (const auto& object : now) {
    const std::string& name = object->meta.key.name;
    while (at < before.size() && before[at]->origin.name < name) ++at;
    const bool known = at < before.size() && before[at]->origin.name == name;
    if (known && objects_before != nullptr &&
        objects_before->of(model::Kind::virtual_service)[at] == object) {
      result.push_back(before[at]);
    } else {
      result.push_back(carry(known ? before[at] : nullptr, resolve(*object, mesh)));
    }
  }
  return result;
}

}  // namespace graymesh::snapshot
