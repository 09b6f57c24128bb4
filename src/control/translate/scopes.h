// Inside the room: from what a proxy says of itself to what has influence on its configuration.
#pragma once

#include <string>

#include "control/resource/node.h"
#include "control/translate/scope.h"
#include "control/translate/vantage.h"

namespace graymesh::translate {

// What kind of configuration a node gets.
enum class Role : std::uint8_t {
  sidecar,
  gateway,
  proxyless,  // gRPC itself
  stranger,   // an Envoy that does not say what it is for: all but listeners
};
Role role_of(const resource::Node& node);

// What of a proxy's place the services of its View look at: worked out once for a View.
struct ViewTraits {
  Heeds eds;
  Heeds dns;  // where endpoints are part of their clusters
};
ViewTraits traits_of(const std::vector<snapshot::SeenService>& services,
                     const model::MeshConfig& mesh);

OutboundScope outbound_scope(const snapshot::SnapshotPtr& snapshot, const snapshot::ViewPtr& view,
                             const ViewTraits& traits, const resource::Node& node,
                             const InboundScope& inbound);
InboundScope inbound_scope(const snapshot::SnapshotPtr& snapshot, const snapshot::ViewPtr& view,
                           const resource::Node& node);
snapshot::GatewayViewPtr gateway_view(const snapshot::Snapshot& snapshot,
                                      const resource::Node& node);
GatewayScope gateway_scope(const snapshot::SnapshotPtr& snapshot,
                           const snapshot::GatewayViewPtr& view, const ViewTraits& traits,
                           const resource::Node& node);

// Equal texts within one Snapshot mean equal scopes. Texts hold names, not addresses, so that the
// same scope is recognised in the next Snapshot.
std::string text_of(const OutboundScope& scope);  // without what only listeners or EDS look at
std::string listeners_text_of(const OutboundScope& scope);
std::string text_of(const InboundScope& scope);
std::string text_of(const GatewayScope& scope);  // without what only EDS looks at
std::string text_of(const Vantage& vantage);

}  // namespace graymesh::translate
