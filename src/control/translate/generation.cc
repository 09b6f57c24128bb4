// One Snapshot's configurations, by scope.
//
//   node --> scopes --> Parts --> Config
//
// A Part is what one scope gives: for each resource type a Layer, shared by every proxy of the
// scope. A Part is computed once, by whoever asks first; others of its scope wait, other scopes do
// not. If the Generation before had the scope, and what it looked at kept its addresses, its Layer
// is taken as it is. If not, it is computed with the memo's help, and resources whose bytes came
// out the same stay the very same objects.
#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <unordered_map>

#include "control/translate/cluster.h"
#include "control/translate/layer.h"
#include "control/translate/memo.h"
#include "control/translate/parts.h"
#include "control/translate/proxyless.h"
#include "control/translate/scopes.h"
#include "control/translate/translate.h"

namespace graymesh::translate {
namespace {

using resource::Config;
using resource::Type;

// A Part that nobody asked for is kept for this many Generations: streams skip some while they wait
// for an ACK, and at 50 changes a second a proxy that reconnects comes back within them.
constexpr int generations_kept = 200;

struct Slot {
  std::once_flag once;
  std::atomic<bool> done{false};
  PartPtr part;  // may be read if `done`
};

struct Kept {
  PartPtr part;
  int age = 0;
};

// What the clusters of a view's services, and their endpoints, are made from.
struct ServiceInputs {
  Inputs clusters;
  Inputs endpoints;
};

// Of a sidecar's View, or a gateway's.
template <typename View>
ServiceInputs inputs_of(const snapshot::Snapshot& snapshot, const std::shared_ptr<const View>& view,
                        bool on_loopback) {
  ServiceInputs inputs{.clusters = {view}, .endpoints = {view}};
  for (const auto& seen : view->services) {
    const auto endpoints = snapshot.endpoints(*seen.service);
    inputs.endpoints.push_back(endpoints);
    // Not by EDS: these endpoints are part of the cluster.
    if (is_dns(*seen.service) || seen.service->headless) inputs.clusters.push_back(endpoints);
    // For proxies on loopback clusters differ once an endpoint is elsewhere. While none is,
    // endpoints may come and go without a look at the clusters.
    if (on_loopback && endpoints && leaves_loopback(*endpoints))
      inputs.clusters.push_back(endpoints);
  }
  return inputs;
}

}  // namespace

struct Generation::State {
  // A Part that is being computed.
  struct Making {
    State& state;
    const Part* previous;  // null: there was none
    Part& part;

    template <typename Scope>
    void layer(Type type, Inputs inputs, Resources (*make)(const Scope&, Memo&),
               const Scope& scope) {
      inputs.push_back(state.snapshot->mesh_ptr());
      part.of(type) = make_layer(
          previous != nullptr ? &previous->of(type) : nullptr, std::move(inputs), state.memo,
          [&](Memo& memo) { return make(scope, memo); }, state.counts);
    }
  };

  snapshot::SnapshotPtr snapshot;
  Memo memo;  // empty itself: gives the shared table to the Layers' memos
  // What earlier Generations had; not changed once built.
  std::unordered_map<std::string, Kept> before;

  mutable std::mutex mutex;
  std::unordered_map<std::string, std::shared_ptr<Slot>> slots;
  std::map<snapshot::ViewPtr, ViewTraits> traits;

  std::atomic<std::size_t> scopes{0};
  Counts counts;

  State(snapshot::SnapshotPtr from, const State* previous)
      : snapshot(std::move(from)), memo(previous ? &previous->memo : nullptr) {
    if (previous) previous->hand_over(before);
  }

  void hand_over(std::unordered_map<std::string, Kept>& to) const;
  ViewTraits traits_for(const snapshot::ViewPtr& view);
  PartPtr part(const std::string& text, const std::function<void(Making&)>& compute);
  PartPtr outbound(const OutboundScope& scope);
  PartPtr listeners(const OutboundScope& scope);
  PartPtr inbound(const InboundScope& scope);
  PartPtr gateway(const GatewayScope& scope);
  PartPtr proxyless(const OutboundScope& scope);
};

void Generation::State::hand_over(std::unordered_map<std::string, Kept>& to) const {
  for (const auto& [text, kept] : before) {
    if (kept.age < generations_kept) to[text] = {.part = kept.part, .age = kept.age + 1};
  }
  // Our own map may still grow: another thread is serving a proxy from this Generation.
  const std::lock_guard lock(mutex);
  for (const auto& [text, slot] : slots) {
    if (slot->done.load(std::memory_order_acquire)) to[text] = {.part = slot->part, .age = 0};
  }
}

ViewTraits Generation::State::traits_for(const snapshot::ViewPtr& view) {
  {
    const std::lock_guard lock(mutex);
    if (const auto it = traits.find(view); it != traits.end()) return it->second;
  }
  const ViewTraits found = traits_of(*view, snapshot->mesh());
  const std::lock_guard lock(mutex);
  return traits.emplace(view, found).first->second;
}

PartPtr Generation::State::part(const std::string& text,
                                const std::function<void(Making&)>& compute) {
  std::shared_ptr<Slot> slot;
  {
    const std::lock_guard lock(mutex);
    auto& entry = slots[text];
    if (!entry) entry = std::make_shared<Slot>();
    slot = entry;
  }
  std::call_once(slot->once, [&] {
    const auto it = before.find(text);
    auto fresh = std::make_shared<Part>();
    Making making{*this, it == before.end() ? nullptr : it->second.part.get(), *fresh};
    compute(making);
    slot->part = std::move(fresh);
    slot->done.store(true, std::memory_order_release);
  });
  return slot->part;
}

PartPtr Generation::State::outbound(const OutboundScope& scope) {
  return part("outbound|" + text_of(scope), [&](Making& making) {
    scopes.fetch_add(1, std::memory_order_relaxed);
    const ServiceInputs services = inputs_of(*snapshot, scope.view, scope.on_loopback);
    making.layer(Type::cluster, services.clusters, outbound_clusters, scope);
    making.layer(Type::endpoints, services.endpoints, outbound_endpoints, scope);
    making.layer(Type::route, {scope.view}, outbound_routes, scope);
  });
}

// Apart from the rest, because where they bind may differ from instance to instance. Endpoints of a
// service without EDS have listeners of their own.
PartPtr Generation::State::listeners(const OutboundScope& scope) {
  return part("listeners|" + listeners_text_of(scope), [&](Making& making) {
    const ServiceInputs services = inputs_of(*snapshot, scope.view, false);
    making.layer(Type::listener, services.clusters, outbound_listeners, scope);
  });
}

PartPtr Generation::State::inbound(const InboundScope& scope) {
  return part("inbound|" + text_of(scope), [&](Making& making) {
    scopes.fetch_add(1, std::memory_order_relaxed);
    Inputs inputs{scope.sidecar};
    for (const auto& port : scope.ports) {
      inputs.push_back(port.service);
      inputs.push_back(port.rule);
    }
    making.layer(Type::cluster, inputs, inbound_clusters, scope);
    making.layer(Type::listener, inputs, inbound_listeners, scope);
  });
}

PartPtr Generation::State::gateway(const GatewayScope& scope) {
  return part("gateway|" + text_of(scope), [&](Making& making) {
    scopes.fetch_add(1, std::memory_order_relaxed);
    const ServiceInputs services = inputs_of(*snapshot, scope.view, scope.on_loopback);
    making.layer(Type::cluster, services.clusters, gateway_clusters, scope);
    making.layer(Type::endpoints, services.endpoints, gateway_endpoints, scope);
    making.layer(Type::listener, {scope.view}, gateway_listeners, scope);
    making.layer(Type::route, {scope.view}, gateway_routes, scope);
  });
}

PartPtr Generation::State::proxyless(const OutboundScope& scope) {
  return part("proxyless|" + text_of(scope), [&](Making& making) {
    scopes.fetch_add(1, std::memory_order_relaxed);
    const ServiceInputs services = inputs_of(*snapshot, scope.view, false);
    making.layer(Type::cluster, services.clusters, proxyless_clusters, scope);
    making.layer(Type::endpoints, services.endpoints, proxyless_endpoints, scope);
    making.layer(Type::listener, {scope.view}, proxyless_listeners, scope);
    making.layer(Type::route, {scope.view}, proxyless_routes, scope);
  });
}

Generation::Generation(snapshot::SnapshotPtr snapshot,
                       const std::shared_ptr<const Generation>& previous)
    : state_(std::make_unique<State>(std::move(snapshot),
                                     previous ? previous->state_.get() : nullptr)) {}

Generation::~Generation() = default;

const snapshot::Snapshot& Generation::snapshot() const { return *state_->snapshot; }

Generation::Work Generation::work() const {
  return {.scopes = state_->scopes.load(),
          .resources_made = state_->counts.made.load(),
          .resources_reused = state_->counts.reused.load()};
}

resource::ConfigPtr Generation::config_for(const resource::Node& node) const {
  State& state = *state_;
  std::vector<PartPtr> parts;
  const Role role = role_of(node);
  if (role == Role::gateway) {
    parts = {state.gateway(gateway_scope(state.snapshot, node))};
  } else {
    const auto view = state.snapshot->view(node.namespace_, node.labels);
    const auto inbound =
        role == Role::sidecar ? inbound_scope(state.snapshot, view, node) : InboundScope{};
    const auto outbound =
        outbound_scope(state.snapshot, view, state.traits_for(view), node, inbound);
    switch (role) {
      case Role::proxyless:
        parts = {state.proxyless(outbound)};
        break;
      case Role::stranger:
        parts = {state.outbound(outbound)};
        break;
      case Role::sidecar:
      case Role::gateway:
        parts = {state.outbound(outbound), state.listeners(outbound), state.inbound(inbound)};
    }
  }
  auto config = std::make_shared<Config>();
  config->snapshot = state.snapshot->number();
  for (const auto& part : parts) {
    for (const Type type : resource::all_types) {
      const auto& set = part->of(type).set;
      if (set) config->layers[static_cast<std::size_t>(type)].push_back(set);
    }
  }
  return config;
}

}  // namespace graymesh::translate
