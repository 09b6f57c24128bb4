#include "release/workload/prober.h"

#include <fmt/core.h>

#include <csignal>
#include <utility>

namespace graymesh::workload {

Probe all_ports() { return {.kind = Probe::Kind::tcp}; }

Prober::Prober(const Clock& clock, Probe probe, Target target, bool is_eager, bool believes_no)
    : clock_(clock),
      probe_(std::move(probe)),
      target_(std::move(target)),
      believes_no_(believes_no),
      // A command costs a process each time.
      tally_(probe_, is_eager && probe_.kind != Probe::Kind::command),
      attempt_(clock) {
  target_.command.command = probe_.command;
  target_.command.quiet = true;
  if (probe_.port != 0) target_.ports = {probe_.port};
}

void Prober::start() {
  stop();
  asking_ = exists();
}

void Prober::stop() {
  asking_ = false;
  tally_.start(clock_.now());
  what_.clear();
  attempt_.cancel();
  if (command_ > 0) ::kill(-command_, SIGKILL);
  command_ = 0;
}

void Prober::ask() {
  if (!asking_) return;
  const auto now = clock_.now();
  if (command_ > 0 && !command_late_ && now >= command_deadline_) {
    command_late_ = true;
    ::kill(-command_, SIGKILL);
  }
  if (command_ > 0 || attempt_.busy() || now < tally_.due()) return;
  tally_.asked(now);
  begin();
}

void Prober::begin() {
  switch (probe_.kind) {
    case Probe::Kind::none:
      return;
    case Probe::Kind::http:
      return attempt_.http(target_.address, target_.ports.at(0), probe_.path, probe_.timeout);
    case Probe::Kind::tcp:
      attempt_.tcp(target_.address, target_.ports, probe_.timeout);
      return advance(0);  // where no port is to be asked there is nothing to wait for
    case Probe::Kind::command:
      command_late_ = false;
      command_deadline_ = clock_.now() + probe_.timeout;
      if (auto child = workload::start(target_.command)) {
        command_ = child->pid;
      } else {
        answer({.what = child.error().message});
      }
  }
}

Clock::Steady Prober::deadline() const {
  if (!asking_) return Clock::Steady::max();
  if (attempt_.busy()) return attempt_.deadline();
  if (command_ > 0) return command_late_ ? Clock::Steady::max() : command_deadline_;
  return tally_.due();
}

void Prober::advance(short events) {
  if (const auto outcome = attempt_.advance(events)) {
    answer(*outcome);
    // What a sidecar says of itself is better than the number of its answer.
    if (believes_no_ && outcome->answered && !outcome->well && !attempt_.body().empty()) {
      what_ = attempt_.body().substr(0, attempt_.body().find('\n'));
    }
  }
}

void Prober::ended(pid_t pid, int wait_status) {
  if (command_ == 0 || pid != command_) return;
  ::kill(-pid, SIGKILL);  // what it may have left in its group
  command_ = 0;
  const auto& name = probe_.command[0];
  answer({.well = wait_status == 0,
          .answered = true,
          .what = command_late_
                      ? fmt::format("{} did not end within {} ms", name, probe_.timeout.count())
                      : fmt::format("{} {}", name, describe_end(wait_status))});
}

void Prober::answer(const Outcome& outcome) {
  if (outcome.well) {
    what_.clear();
  } else {
    what_ = outcome.what;
  }
  if (believes_no_ && outcome.answered && !outcome.well) return tally_.denied();
  tally_.answered(outcome.well);
}

}  // namespace graymesh::workload
