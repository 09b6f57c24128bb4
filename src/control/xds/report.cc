// The part of Session that others ask: how it stands, and what the proxy holds.
#include <algorithm>

#include "control/xds/session.h"

namespace graymesh::xds {

using resource::Type;

std::uint64_t Session::snapshot() const {
  const Step* least = nullptr;
  for (const auto& channel : channels_) {
    if (channel.heard() && (!least || channel.cleared().update < least->update))
      least = &channel.cleared();
  }
  return least && least->config ? least->config->snapshot : 0;
}

std::uint64_t Session::done() const {
  const bool asks = std::ranges::any_of(channels_, &Channel::heard);
  return asks || !target_.config ? snapshot() : target_.config->snapshot;
}

TypeStatus::State Session::state(Type type) const {
  using State = TypeStatus::State;
  const Channel& channel = this->channel(type);
  if (!channel.wildcard() && channel.names() == 0) return State::not_subscribed;
  if (channel.flight()) return State::stale;
  if (!channel.refusals().empty()) return State::refused;
  if (channel.counts().sent == 0 && !channel.returned()) return State::never_sent;
  return channel.cleared().update == target_.update ? State::synced : State::stale;
}

void Session::note(Now now) {
  for (const Type type : resource::all_types) {
    const auto i = static_cast<std::size_t>(type);
    const auto newest = state(type);
    if (newest != states_[i] || since_[i] == Clock::Wall{}) since_[i] = now.wall;
    states_[i] = newest;
  }
}

std::vector<TypeStatus> Session::types() const {
  std::vector<TypeStatus> types;
  for (const Type type : resource::all_types) {
    const auto i = static_cast<std::size_t>(type);
    // Most proxies take whole tables, and are as they shall be without it.
    if (type == Type::virtual_host && states_[i] == TypeStatus::State::not_subscribed) continue;
    const auto& counts = channels_[i].counts();
    types.push_back({.type = type,
                     .state = states_[i],
                     .resources = channels_[i].held_count(),
                     .sent = counts.sent,
                     .acked = counts.acked,
                     .nacked = counts.nacked,
                     .bytes = counts.bytes,
                     .since = since_[i],
                     .chunk = delta_ && type != Type::virtual_host ? pace_.chunk(type) : 0,
                     .apply_each = pace_.each(type)});
  }
  return types;
}

std::vector<Refusal> Session::refusals() const {
  std::vector<Refusal> all;
  for (const auto& channel : channels_) {
    for (const auto& [hash, refusal] : channel.refusals()) all.push_back(refusal);
  }
  return all;
}

bool Session::refuses() const {
  return std::any_of(channels_.begin(), channels_.end(),
                     [](const Channel& channel) { return !channel.refusals().empty(); });
}

resource::ConfigPtr Session::acked() const {
  auto config = std::make_shared<resource::Config>();
  config->snapshot = snapshot();
  for (const Type type : resource::all_types) {
    for (auto& layer : channel(type).acked()) config->add(type, std::move(layer));
  }
  return config;
}

}  // namespace graymesh::xds
