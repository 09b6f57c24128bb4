// VirtualServices of one host put together (docs/translation.md 13.4): those with the label
// graymesh.io/precedence stand before or behind the team's.
//
// A pair is a host at a gateway ("mesh" for sidecars). Where a labelled fragment speaks of a pair,
// the pair leaves the VirtualServices that it stands in and gets one of its own:
//
//   release: {web}  team: {web, cart}   =>   {web}: release's routes, then the team's
//                                            {cart}: the team's
//
// Other pairs stay as they are, and so does the address of a VirtualService that loses none.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/snapshot/catalog.h"
#include "control/snapshot/snapshot.h"

namespace graymesh::snapshot {

// Where an HTTP route of a merged VirtualService was written.
struct RouteSource {
  VirtualServicePtr service;
  std::size_t index = 0;  // in service->spec.http

  bool operator==(const RouteSource&) const = default;
};

// The fragments of one pair, or of several hosts at one gateway that have the same ones.
struct FragmentPlan {
  std::string gateway;
  std::vector<std::string> hosts;
  VirtualServicePtr anchor;                  // the team's first, else the first of all
  std::vector<VirtualServicePtr> fragments;  // in the order of their routes
  std::vector<model::HttpRoute> http;
  std::vector<RouteSource> sources;  // of `http`
};

// `services` are visible to one client, in its order of precedence. Without `gateways`, which are
// those that the client is for: of sidecars, where of the team's the first alone counts.
std::vector<FragmentPlan> plan_fragments(const std::vector<VirtualServicePtr>& services,
                                         const std::vector<GatewayServers>* gateways);

// One value for one merge, so that its address means something. Used under the lock of Views.
class Fragments {
 public:
  Fragments() = default;
  // Takes over what was merged from VirtualServices that are still the same.
  Fragments(const Fragments& before, const Catalog& catalog);

  // As plan_fragments; `services` again, with fragments merged.
  std::vector<VirtualServicePtr> merge(std::vector<VirtualServicePtr> services);
  std::vector<VirtualServicePtr> merge(std::vector<VirtualServicePtr> services,
                                       const std::vector<GatewayServers>& gateways);

 private:
  // What was merged, and for what: hosts and gateways as text.
  using Key = std::pair<std::vector<VirtualServicePtr>, std::string>;

  std::vector<VirtualServicePtr> merge(std::vector<VirtualServicePtr> services,
                                       const std::vector<GatewayServers>* gateways);
  VirtualServicePtr merged(const FragmentPlan& plan);
  // What is left of `service` at the gateway.
  VirtualServicePtr rest(const VirtualServicePtr& service, const std::string& gateway,
                         std::vector<std::string> hosts);

  std::map<Key, VirtualServicePtr> made_;
};

}  // namespace graymesh::snapshot
