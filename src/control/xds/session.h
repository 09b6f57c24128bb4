// One stream's conversation, without the wire, threads or a clock: requests and Configs in,
// responses out. Four Channels, and the order between them.
//
//   clusters ──> endpoints ──┐ all additions ACKed        routes that stopped using them ACKed
//                            └──> listeners, routes ──────────> removals of clusters, endpoints
//
// A new Config reaches clusters and endpoints at once. Endpoints never wait for the ACK of
// clusters, as Envoy holds that back until they have come. Listeners and routes follow in steps:
// they stay at the Config they have until the clusters and endpoints of some later one are ACKed,
// then they go to that, however many came meanwhile. What no longer is wanted stays until the
// routes that left it are ACKed. A type that isn't subscribed is waited for by nobody, so any order
// of subscription works; a client that ACKs nothing holds its own routes back for `hold_max`.
#pragma once

#include <array>
#include <chrono>
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

  // From now on the proxy shall run `config`. `published`: when it became known. The error is that
  // of a request which had to wait for the first Config.
  Status update(resource::ConfigPtr config, Clock::Steady published, Now now);

  // The next response to send; ask until there is none.
  std::optional<Response> next(Now now);

  // When to ask next() again though nothing was heard.
  std::optional<Clock::Steady> deadline() const;

  // How long the last change took until all of it was ACKed; once for each.
  std::optional<std::chrono::nanoseconds> take_convergence(Now now);

  bool delta() const { return delta_; }
  const Channel& channel(resource::Type type) const {
    return channels_[static_cast<std::size_t>(type)];
  }
  std::uint64_t ignored() const { return ignored_; }  // requests for types we don't serve

  std::uint64_t snapshot() const;
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
  std::optional<Response> take(resource::Type type, const Step& step);
  std::optional<Response> pass(Now now);
  void go_on(Now now);
  std::uint64_t removals_through(resource::Type type) const;
  bool in_step() const;
  TypeStatus::State state(resource::Type type) const;
  void note(Now now);

  bool delta_;
  const Limits* limits_;
  std::array<Channel, resource::type_count> channels_;
  Step target_;                  // what clusters and endpoints follow
  Step routes_;                  // what listeners and routes follow
  std::optional<Step> ahead_;    // what those go to as soon as its endpoints are there
  Clock::Steady waits_since_{};  // no ACK has come since then that brings them nearer
  Clock::Steady returned_at_{};
  bool patience_over_ = false;  // for a returned proxy's subscription to listeners and routes

  std::vector<std::variant<DeltaRequest, SotwRequest>> waiting_;  // for the first Config
  std::size_t waiting_names_ = 0;
  std::vector<Response> polite_;  // answers to types we don't serve
  std::uint64_t ignored_ = 0;
  std::uint64_t nonce_ = 0;

  std::optional<Clock::Steady> behind_since_;
  bool sent_since_ = false;
  std::array<TypeStatus::State, resource::type_count> states_{};
  std::array<Clock::Wall, resource::type_count> since_{};
};

}  // namespace graymesh::xds
