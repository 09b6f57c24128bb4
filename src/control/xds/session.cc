#include "control/xds/session.h"

#include <algorithm>
#include <charconv>
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

std::optional<std::uint64_t> number_of(const std::string& nonce) {
  std::uint64_t number = 0;
  const char* end = nonce.data() + nonce.size();
  const auto [at, error] = std::from_chars(nonce.data(), end, number);
  return error == std::errc() && at == end ? std::optional(number) : std::nullopt;
}

std::size_t names_in(const DeltaRequest& request) {
  return request.subscribe.size() + request.unsubscribe.size() + request.held.size();
}
std::size_t names_in(const SotwRequest& request) { return request.names.size(); }

}  // namespace

Session::Session(bool delta, const Limits& limits, Diffs& diffs)
    : delta_(delta),
      limits_(&limits),
      diffs_(&diffs),
      pace_(limits.pace()),
      channels_{Channel(Type::cluster, delta, limits, diffs),
                Channel(Type::endpoints, delta, limits, diffs),
                Channel(Type::listener, delta, limits, diffs),
                Channel(Type::route, delta, limits, diffs),
                Channel(Type::virtual_host, delta, limits, diffs)} {}

Status Session::hear(DeltaRequest request, Now now) { return hear_any(std::move(request), now); }
Status Session::hear(SotwRequest request, Now now) { return hear_any(std::move(request), now); }

template <typename Request>
Status Session::hear_any(Request request, Now now) {
  const auto type = type_of(request.type_url);
  if (!type || (*type == Type::virtual_host && !delta_)) {
    ignore(request);
    return {};
  }
  if (!target_.config) return wait(std::move(request));

  Channel& channel = at(*type);
  const auto acked = channel.counts().acked;
  const bool returned = channel.returned(), heard = channel.heard();
  // What listeners and routes are measured against is what they follow, not what they go to.
  const bool follows = *type != Type::cluster && *type != Type::endpoints && routes_.config;
  TRY(channel.hear(request, follows ? *routes_.config : *target_.config, now));
  if (*type == Type::route) hear_tables(request, !heard);
  if (channel.counts().acked != acked) waits_since_ = now.steady;
  if (const auto number = number_of(request.nonce); number && *number <= nonce_)
    pace_.answered(*number, {.at = now.steady, .distance = now.distance, .telling = now.telling});
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
  polite_.push_back({.type_url = request.type_url,
                     .removed = {request.subscribe.begin(), request.subscribe.end()}});
}

void Session::ignore(const SotwRequest& request) {
  ++ignored_;
  if (!request.nonce.empty() || polite_.size() >= polite_max) return;
  polite_.push_back({.type_url = request.type_url, .version = "0"});
}

Status Session::update(resource::ConfigPtr config, Clock::Steady published, Now now) {
  if (!config || config == target_.config) return {};
  if (routes_.update == target_.update) waits_since_ = now.steady;
  const bool in_step = this->in_step();
  folded_ += target_.config && !in_step ? 1 : 0;
  // A stream that has just come is not behind since the last change, an hour ago.
  const auto since = target_.config ? published : now.steady;
  const auto before = std::exchange(target_, {std::move(config), target_.update + 1}).config;
  if (before) {
    const bool alone =
        in_step && std::ranges::equal(before->of(Type::cluster), target_.config->of(Type::cluster));
    if (alone)
      alone_ = before;  // there is nothing that it could go before; but it may have no turn
    else
      hasten(*(alone_ ? std::exchange(alone_, nullptr) : before));
  }
  if (!behind_since_) {
    behind_since_ = since;
    sent_since_ = false;
  }
  for (auto& request : std::exchange(waiting_, {})) {
    TRY(std::visit([&](auto& it) { return hear_any(std::move(it), now); }, request));
  }
  note(now);
  return {};
}

// What has changed since then of endpoints that the proxy has.
void Session::hasten(const resource::Config& from) {
  Channel& endpoints = at(Type::endpoints);
  if (!endpoints.heard()) return;
  const auto before = from.of(Type::endpoints), after = target_.config->of(Type::endpoints);
  std::vector<NameHash> names;
  for (std::size_t i = 0; i < std::min(before.size(), after.size()); ++i) {
    if (before[i] == after[i] || !before[i] || !after[i]) continue;
    const auto diff = diffs_->diff(before[i], after[i]);
    for (const auto& change : *diff) {
      if (change.from && change.to) names.push_back(change.hash);
    }
  }
  endpoints.hasten(names);
}

std::optional<Response> Session::next(Now now, const MayPush& may_push) {
  std::optional<Response> response;
  if (!polite_.empty()) {
    response = std::move(polite_.front());
    polite_.erase(polite_.begin());
    response->nonce = std::to_string(++nonce_);
    return response;
  }
  if (!target_.config) return std::nullopt;
  Turn turn{may_push};
  response = pass(now, turn);
  if (!response && turn.refused()) {
    if (alone_) hasten(*alone_);
    response = take_hastened(now);
    // The proxy doesn't ACK its clusters before it has these: without a turn all would wait for one
    // another.
    if (!response && channel(Type::cluster).flight())
      response = take(goal(Type::endpoints, target_, now), Type::endpoints);
  }
  alone_.reset();
  if (response) count(*response, now);
  sent_since_ = sent_since_ || response;
  note(now);
  return response;
}

void Session::count(const Response& response, Now now) {
  const auto resources = response.resources.size() + response.removed.size();
  pace_.sent(nonce_, *type_of(response.type_url), resources, now.steady);
}

// Each type in turn; again while one that settles lets another go on. Ends where it has no turn.
std::optional<Response> Session::pass(Now now, Turn& turn) {
  while (!turn.refused()) {
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
    if (channel(Type::cluster).pushes() && channel(Type::endpoints).hastens()) {
      if (auto response = take(Type::endpoints, target_, now, turn)) return response;
    }
    if (auto response = take_clusters(now, turn)) return response;
    if (auto response = take(Type::endpoints, target_, now, turn)) return response;
    go_on(now);
    if (auto response = take_routes(now, turn)) return response;
    if (marks() == before) return std::nullopt;
  }
  return std::nullopt;
}

std::optional<Response> Session::take_routes(Now now, Turn& turn) {
  if (!routes_.config) return std::nullopt;
  if (auto response = take(Type::listener, routes_, now, turn)) return response;
  if (auto response = take(Type::route, routes_, now, turn)) {
    sent_tables();
    return response;
  }
  return take_hosts(now, turn);
}

Goal Session::goal(Type type, const Step& step, Now now) const {
  return {.step = step,
          .removals_through = removals_through(type),
          .resources_max = pace_.chunk(type),
          .now = now.steady};
}

std::optional<Response> Session::take(Type type, const Step& step, Now now, Turn& turn) {
  const Goal it = goal(type, step, now);
  return at(type).wants(it) && turn.granted() ? take(it, type) : std::nullopt;
}

std::optional<Response> Session::take(const Goal& goal, Type type) {
  auto response = at(type).take(goal, nonce_ + 1);
  if (response) ++nonce_;
  return response;
}

std::optional<Response> Session::take_hastened(Now now) {
  Goal only = goal(Type::endpoints, target_, now);
  only.hastened_only = true;
  return take(only, Type::endpoints);
}

std::optional<Response> Session::take_clusters(Now now, Turn& turn) {
  auto response = take(Type::cluster, target_, now, turn);
  if (!response) return std::nullopt;
  std::vector<NameHash> warming;
  for (const auto& sent : at(Type::cluster).flight()->sent) {
    if (sent.now) warming.push_back(sent.hash);
  }
  if (at(Type::cluster).wildcard()) at(Type::endpoints).resend(warming, target_.config);
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
    if (user == Type::virtual_host && target_.config->of(user).empty()) return all_updates;
    return channel(Type::cluster).returned() && !patience_over_ ? 0 : all_updates;
  };
  const auto users = [&] {
    return std::min({left(Type::listener), left(Type::route), left(Type::virtual_host)});
  };
  switch (type) {
    case Type::cluster:
      return users();
    case Type::endpoints:
      return std::min(users(), channel(Type::cluster).heard()
                                   ? channel(Type::cluster).cleared().update
                                   : all_updates);
    case Type::listener:
    case Type::virtual_host:  // what one host loses another may have gained: together, or refused
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

NamesHashes Session::names_hashes() const {
  NamesHashes all{};
  for (std::size_t i = 0; i < channels_.size(); ++i) all[i] = channels_[i].names_hash();
  return all;
}

bool Session::in_step() const {
  return std::ranges::all_of(channels_, [&](const Channel& channel) {
    return !channel.heard() || (!channel.flight() && channel.cleared().update == target_.update);
  });
}

bool Session::awaits_endpoints() const {
  const auto& flight = channel(Type::endpoints).flight();
  return flight && flight->settles && flight->step.update == target_.update &&
         channel(Type::cluster).settled().update == target_.update &&
         std::ranges::count_if(channels_,
                               [](const Channel& it) { return it.flight().has_value(); }) == 1;
}

std::size_t Session::bytes_in_flight() const {
  std::size_t bytes = 0;
  for (const auto& channel : channels_) bytes += channel.bytes_in_flight();
  return bytes;
}

std::optional<std::size_t> Session::owed() const {
  const Channel& clusters = channel(Type::cluster);
  if (!target_.config || !clusters.heard()) return std::nullopt;
  if (!clusters.wildcard()) return 0;  // it asks for what it needs, by name
  std::size_t all = 0, of_clusters = 0;
  for (const Type type : resource::all_types) {
    for (const auto& layer : target_.config->of(type)) {
      all += layer->bytes();
      if (type == Type::cluster) of_clusters += layer->bytes();
    }
  }
  if (of_clusters == 0) return all;
  const double lacks =
      static_cast<double>(clusters.owed(*target_.config)) / static_cast<double>(of_clusters);
  return static_cast<std::size_t>(lacks * static_cast<double>(all));
}

std::optional<Clock::Steady> Session::oldest_in_flight() const {
  std::optional<Clock::Steady> oldest;
  for (const auto& channel : channels_) {
    const auto& flight = channel.flight();
    if (flight && (!oldest || flight->at < *oldest)) oldest = flight->at;
  }
  return oldest;
}

std::optional<std::chrono::nanoseconds> Session::take_convergence(Now now) {
  if (!behind_since_ || !in_step()) return std::nullopt;
  const auto since = *std::exchange(behind_since_, std::nullopt);
  if (!std::exchange(sent_since_, false)) return std::nullopt;  // nothing of it was for this proxy
  return now.steady - since;
}

}  // namespace graymesh::xds
