// What the sidecars of a namespace see (docs/translation.md 7.2), and what gateways see (6).
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "control/snapshot/catalog.h"
#include "control/snapshot/fragment.h"
#include "control/snapshot/snapshot.h"

namespace graymesh::snapshot {

// Services of which a listener sees less than the whole: some ports, or some aliases. One value for
// one reduction, so that its address means something. Used under the lock of Views.
class Reductions {
 public:
  // Takes over what was reduced from services that are still the same.
  Reductions() = default;
  Reductions(const Reductions& before, const Catalog& catalog);

  ServicePtr reduce(const ServicePtr& service, std::vector<std::uint32_t> ports,
                    std::vector<std::string> aliases);

 private:
  using Key = std::tuple<ServicePtr, std::vector<std::uint32_t>, std::vector<std::string>>;
  std::map<Key, ServicePtr> made_;
};

// The views of one Catalog, each made when first asked for. Any thread.
class Views {
 public:
  // A view that is equal to what `before` (may be null) made keeps its address.
  Views(CatalogPtr catalog, Views* before);

  ViewPtr view(std::string_view namespace_, const model::Labels& labels);
  GatewayViewPtr gateway(std::string_view namespace_, const model::Labels& labels,
                         std::vector<std::pair<std::uint32_t, std::uint32_t>> target_ports);

 private:
  const CatalogPtr catalog_;
  std::mutex mutex_;
  Reductions reductions_;
  Fragments fragments_;
  std::map<std::string, ViewPtr> views_, older_views_;
  std::map<std::string, GatewayViewPtr> gateways_, older_gateways_;
};

// The one Sidecar that shapes this workload's view; null: everything is seen.
const SidecarObject* select_sidecar(const Catalog& catalog, std::string_view namespace_,
                                    const model::Labels& labels);

View make_view(const Catalog& catalog, const Client& client, const SidecarObject* sidecar,
               Reductions& reductions, Fragments& fragments);

// Of several services of one host, the one that clients in `namespace_` get: their own, else
// Kubernetes', else the oldest.
bool preferred(const Service& a, const Service& b, std::string_view namespace_);

// VirtualServices in the order in which `namespace_` heeds them: those of its own, those exported
// to it by name, those for everybody; each in creation order.
void sort_by_precedence(std::vector<VirtualServicePtr>& services, std::string_view namespace_);

GatewayView make_gateway_view(const Catalog& catalog, const Client& client,
                              std::vector<GatewayServers> gateways,
                              std::vector<std::pair<std::uint32_t, std::uint32_t>> target_ports,
                              Fragments& fragments);

// Gateway objects whose selector selects these labels.
std::vector<GatewayServers> select_gateways(const Catalog& catalog, const model::Labels& labels);

}  // namespace graymesh::snapshot
