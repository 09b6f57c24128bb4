// (snapshot, scope) to xDS resources, as istiod would make them for a stock Envoy
// (docs/translation.md). Pure functions, remembered: what the same inputs gave once is not computed
// again, and proxies of one scope share every byte.
//
// A scope is all that has influence on the result, and no more: for outbound the View (namespace
// and Sidecar), how traffic is captured and where listeners bind, the locality if localities count,
// the labels if a rule looks at them; for inbound the service ports served and where the
// application listens. 1,100 proxies of 10 namespaces are 10 outbound scopes.
#pragma once

#include <memory>

#include "control/resource/node.h"
#include "control/resource/resource.h"
#include "control/snapshot/snapshot.h"

namespace graymesh::translate {

// Every configuration that one Snapshot gives, computed when first asked for.
class Generation {
 public:
  // What `previous` (may be null) remembers is used again where the inputs are the same.
  Generation(snapshot::SnapshotPtr snapshot, const std::shared_ptr<const Generation>& previous);
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  // Any thread; at most one computes a scope, others of that scope wait for it. Never null.
  resource::ConfigPtr config_for(const resource::Node& node) const;
  // The same, for one who asks of every Generation: what is kept of this node from one to the next
  // lies in `kept`, null at first. It is of one node, and asked with by one thread at a time.
  resource::ConfigPtr config_for(const resource::Node& node, std::shared_ptr<void>& kept) const;
  // The same if nothing of it is to be computed, nor waited for; else null.
  resource::ConfigPtr config_at_hand(const resource::Node& node, std::shared_ptr<void>& kept) const;

  const snapshot::Snapshot& snapshot() const;

  // How much was computed rather than remembered, in this Generation: for metrics and tests.
  struct Work {
    std::size_t scopes = 0;          // outbound, inbound and gateway scopes computed
    std::size_t resources_made = 0;  // serialised anew
    std::size_t resources_reused = 0;
  };
  Work work() const;

 private:
  struct Place;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace graymesh::translate
