// VirtualServices with their names resolved (docs/translation.md 4.9).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/snapshot/objects.h"
#include "control/snapshot/snapshot.h"

namespace graymesh::snapshot {

// One for each VirtualService of the namespace, sorted by name, delegates among them and not yet
// merged. Positions are left out, so that a VirtualService that only moved in its file is equal.
// Equal ones keep the address they had in `before`. Those of objects that are still the same are
// not even derived, if `objects_before`, from which `before` was made with the same `mesh`, is
// given.
std::vector<VirtualServicePtr> derive_virtual_services(
    const NamespaceObjects& objects, const model::MeshConfig& mesh,
    const NamespaceObjects* objects_before, const std::vector<VirtualServicePtr>& before);

// Calls `visit` with every destination that routes of `spec` name, mirrors included. For each HTTP
// route, `visit` gets it too; null for TCP and TLS routes.
template <typename Spec, typename Visit>
void each_destination(Spec& spec, const Visit& visit) {
  for (auto& http : spec.http) {
    for (auto& route : http.route) visit(route.destination, &http);
    for (auto& mirror : http.mirrors) visit(mirror.destination, &http);
  }
  const model::HttpRoute* none = nullptr;
  for (auto& l4 : spec.tcp) {
    for (auto& route : l4.route) visit(route.destination, none);
  }
  for (auto& l4 : spec.tls) {
    for (auto& route : l4.route) visit(route.destination, none);
  }
}

}  // namespace graymesh::snapshot
