#include "control/xds/channel.h"

#include <algorithm>
#include <string_view>

#include "control/xds/refusal.h"

namespace graymesh::xds {
namespace {

using resource::ResourcePtr;
using resource::Type;

constexpr std::size_t trials_max = 64;  // responses to find the culprits of one: some ten of 200
constexpr std::size_t refusals_max =
    256;  // kept with their words; of more only the version is noted
constexpr std::size_t error_bytes_max = 4096;  // of a proxy's words

}  // namespace

Channel::Channel(Type type, bool delta, const Limits& limits, Diffs& diffs)
    : type_(type), delta_(delta), limits_(&limits), diffs_(&diffs), holding_(diffs) {}

Status Channel::hear(const DeltaRequest& request, const resource::Config& config, Now now) {
  const bool first = !heard_;
  if (first && !request.held.empty()) expand_groups();
  heard_ = true;
  // An ACK leaves nothing to say that take() did not know of.
  const bool asks = !request.subscribe.empty() || !request.unsubscribe.empty();
  dirty_ = dirty_ || first || asks || request.error;
  dropped_.clear();
  shrank_ = false;
  answer(request, now);
  if (!first && !asks) return {};
  const Target target(config.of(type_), *diffs_);
  // Names given and taken back are always meant, also beside a stale nonce.
  unsubscribe(request.unsubscribe, target);
  TRY(subscribe(request.subscribe, target));
  if (!first) return {};

  const bool legacy = type_ == Type::cluster || type_ == Type::listener;
  if (by_table() || (legacy && request.subscribe.empty())) subscription_.wildcard = true;
  TRY(bounded(request.held.size()));
  claim(request.held, request.versions, target);
  due_ = subscription_.wildcard && request.held.empty() && (!by_table() || target.size() == 0);
  owe(std::exchange(owed_first_, {}));
  return {};
}

Status Channel::hear(const SotwRequest& request, const resource::Config& config, Now now) {
  const bool first = !heard_;
  if (!first &&
      request.nonce != last_nonce_) {  // there is a newer response, whose answer says it again
    ++counts_.stale;
    return {};
  }
  heard_ = true;
  dirty_ = dirty_ || first || !request.same_names || request.error;
  dropped_.clear();
  shrank_ = false;
  answer(request, now);
  TRY(replace_names(request));
  if (!request.same_names) (void)wants_all_of(Target(config.of(type_), *diffs_));
  if (!first) return {};

  returned_ = !request.version.empty();
  // Endpoints and routes are always sent all again: which of them it has the version cannot say.
  if (whole() && returned_) {
    const bool same = claim_whole(request.version, Target(config.of(type_), *diffs_));
    due_ = due_ && !same;
    counts_.resyncs += same ? 0 : 1;
  }
  owe(std::exchange(owed_first_, {}));
  return {};
}

void Channel::answer(const RequestHead& request, Now now) {
  if (request.nonce.empty()) return;
  if (!flight_ || flight_->nonce != request.nonce) {
    ++counts_.stale;
    return;
  }
  const Flight flight = *std::exchange(flight_, std::nullopt);
  if (request.error) {
    ++counts_.nacked;
    refuse(flight, *request.error, now);
  } else {
    ++counts_.acked;
    accept(flight);
  }
}

void Channel::accept(const Flight& flight) {
  refusals_.erase(0);
  if (!refusals_.empty()) {
    for (const auto& sent : flight.sent) refusals_.erase(sent.hash);
  }
  if (flight.settles) settled_ = flight.step;
  if (flight.clears) cleared_ = flight.step;
}

// What Envoy says of a response of several: of clusters and listeners it keeps the good ones and
// names the bad. Of the other types the rest is in doubt and goes out once more.
void Channel::refuse(const Flight& flight, const std::string& error, Now now) {
  std::vector<const Sent*> suspects;
  for (const auto& sent : flight.sent) {
    if (sent.now) suspects.push_back(&sent);
  }
  if (suspects.empty()) refuse_one({}, error, now);
  if (!flight.trial) trials_left_ = trials_max;

  auto culprits = blamed(flight, error);
  if (suspects.size() == 1) culprits = {0};
  const bool rest_applied =
      !culprits.empty() && (type_ == Type::cluster || type_ == Type::listener);
  std::vector<const Sent*> rest;
  for (std::size_t i = 0; i < suspects.size(); ++i) {
    const bool culprit = std::ranges::binary_search(culprits, i);
    if (culprit || trials_left_ == 0) {
      refuse_one(*suspects[i], error, now);
    } else if (rest_applied) {
      refusals_.erase(suspects[i]->hash);
    } else {
      rest.push_back(suspects[i]);
    }
  }
  try_later(rest);
  if (flight.settles && trials_.empty()) settled_ = flight.step;
  if (flight.clears && trials_.empty()) cleared_ = flight.step;
}

std::vector<std::size_t> Channel::blamed(const Flight& flight, const std::string& error) const {
  std::vector<std::string_view> names;
  for (const auto& sent : flight.sent) {
    if (sent.now) names.push_back((*sent.now)->name());
  }
  return named_in(error, names);
}

void Channel::refuse_one(const Sent& sent, const std::string& error, Now now) {
  if (sent.now) {
    holding_.except(sent.hash) = {.held = sent.before.resource,
                                  .claimed = sent.before.claimed,
                                  .refused = (*sent.now)->version()};
  }
  if (refusals_.size() >= refusals_max && !refusals_.contains(sent.hash)) return;
  Refusal refusal{.type = type_, .error = error.substr(0, error_bytes_max), .at = now.wall};
  if (sent.now) {
    refusal.resource = (*sent.now)->name();
    refusal.version = (*sent.now)->version_text();
    refusal.origins = (*sent.now)->origins();
  }
  refusals_[sent.hash] = std::move(refusal);
}

void Channel::try_later(const std::vector<const Sent*>& suspects) {
  if (suspects.empty()) return;
  const std::size_t half = (suspects.size() + 1) / 2;
  for (const std::size_t begin : {std::size_t{0}, half}) {
    const std::size_t end = begin == 0 ? half : suspects.size();
    std::vector<NameHash> group;
    for (std::size_t i = begin; i < end; ++i) {
      const Sent& sent = *suspects[i];
      group.push_back(sent.hash);
      holding_.except(sent.hash) = {
          .held = sent.before.resource, .claimed = sent.before.claimed, .withheld = true};
    }
    if (!group.empty()) trials_.push_back(std::move(group));
  }
}

std::vector<resource::ResourceSetPtr> Channel::acked() const {
  auto possession = this->possession();
  std::vector<resource::ResourceSetPtr> layers;
  if (possession.exceptions.empty() &&
      std::ranges::none_of(possession.layers, &resource::Possession::Layer::claimed)) {
    for (auto& layer : possession.layers) layers.push_back(std::move(layer.set));
  } else {
    layers.push_back(std::make_shared<const resource::ResourceSet>(possession.all().held));
  }
  return layers;
}

// Most often as it lies here; a walk over all names is long.
resource::Possession Channel::possession() const {
  resource::Possession all{.type = type_};
  const auto add = [&all](NameHash hash, const Held& held) {
    all.exceptions.push_back({hash, held.resource, held.claimed});
  };
  if (auto layers = holding_.layers(); layers && !flight_ && covers(*layers)) {
    all.layers = *std::move(layers);
    for (const auto& [hash, exception] : holding_.exceptions())
      add(hash, {exception.held, exception.claimed});
    return all;
  }
  std::map<NameHash, Held> held;
  holding_.each(subscription_, [&](NameHash hash, const Held& it) { held[hash] = it; });
  if (flight_) {
    for (const auto& sent : flight_->sent) held[sent.hash] = sent.before;
  }
  for (const auto& [hash, it] : held) {
    if (it.resource) add(hash, it);
  }
  return all;
}

// Whether it is subscribed to all that is in them.
bool Channel::covers(std::span<const resource::Possession::Layer> layers) const {
  if (subscription_.wildcard) return true;
  std::vector<resource::ResourceSetPtr> sets;
  for (const auto& layer : layers) sets.push_back(layer.set);
  return covers(sets);
}

bool Channel::covers(std::span<const resource::ResourceSetPtr> layers) const {
  if (subscription_.wildcard) return true;
  std::size_t resources = 0;
  for (const auto& layer : layers) resources += layer->size();
  if (resources > subscription_.names.size()) return false;
  const Target all(layers, *diffs_);
  return std::ranges::all_of(all.tables(), [&](const auto& table) {
    if (subscription_.names.shares(table->names())) return true;
    auto name = subscription_.names.all().begin();
    const auto end = subscription_.names.all().end();
    return std::ranges::all_of(table->entries(), [&](const Table::Entry& entry) {
      while (name != end && *name < entry.hash) ++name;
      return name != end && *name == entry.hash;
    });
  });
}

std::size_t Channel::held_count() const { return holding_.count(subscription_); }

std::size_t Channel::owed(const resource::Config& config) const {
  std::size_t bytes = 0, resources = 0;
  for (const auto& layer : config.of(type_)) {
    bytes += layer->bytes();
    resources += layer->size();
  }
  if (!holding_.at(config.of(type_))) return bytes;
  const auto lacking = std::ranges::count_if(holding_.exceptions(), [](const auto& it) {
    return it.second.claimed || !it.second.held || it.second.resend;
  });
  return resources == 0 ? 0 : bytes / resources * static_cast<std::size_t>(lacking);
}

}  // namespace graymesh::xds
