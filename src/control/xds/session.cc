#include "control/xds/session.h"

#include <algorithm>
#include <limits>

namespace graymesh::xds {
namespace {

using resource::Type;

constexpr std::uint64_t all_updates = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t waiting_max =
    32;  // requests before the first Config: one for each type is usual
constexpr std::size_t polite_max = 8;

std::optional<Type> type_of(std::string_view url) {
  for (const Type type : resource::all_types) {
    if (type_url(type) == url) return type;
  }
  return std::nullopt;
}

std::size_t names_in(const DeltaRequest& request) {
  return request.subscribe.size() + request.unsubscribe.size() + request.held.size();
}
std::size_t names_in(const SotwRequest& request) { return request.names.size(); }

}  // namespace

Session::Session(bool delta, const Limits& limits, Diffs& diffs)
    : delta_(delta),
      limits_(&limits),
      channels_{Channel(Type::cluster, delta, limits, diffs),
                Channel(Type::endpoints, delta, limits, diffs),
                Channel(Type::listener, delta, limits, diffs),
                Channel(Type::route, delta, limits, diffs)} {}

Status Session::hear(DeltaRequest request, Now now) { return hear_any(std::move(request), now); }
Status Session::hear(SotwRequest request, Now now) { return hear_any(std::move(request), now); }

template <typename Request>
Status Session::hear_any(Request request, Now now) {
  const auto type = type_of(request.type_url);
  if (!type) {
    ignore(request);
    return {};
  }
  if (!target_.config) return wait(std::move(request));

  Channel& channel = at(*type);
  const auto acked = channel.counts().acked;
  const bool returned = channel.returned();
  // What listeners and routes are measured against is what they follow, not what they go to.
  const bool follows = (*type == Type::listener || *type == Type::route) && routes_.config;
  TRY(channel.hear(request, follows ? *routes_.config : *target_.config, now));
  if (channel.counts().acked != acked) waits_since_ = now.steady;
  if (channel.returned() && !returned) returned_at_ = now.steady;
  note(now);
  return {};
}

template <typename Request>
Status Session::wait(Request request) {
  waiting_names_ += names_in(request);
  if (waiting_.size() >= waiting_max || waiting_names_ > limits_->names_max) {
    return Error{Code::resource_exhausted,
                 "too many requests before there is a configuration to serve"};
  }
  waiting_.emplace_back(std::move(request));
  return {};
}

// A type we don't serve. The stream goes on, and the first request gets an answer that says "there
// is no such thing", so that an Envoy which asks for it doesn't hold its start back for 15 s.
void Session::ignore(const DeltaRequest& request) {
  ++ignored_;
  if (!request.nonce.empty() || polite_.size() >= polite_max) return;
  polite_.push_back({.type_url = request.type_url, .removed = request.subscribe});
}

void Session::ignore(const SotwRequest& request) {
  ++ignored_;
  if (!request.nonce.empty() || polite_.size() >= polite_max) return;
  polite_.push_back({.type_url = request.type_url, .version = "0"});
}

Status Session::update(resource::ConfigPtr config, Clock::Steady published, Now now) {
  if (!config || config == target_.config) return {};
  if (routes_.update == target_.update) waits_since_ = now.steady;
  target_ = {std::move(config), target_.update + 1};
  if (!behind_since_) {
    behind_since_ = published;
    sent_since_ = false;
  }
  for (auto& request : std::exchange(waiting_, {})) {
    TRY(std::visit([&](auto& it) { return hear_any(std::move(it), now); }, request));
  }
  note(now);
  return {};
}

std::optional<Response> Session::next(Now now) {
  if (!polite_.empty()) {
    auto response = std::move(polite_.front());
    polite_.erase(polite_.begin());
    response.nonce = std::to_string(++nonce_);
    return response;
  }
  if (!target_.config) return std::nullopt;
  auto response = pass(now);
  sent_since_ = sent_since_ || response;
  note(now);
  return response;
}

// Each type in turn; again while one that settles lets another go on.
std::optional<Response> Session::pass(Now now) {
  for (;;) {
    const auto marks = [&] {
      std::array<std::uint64_t, 2 * resource::type_count + 1> all{};
      for (std::size_t i = 0; i < channels_.size(); ++i) {
        all[2 * i] = channels_[i].settled().update;
        all[2 * i + 1] = channels_[i].cleared().update;
      }
      all.back() = routes_.update;
      return all;
    };
    const auto before = marks();
    if (returned_at_ != Clock::Steady{} && now.steady - returned_at_ >= limits_->return_max)
      patience_over_ = true;
    if (auto response = take(Type::cluster, target_)) {
      std::vector<NameHash> warming;
      for (const auto& sent : at(Type::cluster).flight()->sent) {
        if (sent.now) warming.push_back(sent.hash);
      }
      if (at(Type::cluster).wildcard()) at(Type::endpoints).resend(warming, *target_.config);
      return response;
    }
    if (auto response = take(Type::endpoints, target_)) return response;
    go_on(now);
    if (routes_.config) {
      if (auto response = take(Type::listener, routes_)) return response;
      if (auto response = take(Type::route, routes_)) return response;
    }
    if (marks() == before) return std::nullopt;
  }
}

std::optional<Response> Session::take(Type type, const Step& step) {
  auto response = at(type).take({step, removals_through(type)}, std::to_string(nonce_ + 1));
  if (response) ++nonce_;
  return response;
}

// Listeners and routes take the step that clusters and endpoints allow. It is one that clusters
// have reached, not just passed: of an update that was folded into a later one, some may never have
// been sent. And it is kept until its endpoints are there, or endpoints that change all the time
// would hold it back for ever.
void Session::go_on(Now now) {
  const Channel& clusters = channel(Type::cluster);
  const Channel& endpoints = channel(Type::endpoints);
  while (routes_.update != target_.update) {
    const Step& reached = clusters.heard() ? clusters.settled() : target_;
    if (!ahead_ && reached.update > routes_.update) ahead_ = reached;
    const bool there =
        ahead_ && (!endpoints.heard() || endpoints.settled().update >= ahead_->update);
    if (now.steady - waits_since_ >= limits_->hold_max) {
      routes_ = target_;
    } else if (there) {
      routes_ = *ahead_;
    } else {
      return;
    }
    ahead_.reset();
    waits_since_ = now.steady;
  }
}

// Up to which update that which it ceased to want may be removed.
std::uint64_t Session::removals_through(Type type) const {
  // One who came back will subscribe again, in its own order: routes that still use it may be about
  // to come.
  const auto left = [&](Type user) {
    if (channel(user).heard()) return channel(user).settled().update;
    return channel(Type::cluster).returned() && !patience_over_ ? 0 : all_updates;
  };
  switch (type) {
    case Type::cluster:
      return std::min(left(Type::listener), left(Type::route));
    case Type::endpoints:
      return std::min(
          {left(Type::listener), left(Type::route),
           channel(Type::cluster).heard() ? channel(Type::cluster).cleared().update : all_updates});
    case Type::listener:
      return all_updates;
    case Type::route:
      return channel(Type::listener).heard() ? channel(Type::listener).settled().update
                                             : all_updates;
  }
  return all_updates;
}

std::optional<Clock::Steady> Session::deadline() const {
  std::optional<Clock::Steady> first;
  if (routes_.update != target_.update) first = waits_since_ + limits_->hold_max;
  if (returned_at_ != Clock::Steady{} && !patience_over_) {
    const auto other = returned_at_ + limits_->return_max;
    first = first ? std::min(*first, other) : other;
  }
  return first;
}

bool Session::in_step() const {
  return std::ranges::all_of(channels_, [&](const Channel& channel) {
    return !channel.heard() || (!channel.flight() && channel.cleared().update == target_.update);
  });
}

std::optional<std::chrono::nanoseconds> Session::take_convergence(Now now) {
  if (!behind_since_ || !in_step()) return std::nullopt;
  const auto since = *std::exchange(behind_since_, std::nullopt);
  if (!std::exchange(sent_since_, false)) return std::nullopt;  // nothing of it was for this proxy
  return now.steady - since;
}

}  // namespace graymesh::xds
