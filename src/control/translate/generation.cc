// One Snapshot's configurations, by scope.
//
//   node --> Place (its scopes, and their Slots) --> Parts --> Config
//
// A Part is what one scope gives: for each resource type a Layer, shared by every proxy of the
// scope. Endpoints are a Part of their own: a rule that prefers near ones makes one for each zone
// or node, and leaves clusters and routes shared by all. A Part is computed once, by whoever asks
// first; others of its scope wait, other scopes do not. If the Slot has one of an earlier
// Generation, and what that looked at kept its addresses, its Layer is taken as it is. If not, it
// is computed with the memo's help, and resources whose bytes came out the same stay the very same
// objects.
//
// Which scopes a node has is worked out again only where the Snapshot says something else of it: a
// change of one endpoint is asked for by every proxy.
#include <atomic>
#include <functional>

#include "control/translate/answers.h"
#include "control/translate/cluster.h"
#include "control/translate/endpoint.h"
#include "control/translate/layer.h"
#include "control/translate/memo.h"
#include "control/translate/parts.h"
#include "control/translate/proxyless.h"
#include "control/translate/scopes.h"
#include "control/translate/slots.h"
#include "control/translate/translate.h"

namespace graymesh::translate {
namespace {

using resource::Config;
using resource::Type;

// What the clusters of these services are made from, beside the View.
Inputs cluster_inputs(const Answers& answers, bool on_loopback) {
  Inputs inputs{answers.view};
  for (const std::size_t i : *answers.within_clusters) inputs.push_back(answers.endpoints[i]);
  if (on_loopback) inputs.push_back(answers.beyond_loopback);
  return inputs;
}

Client client_of(const OutboundScope& scope) {
  return scope.captured ? Client::captured : Client::bound;
}

}  // namespace

// What is remembered of a node from one Generation to the next. `snapshot` is the one it was looked
// up in, or one that says the same of it. Scopes are of the node's role; a Slot is null where the
// role has no such Part.
struct Generation::Place {
  snapshot::SnapshotPtr snapshot;
  OutboundScope outbound;
  InboundScope inbound;
  GatewayScope gateway;
  SlotPtr outbound_slot, listeners_slot, inbound_slot, gateway_slot, proxyless_slot, endpoints_slot;
  // What an inbound scope gives comes of what is declared, and of that alone: while that is the
  // same, nobody looks for it. Most instances have a scope of their own.
  PartPtr inbound_part;
  std::uint64_t inbound_declared = 0;  // as State::declared
};

struct Generation::State {
  // A Part that is being computed.
  struct Making {
    State& state;
    const Part* previous;  // null: there was none
    Part& part;

    const LayerPtr& before(Type type) const {
      static const LayerPtr none;
      return previous != nullptr ? previous->of(type) : none;
    }

    template <typename Scope>
    void layer(Type type, Inputs inputs, Resources (*make)(const Scope&, Memo&),
               const Scope& scope) {
      inputs.push_back(state.snapshot->mesh_ptr());
      part.of(type) = make_layer(
          before(type), std::move(inputs), state.memo,
          [&](Memo& of_layer) { return make(scope, of_layer); }, state.counts);
    }

    void endpoints(const AnswersPtr& answers, Client client, const Vantage& vantage) {
      const Assigner assigner(state.snapshot->mesh_ptr(), client, vantage);
      part.of(Type::endpoints) = make_layer(
          before(Type::endpoints), {state.snapshot->mesh_ptr()}, answers, state.memo,
          [&](const auto& seen, const auto& its, Memo& of_layer) {
            return assigner.of(seen, its, of_layer);
          },
          state.counts);
    }
  };

  snapshot::SnapshotPtr snapshot;
  Memo memo;  // empty itself: gives the shared table to the Layers' memos
  std::shared_ptr<Slots> slots;
  const std::uint64_t number;  // of this Generation, among those that share `slots`
  // Of the first Generation from which on all that is declared is the same.
  const std::uint64_t declared;
  AnswerBook book;

  std::atomic<std::size_t> scopes{0};
  Counts counts;

  State(snapshot::SnapshotPtr from, const State* previous)
      : snapshot(std::move(from)),
        memo(previous ? &previous->memo : nullptr),
        slots(previous ? previous->slots : std::make_shared<Slots>()),
        number(slots->open()),
        declared(previous && snapshot->same_declared(*previous->snapshot) ? previous->declared
                                                                          : number),
        book(previous ? AnswerBook(snapshot, previous->book) : AnswerBook(snapshot)) {}

  PartPtr part(Slot& slot, const std::function<void(Making&)>& compute);
  PartPtr outbound(Slot& slot, const OutboundScope& scope);
  PartPtr listeners(Slot& slot, const OutboundScope& scope);
  PartPtr inbound(Slot& slot, const InboundScope& scope);
  PartPtr gateway(Slot& slot, const GatewayScope& scope);
  PartPtr proxyless(Slot& slot, const OutboundScope& scope);
  PartPtr endpoints(Slot& slot, const Place& place);

  std::shared_ptr<Place> find(const resource::Node& node);
  bool holds(const Place& place, const resource::Node& node) const;
  void move_here(Place& place) const;
  std::vector<PartPtr> parts(Place& place);
  std::vector<PartPtr> parts_at_hand(const Place& place) const;
  resource::ConfigPtr config_of(const std::vector<PartPtr>& parts) const;
};

PartPtr Generation::State::part(Slot& slot, const std::function<void(Making&)>& compute) {
  return slot.part(number, [&](const Part* previous) {
    auto fresh = std::make_shared<Part>();
    Making making{*this, previous, *fresh};
    compute(making);
    return fresh;
  });
}

PartPtr Generation::State::outbound(Slot& slot, const OutboundScope& scope) {
  return part(slot, [&](Making& making) {
    scopes.fetch_add(1, std::memory_order_relaxed);
    const auto answers = book.of(scope.view);
    making.layer(Type::cluster, cluster_inputs(*answers, scope.on_loopback), outbound_clusters,
                 scope);
    making.layer(Type::route, {scope.view}, outbound_routes, scope);
    if (scope.vhds) making.layer(Type::virtual_host, {scope.view}, outbound_hosts, scope);
  });
}

// Apart from the rest, because where they bind may differ from instance to instance. Endpoints of a
// service without EDS have listeners of their own.
PartPtr Generation::State::listeners(Slot& slot, const OutboundScope& scope) {
  return part(slot, [&](Making& making) {
    making.layer(Type::listener, cluster_inputs(*book.of(scope.view), false), outbound_listeners,
                 scope);
  });
}

PartPtr Generation::State::inbound(Slot& slot, const InboundScope& scope) {
  return part(slot, [&](Making& making) {
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

PartPtr Generation::State::gateway(Slot& slot, const GatewayScope& scope) {
  return part(slot, [&](Making& making) {
    scopes.fetch_add(1, std::memory_order_relaxed);
    const auto answers = book.of(scope.view);
    making.layer(Type::cluster, cluster_inputs(*answers, scope.on_loopback), gateway_clusters,
                 scope);
    making.layer(Type::listener, {scope.view}, gateway_listeners, scope);
    making.layer(Type::route, {scope.view}, gateway_routes, scope);
    if (scope.vhds) making.layer(Type::virtual_host, {scope.view}, gateway_hosts, scope);
  });
}

PartPtr Generation::State::proxyless(Slot& slot, const OutboundScope& scope) {
  return part(slot, [&](Making& making) {
    scopes.fetch_add(1, std::memory_order_relaxed);
    const auto answers = book.of(scope.view);
    making.layer(Type::cluster, cluster_inputs(*answers, false), proxyless_clusters, scope);
    making.layer(Type::listener, {scope.view}, proxyless_listeners, scope);
    making.layer(Type::route, {scope.view}, proxyless_routes, scope);
  });
}

PartPtr Generation::State::endpoints(Slot& slot, const Place& place) {
  return part(slot, [&](Making& making) {
    if (place.gateway_slot) {
      making.endpoints(book.of(place.gateway.view), Client::gateway, place.gateway.vantage);
    } else {
      const Client client = place.proxyless_slot ? Client::proxyless : client_of(place.outbound);
      making.endpoints(book.of(place.outbound.view), client, place.outbound.vantage);
    }
  });
}

std::shared_ptr<Generation::Place> Generation::State::find(const resource::Node& node) {
  auto place = std::make_shared<Place>();
  place->snapshot = snapshot;
  const Role role = role_of(node);
  if (role == Role::gateway) {
    const auto view = gateway_view(*snapshot, node);
    place->gateway = gateway_scope(snapshot, view, book.of(view)->traits, node);
    const std::string text = "gateway|" + text_of(place->gateway);
    place->gateway_slot = slots->at(text);
    place->endpoints_slot = slots->at("endpoints|" + text + text_of(place->gateway.vantage));
    return place;
  }
  const auto view = snapshot->view(node.namespace_, node.labels);
  if (role == Role::sidecar) {
    place->inbound = inbound_scope(snapshot, view, node);
    place->inbound_slot = slots->at("inbound|" + text_of(place->inbound));
  }
  place->outbound = outbound_scope(snapshot, view, book.of(view)->traits, node, place->inbound);
  const bool proxyless = role == Role::proxyless;
  const std::string text = (proxyless ? "proxyless|" : "outbound|") + text_of(place->outbound);
  (proxyless ? place->proxyless_slot : place->outbound_slot) = slots->at(text);
  place->endpoints_slot = slots->at("endpoints|" + text + text_of(place->outbound.vantage));
  if (role == Role::sidecar)
    place->listeners_slot = slots->at("listeners|" + listeners_text_of(place->outbound));
  return place;
}

bool Generation::State::holds(const Place& place, const resource::Node& node) const {
  if (node.addresses.empty()) return false;
  return place.snapshot == snapshot ||
         snapshot->same_place(*place.snapshot, node.namespace_, node.addresses);
}

// So that nobody keeps an old Snapshot.
void Generation::State::move_here(Place& place) const {
  place.snapshot = snapshot;
  for (auto* of : {&place.outbound.snapshot, &place.inbound.snapshot, &place.gateway.snapshot}) {
    if (*of) *of = snapshot;
  }
}

std::vector<PartPtr> Generation::State::parts(Place& place) {
  std::vector<PartPtr> parts;
  parts.reserve(4);
  if (place.gateway_slot) parts.push_back(gateway(*place.gateway_slot, place.gateway));
  if (place.proxyless_slot) parts.push_back(proxyless(*place.proxyless_slot, place.outbound));
  if (place.outbound_slot) parts.push_back(outbound(*place.outbound_slot, place.outbound));
  if (place.endpoints_slot) parts.push_back(endpoints(*place.endpoints_slot, place));
  if (place.listeners_slot) parts.push_back(listeners(*place.listeners_slot, place.outbound));
  if (place.inbound_slot) {
    if (!place.inbound_part || place.inbound_declared != declared) {
      place.inbound_part = inbound(*place.inbound_slot, place.inbound);
      place.inbound_declared = declared;
    }
    place.inbound_slot->touch(number);
    parts.push_back(place.inbound_part);
  }
  return parts;
}

// None: some of them are to be made, or to be waited for.
std::vector<PartPtr> Generation::State::parts_at_hand(const Place& place) const {
  std::vector<PartPtr> parts;
  parts.reserve(4);
  for (const auto* slot : {&place.gateway_slot, &place.proxyless_slot, &place.outbound_slot,
                           &place.endpoints_slot, &place.listeners_slot}) {
    if (!*slot) continue;
    parts.push_back((*slot)->at_hand(number));
    if (!parts.back()) return {};
  }
  if (place.inbound_slot) {
    if (!place.inbound_part || place.inbound_declared != declared) return {};
    place.inbound_slot->touch(number);
    parts.push_back(place.inbound_part);
  }
  return parts;
}

resource::ConfigPtr Generation::State::config_of(const std::vector<PartPtr>& parts) const {
  auto config = std::make_shared<Config>();
  config->snapshot = snapshot->number();
  for (const auto& part : parts) {
    for (const Type type : resource::all_types) {
      const auto& layer = part->of(type);
      if (layer && layer->set) config->add(type, layer->set);
    }
  }
  return config;
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
  std::shared_ptr<void> kept;
  return config_for(node, kept);
}

resource::ConfigPtr Generation::config_for(const resource::Node& node,
                                           std::shared_ptr<void>& kept) const {
  State& state = *state_;
  auto place = std::static_pointer_cast<Place>(kept);
  if (place && state.holds(*place, node))
    state.move_here(*place);
  else
    kept = place = state.find(node);
  return state.config_of(state.parts(*place));
}

resource::ConfigPtr Generation::config_at_hand(const resource::Node& node,
                                               std::shared_ptr<void>& kept) const {
  const State& state = *state_;
  const auto place = std::static_pointer_cast<Place>(kept);
  if (!place || !state.holds(*place, node)) return nullptr;
  const auto parts = state.parts_at_hand(*place);
  if (parts.empty()) return nullptr;
  state.move_here(*place);
  return state.config_of(parts);
}

}  // namespace graymesh::translate
