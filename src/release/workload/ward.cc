#include "release/workload/ward.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace graymesh::workload {

Ward::~Ward() { read_output(); }

Ward::Ward(const Clock& clock, std::string name, Launch launch,
           const std::filesystem::path& log_file)
    : clock_(clock), name_(std::move(name)), launch_(std::move(launch)), log_(log_file) {
  if (wanted()) {
    log_.append("");  // the file is there from the start
  } else {
    next_start_ = Clock::Steady::max();
  }
}

void Ward::start_if_due() {
  if (!wanted() || running() || clock_.now() < next_start_) return;
  auto child = start(launch_);
  healthy_since_ = Clock::Steady::max();
  if (!child) return rest(fmt::format("{}: {}", name_, child.error().message));
  child_ = *std::move(child);
  group_ = child_.pid;
  next_start_ = Clock::Steady::max();
}

void Ward::healthy(bool is_healthy) {
  if (!is_healthy) {
    healthy_since_ = Clock::Steady::max();
  } else if (healthy_since_ == Clock::Steady::max()) {
    healthy_since_ = clock_.now();
  }
}

void Ward::fell(int wait_status, const std::string& reason) {
  signal_group(SIGKILL);
  read_output();
  child_ = Child();
  group_ = 0;
  rest(reason.empty() ? fmt::format("{} {}", name_, describe_end(wait_status))
                      : fmt::format("{} was stopped because {}", name_, reason));
}

void Ward::rest(const std::string& how) {
  const auto now = clock_.now();
  const auto healthy =
      healthy_since_ < now ? now - healthy_since_ : std::chrono::steady_clock::duration::zero();
  healthy_since_ = Clock::Steady::max();
  const auto wait = backoff_.ended(healthy);
  ++ends_;
  next_start_ = now + wait;
  message_ = how;
  if (backoff_.times() > 1) message_ += fmt::format(", {} times in a row", backoff_.times());
  message_ += fmt::format("; next start in {:.1f} s", std::chrono::duration<double>(wait).count());
  if (const auto line = log_.last_line(); !line.empty()) {
    message_ += fmt::format("; last line of its log: {}", line);
  }
}

void Ward::stopped() {
  child_.pid = 0;  // its output stays open for those it has left
  next_start_ = Clock::Steady::max();
}

void Ward::signal_group(int number) const {
  if (group_ > 0) ::kill(-group_, number);
}

bool Ward::group_lives() const { return group_ > 0 && ::kill(-group_, 0) == 0; }

void Ward::read_output() {
  if (!child_.output) return;
  char buffer[1 << 16];
  // Not for ever: who prints without end must not keep us from all else.
  for (int i = 0; i < 16; ++i) {
    const ssize_t got = ::read(child_.output.get(), buffer, sizeof buffer);
    if (got < 0) return;
    if (got == 0) return child_.output.reset();
    log_.append({buffer, static_cast<std::size_t>(got)});
  }
}

}  // namespace graymesh::workload
