// Ports that a sidecar without interception cannot serve. It binds all of a port's services at one
// address (docs/translation.md 5.2): HTTP services share the port by Host and TLS ones by SNI, but
// of others the first has it for itself, and beside HTTP nobody else has it.
//
// Looked at where the mesh has such sidecars: where its MeshConfig says proxyHttpPort.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "control/snapshot/problems.h"
#include "control/snapshot/warning.h"

namespace graymesh::snapshot {
namespace {

using ByPort = std::map<std::uint32_t, std::vector<const Service*>>;

// The first of the port's services that some namespace sees together with this one.
const Service* rival(const ByPort& holders, std::uint32_t port, const Service& service) {
  const auto held = holders.find(port);
  if (held == holders.end()) return nullptr;
  const auto found = std::ranges::find_if(held->second, [&](const Service* other) {
    return other->host != service.host && overlap(other->visible, service.visible);
  });
  return found == held->second.end() ? nullptr : *found;
}

}  // namespace

void find_port_clashes(const Catalog& catalog, const Objects& objects,
                       std::vector<model::Problem>& problems) {
  if (catalog.mesh->proxy_http_port == 0) return;
  ByPort http;
  for (const auto& service : catalog.services) {
    for (const Port& port : service->ports) {
      if (!is_tcp(port.protocol)) http[port.number].push_back(service.get());
    }
  }
  ByPort taken;
  const auto tell = [&](const Service& service, const Port& port, const Service& other,
                        std::string_view rule) {
    const auto object = objects.find(service.origin);
    const auto rivals = objects.find(other.origin);
    if (!object || !rivals) return;
    problems.push_back(warning(*object, {}, "ports", std::to_string(port.number),
                               fmt::format("is also a port of {}: sidecars without interception {}",
                                           place_of(*rivals), rule)));
  };
  for (const auto& service : catalog.services) {
    for (const Port& port : service->ports) {
      if (!is_tcp(port.protocol)) continue;
      if (const Service* other = rival(http, port.number, *service)) {
        tell(*service, port, *other, "serve no TCP on a port of HTTP");
      } else if (!is_tls(port.protocol)) {
        if (const Service* first = rival(taken, port.number, *service))
          tell(*service, port, *first, "give it to one: of their own namespace, else to that one");
        taken[port.number].push_back(service.get());
      }
    }
  }
}

}  // namespace graymesh::snapshot
