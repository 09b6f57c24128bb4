// The states of readiness.h, and the readers of what Envoy's admin answers.
#include "sidecar/readiness.h"

#include <fmt/core.h>

#include <charconv>

namespace graymesh::sidecar {

void Readiness::started() {
  running_ = true;
  live_ = was_live_ = configured_ = false;
  last_ = Answer::none;
  silent_since_.reset();
  decide();
}

void Readiness::exited() {
  running_ = live_ = configured_ = false;
  decide();
}

void Readiness::drain() { become(State::draining); }

void Readiness::answered(Answer answer) {
  if (!running_) return;  // the answer of a process that is gone
  last_ = answer;
  if (answer == Answer::none) {
    if (!silent_since_) silent_since_ = clock_.now();
    return;
  }
  silent_since_.reset();
  live_ = answer == Answer::live;
  was_live_ |= live_;
  decide();
}

void Readiness::configured(bool accepted) {
  if (!running_) return;
  configured_ |= accepted;
  decide();
}

void Readiness::decide() {
  if (state_ == State::draining) return;
  if (!running_ || !configured_) return become(State::starting);
  become(live_ ? State::ready : State::not_live);
}

void Readiness::become(State state) {
  if (state_ == state) return;
  state_ = state;
  since_ = clock_.now();
}

std::string Readiness::text() const {
  const auto seconds = [this](Clock::Steady from) {
    return std::chrono::duration<double>(clock_.now() - from).count();
  };
  switch (state_) {
    case State::draining:
      return fmt::format("draining for {:.1f} s", seconds(since_));
    case State::not_live:
      return fmt::format("not live for {:.1f} s: Envoy initializes or drains", seconds(since_));
    case State::ready:
      if (silent_since_ && seconds(*silent_since_) >= 1) {
        return fmt::format(
            "ready; Envoy's admin silent for {:.1f} s, as when it applies a large push",
            seconds(*silent_since_));
      }
      return "ready";
    case State::starting:
      break;
  }
  std::string_view why = "no answer from Envoy's admin yet";
  if (!running_) why = "Envoy is not running";
  if (running_ && last_ == Answer::not_live) why = "Envoy waits for its configuration";
  if (running_ && live_)
    why = "Envoy has accepted no clusters and listeners from a control plane yet";
  return fmt::format("starting for {:.1f} s: {}", seconds(since_), why);
}

Readiness::Answer read_ready(int status, std::string_view body) {
  if (status == 200) return Readiness::Answer::live;
  // Anything else that speaks HTTP on that port but names no state is no answer.
  for (const std::string_view state : {"PRE_INITIALIZING", "INITIALIZING", "DRAINING"}) {
    if (body.starts_with(state)) return Readiness::Answer::not_live;
  }
  return Readiness::Answer::none;
}

namespace {

// Calls `each(name, value)` for the lines `name: value` whose value is a number.
template <typename Each>
void for_each_stat(std::string_view stats, Each each) {
  while (!stats.empty()) {
    const auto end = stats.find('\n');
    const std::string_view line = stats.substr(0, end);
    stats = end == std::string_view::npos ? std::string_view{} : stats.substr(end + 1);
    const auto colon = line.rfind(": ");
    if (colon == std::string_view::npos) continue;
    std::uint64_t value = 0;
    const auto digits = line.substr(colon + 2);
    if (std::from_chars(digits.data(), digits.data() + digits.size(), value).ec == std::errc{}) {
      each(line.substr(0, colon), value);
    }
  }
}

}  // namespace

bool read_configured(std::string_view stats) {
  bool clusters = false;
  bool listeners = false;
  for_each_stat(stats, [&](std::string_view name, std::uint64_t value) {
    if (name == "cluster_manager.cds.update_success") clusters = value > 0;
    if (name == "listener_manager.lds.update_success") listeners = value > 0;
  });
  return clusters && listeners;
}

std::uint64_t read_connections(std::string_view stats, std::uint16_t stats_port) {
  const std::string statistics_page = fmt::format("_{}.downstream_cx_active", stats_port);
  std::uint64_t sum = 0;
  for_each_stat(stats, [&](std::string_view name, std::uint64_t value) {
    if (!name.starts_with("listener.") || !name.ends_with(".downstream_cx_active")) return;
    if (name.starts_with("listener.admin.") || name.ends_with(statistics_page)) return;
    if (name.find(".worker_") != std::string_view::npos) return;  // counted in the listener's own
    sum += value;
  });
  return sum;
}

}  // namespace graymesh::sidecar
