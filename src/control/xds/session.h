// One stream's conversation, without the wire, threads or a clock: requests and Configs in,
// responses out. Five Channels, and the order between them.
//
//   clusters ──> endpoints ──┐ all additions ACKed        routes that stopped using them ACKed
//                            └──> listeners, routes ──────────> removals of clusters, endpoints
//                                   └──> virtual hosts, where routes come one by one (tables.cc)
//
// A new Config reaches clusters and endpoints at once. Endpoints never wait for the ACK of
// clusters, as Envoy holds that back until they have come. Listeners and routes follow in steps:
// they stay at the Config they have until the clusters and endpoints of some later one are ACKed,
// then they go to that, however many came meanwhile. What no longer is wanted stays until the
// routes that left it are ACKed. A type that isn't subscribed is waited for by nobody, so any order
// of subscription works; a client that ACKs nothing holds its own routes back for `hold_max`.
//
// A change of endpoints that the proxy has goes before all of that, also while a push of thousands
// is under way: what it waits for is at most the ACK of one response of endpoints. How much one
// response may carry is learnt from how fast the proxy applies them (pace.h).
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "control/resource/resource.h"
#include "control/xds/channel.h"
#include "control/xds/message.h"
#include "control/xds/xds.h"

namespace graymesh::xds {

class Session {
 public:
  // `limits` and `diffs` outlive it.
  Session(bool delta, const Limits& limits, Diffs& diffs);

  // An error ends the stream: resource_exhausted, names without bound.
  Status hear(DeltaRequest request, Now now);
  Status hear(SotwRequest request, Now now);

  // From now on the proxy shall run `config`. `published`: when that was written. The error is that
  // of a request which had to wait for the first Config.
  Status update(resource::ConfigPtr config, Clock::Steady published, Now now);

  // The next response to send; ask until there is none. `may_push` is asked at most once, and only
  // where there is something to push. If it may not: only what is small and cannot wait, endpoints
  // of clusters that it has.
  using MayPush = std::function<bool()>;
  std::optional<Response> next(Now now, const MayPush& may_push);
  std::optional<Response> next(Now now, bool pushes = true) {
    return next(now, [pushes] { return pushes; });
  }
  // All that next() gave has left.
  void written(Now now) { pace_.written(nonce_, now.steady); }

  // When to ask next() again though nothing was heard.
  std::optional<Clock::Steady> deadline() const;

  // How long it took from the writing of the last change, or from the first Config of this stream,
  // until all of it was ACKed; once for each.
  std::optional<std::chrono::nanoseconds> take_convergence(Now now);

  bool delta() const { return delta_; }
  NamesHashes names_hashes() const;
  const Channel& channel(resource::Type type) const {
    return channels_[static_cast<std::size_t>(type)];
  }
  std::uint64_t ignored() const { return ignored_; }  // requests for types we don't serve
  // Configs that came while an older one was on its way, and took its place.
  std::uint64_t folded() const { return folded_; }
  std::size_t bytes_in_flight() const;
  // About how many bytes a proxy that has just come lacks of all that it shall run, by what it
  // lacks of the clusters. Nullopt: it has not asked for those, or there is nothing to run yet.
  std::optional<std::size_t> owed() const;
  std::optional<Clock::Steady> oldest_in_flight() const;
  bool in_step() const;  // the proxy has ACKed all that it shall run
  // All of this Config is sent that can be before a response of endpoints is ACKed, which is the
  // one on its way; so of a later one, too, but for clusters.
  bool awaits_endpoints() const;
  const Pace& pace() const { return pace_; }

  std::uint64_t snapshot() const;
  // The same; a proxy that has asked for nothing lacks nothing.
  std::uint64_t done() const;
  std::vector<TypeStatus> types() const;
  std::vector<Refusal> refusals() const;
  bool refuses() const;  // there is any
  resource::ConfigPtr acked() const;

 private:
  template <typename Request>
  Status hear_any(Request request, Now now);
  template <typename Request>
  Status wait(Request request);
  void ignore(const DeltaRequest& request);
  void ignore(const SotwRequest& request);

  Channel& at(resource::Type type) { return channels_[static_cast<std::size_t>(type)]; }
  // Of one next().
  struct Turn {
    const MayPush& may_push;
    std::optional<bool> answer{};
    bool granted() {
      if (!answer) answer = may_push();
      return *answer;
    }
    bool refused() const { return answer && !*answer; }
  };
  Goal goal(resource::Type type, const Step& step, Now now) const;
  std::optional<Response> take(const Goal& goal, resource::Type type);
  std::optional<Response> take(resource::Type type, const Step& step, Now now, Turn& turn);
  std::optional<Response> take_hastened(Now now);
  std::optional<Response> take_clusters(Now now, Turn& turn);
  std::optional<Response> take_routes(Now now, Turn& turn);
  // Virtual hosts and their tables (tables.cc).
  void hear_tables(const DeltaRequest& request, bool first);
  void hear_tables(const SotwRequest&, bool) {}  // has no virtual hosts
  void sent_tables();
  std::optional<Response> take_hosts(Now now, Turn& turn);
  std::optional<Response> pass(Now now, Turn& turn);
  void hasten(const resource::Config& from);
  void count(const Response& response, Now now);
  void go_on(Now now);
  std::uint64_t removals_through(resource::Type type) const;
  TypeStatus::State state(resource::Type type) const;
  void note(Now now);

  bool delta_;
  const Limits* limits_;
  Diffs* diffs_;
  Pace pace_;
  std::array<Channel, resource::type_count> channels_;
  Step target_;                    // what clusters and endpoints follow
  resource::ConfigPtr alone_;      // the one before, if nothing but `target_` is on its way
  Step routes_;                    // what listeners and routes follow
  std::optional<Step> ahead_;      // what those go to as soon as its endpoints are there
  std::vector<NameHash> tables_;   // whose virtual hosts the proxy takes; sorted
  std::vector<NameHash> renewed_;  // of those, asked for again and not sent yet; sorted
  std::uint64_t followed_ = 0;     // the update for which virtual hosts know that; 0: none
  Clock::Steady waits_since_{};    // no ACK has come since then that brings them nearer
  Clock::Steady returned_at_{};
  bool patience_over_ = false;  // for a returned proxy's subscription to listeners and routes

  std::vector<std::variant<DeltaRequest, SotwRequest>> waiting_;  // for the first Config
  std::size_t waiting_names_ = 0;
  std::vector<Response> polite_;  // answers to types we don't serve
  std::uint64_t ignored_ = 0;
  std::uint64_t folded_ = 0;
  std::uint64_t nonce_ = 0;

  std::optional<Clock::Steady> behind_since_;
  bool sent_since_ = false;
  std::array<TypeStatus::State, resource::type_count> states_{};
  std::array<Clock::Wall, resource::type_count> since_{};
};

}  // namespace graymesh::xds
