// The life of one Envoy as a table of "what happened" to "what to do": start, restart with
// back-off, drain, quit, kill. Pure, with the time from a Clock; run.cc feels for events and
// carries out.
//
//   running ──exit──> resting ──back-off over──> running
//      │ SIGTERM          │ SIGTERM                  (too many ends and never live: done)
//      v                  v
//   draining ──over, or empty, or second signal──> quitting ──kill_after──> killing ──exit──> done
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

#include "base/clock.h"
#include "sidecar/sidecar.h"

namespace graymesh::sidecar {

class Lifecycle {
 public:
  enum class State : std::uint8_t { resting, running, draining, quitting, killing, done };
  enum class Action : std::uint8_t {
    none,
    start,  // a process; then started()
    drain,  // stop being ready, ask Envoy to drain its listeners
    quit,   // SIGTERM to Envoy
    kill,   // SIGKILL to Envoy
    finish,
  };

  struct Options {
    std::chrono::milliseconds drain_duration;
    std::chrono::milliseconds drain_min;
    std::chrono::milliseconds kill_after;
  };

  static constexpr std::chrono::milliseconds backoff_base{200};
  static constexpr std::chrono::milliseconds backoff_max{10'000};
  // So long without an end, and the next restart is the first again.
  static constexpr std::chrono::seconds calm{30};
  // A wrong flag or a taken admin port does not mend itself; five tries, two seconds, outlast a
  // port that the Envoy before us is about to give back. An Envoy that was live once is never given
  // up.
  static constexpr int starts_max = 5;

  Lifecycle(const Clock& clock, Options options, std::uint64_t seed)
      : clock_(clock), options_(options), random_(seed), deadline_(clock.now()) {}

  void started();
  void exited(bool was_live);
  void signalled();
  void connections(std::uint64_t count);  // that clients hold, while draining

  // What to do now; none when there is nothing until the deadline or the next event. Each is given
  // once.
  Action next();

  State state() const { return state_; }
  Clock::Steady deadline() const { return deadline_; }
  Outcome outcome() const { return outcome_; }
  int restarts() const { return restarts_; }
  std::chrono::milliseconds backoff() const { return backoff_; }  // of the present or last rest

 private:
  void rest();
  void enter(State state, std::chrono::milliseconds limit);

  const Clock& clock_;
  const Options options_;
  std::mt19937_64 random_;
  State state_ = State::resting;
  bool told_ = false;  // the action that begins this state has been given
  Clock::Steady deadline_;
  Clock::Steady entered_{};
  Outcome outcome_ = Outcome::stopped;
  bool empty_ = false;  // draining, and nobody is connected
  int restarts_ = 0;
  int quick_ends_ = 0;  // in a row; the exponent of the back-off
  bool ever_live_ = false;
  std::chrono::milliseconds backoff_{0};
};

}  // namespace graymesh::sidecar
