// Is this proxy fit to be sent traffic? Decided from what happened to its process and from what its
// admin answered, most of all: "no answer" is not "not ready". Pure: whoever owns the sockets tells
// it what came in, and asks.
//
//   starting ──live and configured──> ready <──LIVE── not_live
//      ^                                │  └──INITIALIZING, DRAINING──>┘
//      └── process ended (any state) ───┘        draining: for good, we are going
//
// A ready Envoy whose main thread is busy for two seconds with a large push answers no probe; its
// workers go on serving, so it stays ready. Only its own word or its end changes that.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace graymesh::sidecar {

class Readiness {
 public:
  enum class State : std::uint8_t { starting, ready, not_live, draining };

  // What a look at the admin brought.
  enum class Answer : std::uint8_t {
    none,      // refused, reset, timed out, or not HTTP
    not_live,  // /ready says PRE_INITIALIZING, INITIALIZING or DRAINING
    live,      // /ready says LIVE
  };

  explicit Readiness(const Clock& clock) : clock_(clock), since_(clock.now()) {}

  void started();  // a new process: nothing known of it
  void exited();
  void drain();
  void answered(Answer answer);
  // Whether clusters and listeners of the control plane have been accepted at least once. Envoy is
  // LIVE also when it refused everything it was sent, and then has no listener.
  void configured(bool accepted);

  State state() const { return state_; }
  bool ready() const { return state_ == State::ready; }
  // Live, but not known to be configured: worth asking.
  bool wants_configured() const {
    return running_ && live_ && !configured_ && state_ != State::draining;
  }
  // Whether this process has been live at any time.
  bool was_live() const { return was_live_; }
  // For the body of the answer: "ready", "starting: no answer from Envoy's admin yet".
  std::string text() const;

 private:
  void decide();
  void become(State state);

  const Clock& clock_;
  Clock::Steady since_;  // of state_
  State state_ = State::starting;
  bool running_ = false;
  bool live_ = false;  // last word of this process
  bool was_live_ = false;
  bool configured_ = false;
  Answer last_ = Answer::none;
  std::optional<Clock::Steady>
      silent_since_;  // first probe without an answer after the last with one
};

// Reads the answer of `GET /ready`.
Readiness::Answer read_ready(int status, std::string_view body);

// Reads `GET /stats?filter=...` for the two counters of accepted updates.
bool read_configured(std::string_view stats);
inline constexpr std::string_view configured_query = "/stats?filter=_manager..ds.update_success";

// The sum of connections that clients hold open, from `GET /stats?filter=downstream_cx_active`: all
// of the listeners but the admin's and the statistics page's.
std::uint64_t read_connections(std::string_view stats, std::uint16_t stats_port);
inline constexpr std::string_view connections_query = "/stats?filter=downstream_cx_active";

}  // namespace graymesh::sidecar
