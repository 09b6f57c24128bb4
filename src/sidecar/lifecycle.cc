// The table of lifecycle.h.
#include "sidecar/lifecycle.h"

#include <algorithm>

namespace graymesh::sidecar {

void Lifecycle::enter(State state, std::chrono::milliseconds limit) {
  state_ = state;
  told_ = false;
  entered_ = clock_.now();
  deadline_ = entered_ + limit;
}

void Lifecycle::started() {
  enter(State::running, std::chrono::hours(24));
  told_ = true;
}

// Doubles from 0.2 s to 10 s, then takes between half and all of it, so that the Envoys of a
// machine that ran out of memory do not return in step.
void Lifecycle::rest() {
  const auto full = std::min(backoff_max, backoff_base * (1 << std::min(quick_ends_, 10)));
  backoff_ = full / 2 + full / 2 * static_cast<int>(random_() % 1001) / 1000;
  ++quick_ends_;
  ++restarts_;
  enter(State::resting, backoff_);
}

void Lifecycle::exited(bool was_live) {
  switch (state_) {
    case State::running:
      if (clock_.now() - entered_ >= calm) quick_ends_ = 0;
      ever_live_ |= was_live;
      if (ever_live_ || restarts_ + 1 < starts_max) return rest();
      outcome_ = Outcome::would_not_start;
      return enter(State::done, {});
    case State::draining:
    case State::quitting:
    case State::killing:
      return enter(State::done, {});
    case State::resting:
    case State::done:
      return;
  }
}

void Lifecycle::signalled() {
  switch (state_) {
    case State::resting:
      return enter(State::done, {});
    case State::running:
      empty_ = false;
      return enter(State::draining, options_.drain_duration);
    case State::draining:
      return enter(State::quitting, options_.kill_after);
    case State::quitting:
      outcome_ = Outcome::killed;
      return enter(State::killing, {});
    case State::killing:
    case State::done:
      return;
  }
}

void Lifecycle::connections(std::uint64_t count) {
  if (state_ != State::draining) return;
  empty_ = count == 0;
  // Known to be empty: wait only for the shortest drain, in which late connections still come.
  deadline_ = entered_ + (empty_ ? std::min(options_.drain_min, options_.drain_duration)
                                 : options_.drain_duration);
}

Lifecycle::Action Lifecycle::next() {
  const bool over = clock_.now() >= deadline_;
  switch (state_) {
    case State::resting:
      if (!over || told_) return Action::none;
      told_ = true;
      return Action::start;
    case State::running:
      return Action::none;
    case State::draining:
      if (!told_) return told_ = true, Action::drain;
      if (!over) return Action::none;
      enter(State::quitting, options_.kill_after);
      [[fallthrough]];
    case State::quitting:
      if (!told_) return told_ = true, Action::quit;
      if (!over) return Action::none;
      outcome_ = Outcome::killed;
      enter(State::killing, {});
      [[fallthrough]];
    case State::killing:
      if (!told_) return told_ = true, Action::kill;
      return Action::none;
    case State::done:
      if (!told_) return told_ = true, Action::finish;
      return Action::none;
  }
  return Action::none;
}

}  // namespace graymesh::sidecar
