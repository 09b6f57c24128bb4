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

// Endpoints that are not served by EDS but are part of clusters and listeners.
void add_embedded_endpoints(const snapshot::Snapshot& snapshot,
                            const std::vector<snapshot::SeenService>& services, Inputs& out) {
  for (const auto& seen : services) {
    if (is_dns(*seen.service) || seen.service->headless)
      out.push_back(snapshot.endpoints(*seen.service));
  }
}

// For proxies on loopback: a service's clusters differ once an endpoint of it is elsewhere. While
// none is, endpoints may come and go without a look at the clusters.
void add_endpoints_beyond(const snapshot::Snapshot& snapshot,
                          const std::vector<snapshot::SeenService>& services, Inputs& out) {
  for (const auto& seen : services) {
    const auto endpoints = snapshot.endpoints(*seen.service);
    if (endpoints && leaves_loopback(*endpoints)) out.push_back(endpoints);
  }
}

void add_endpoints(const snapshot::Snapshot& snapshot,
                   const std::vector<snapshot::SeenService>& services, Inputs& out) {
  for (const auto& seen : services) out.push_back(snapshot.endpoints(*seen.service));
}

}  // namespace

struct Generation::State {
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
  PartPtr part(const std::string& text, const std::function<void(const Part*, Part&)>& compute);
  void layer(Type type, const Part* previous, Inputs inputs,
             const std::function<Resources(Memo&)>& compute, Part& out);

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
                                const std::function<void(const Part*, Part&)>& compute) {
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
    compute(it == before.end() ? nullptr : it->second.part.get(), *fresh);
    slot->part = std::move(fresh);
    slot->done.store(true, std::memory_order_release);
  });
  return slot->part;
}

void Generation::State::layer(Type type, const Part* previous, Inputs inputs,
                              const std::function<Resources(Memo&)>& compute, Part& out) {
  inputs.push_back(snapshot->mesh_ptr());
  out.of(type) = make_layer(previous ? &previous->of(type) : nullptr, std::move(inputs), memo,
                            compute, counts);
}

PartPtr Generation::State::outbound(const OutboundScope& scope) {
  return part("outbound|" + text_of(scope), [&](const Part* previous, Part& out) {
    scopes.fetch_add(1, std::memory_order_relaxed);
    const auto& services = scope.view->services;
    Inputs with_embedded{scope.view};
    add_embedded_endpoints(*snapshot, services, with_embedded);
    if (scope.on_loopback) add_endpoints_beyond(*snapshot, services, with_embedded);
    Inputs with_all{scope.view};
    add_endpoints(*snapshot, services, with_all);
    layer(
        Type::cluster, previous, with_embedded,
        [&](Memo& m) { return outbound_clusters(scope, m); }, out);
    layer(
        Type::endpoints, previous, with_all, [&](Memo& m) { return outbound_endpoints(scope, m); },
        out);
    layer(
        Type::route, previous, {scope.view}, [&](Memo& m) { return outbound_routes(scope, m); },
        out);
  });
}

// Apart from the rest, because where they bind may differ from instance to instance.
PartPtr Generation::State::listeners(const OutboundScope& scope) {
  return part("listeners|" + listeners_text_of(scope), [&](const Part* previous, Part& out) {
    Inputs inputs{scope.view};
    add_embedded_endpoints(*snapshot, scope.view->services, inputs);
    layer(
        Type::listener, previous, inputs, [&](Memo& m) { return outbound_listeners(scope, m); },
        out);
  });
}

PartPtr Generation::State::inbound(const InboundScope& scope) {
  return part("inbound|" + text_of(scope), [&](const Part* previous, Part& out) {
    scopes.fetch_add(1, std::memory_order_relaxed);
    Inputs inputs{scope.sidecar};
    for (const auto& port : scope.ports) {
      inputs.push_back(port.service);
      inputs.push_back(port.rule);
    }
    layer(
        Type::cluster, previous, inputs, [&](Memo& m) { return inbound_clusters(scope, m); }, out);
    layer(
        Type::listener, previous, inputs, [&](Memo& m) { return inbound_listeners(scope, m); },
        out);
  });
}

PartPtr Generation::State::gateway(const GatewayScope& scope) {
  return part("gateway|" + text_of(scope), [&](const Part* previous, Part& out) {
    scopes.fetch_add(1, std::memory_order_relaxed);
    const auto& services = scope.view->services;
    Inputs with_embedded{scope.view};
    add_embedded_endpoints(*snapshot, services, with_embedded);
    if (scope.on_loopback) add_endpoints_beyond(*snapshot, services, with_embedded);
    Inputs with_all{scope.view};
    add_endpoints(*snapshot, services, with_all);
    layer(
        Type::cluster, previous, with_embedded, [&](Memo& m) { return gateway_clusters(scope, m); },
        out);
    layer(
        Type::endpoints, previous, with_all, [&](Memo& m) { return gateway_endpoints(scope, m); },
        out);
    layer(
        Type::listener, previous, {scope.view},
        [&](Memo& m) { return gateway_listeners(scope, m); }, out);
    layer(
        Type::route, previous, {scope.view}, [&](Memo& m) { return gateway_routes(scope, m); },
        out);
  });
}

PartPtr Generation::State::proxyless(const OutboundScope& scope) {
  return part("proxyless|" + text_of(scope), [&](const Part* previous, Part& out) {
    scopes.fetch_add(1, std::memory_order_relaxed);
    const auto& services = scope.view->services;
    Inputs with_embedded{scope.view};
    add_embedded_endpoints(*snapshot, services, with_embedded);
    Inputs with_all{scope.view};
    add_endpoints(*snapshot, services, with_all);
    layer(
        Type::cluster, previous, with_embedded,
        [&](Memo& m) { return proxyless_clusters(scope, m); }, out);
    layer(
        Type::endpoints, previous, with_all, [&](Memo& m) { return proxyless_endpoints(scope, m); },
        out);
    layer(
        Type::listener, previous, {scope.view},
        [&](Memo& m) { return proxyless_listeners(scope, m); }, out);
    layer(
        Type::route, previous, {scope.view}, [&](Memo& m) { return proxyless_routes(scope, m); },
        out);
  });
}

Generation::Generation(snapshot::SnapshotPtr snapshot, std::shared_ptr<const Generation> previous)
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
