// A probe at work: asks when its Tally says so, by HTTP, TCP or a command, and counts the answers.
#pragma once

#include <sys/types.h>

#include <vector>

#include "release/workload/attempt.h"
#include "release/workload/child.h"
#include "release/workload/tally.h"

namespace graymesh::workload {

struct Target {
  std::string address;
  std::vector<std::uint16_t> ports = {};  // for a Probe that names none: its first
  Launch command = {};                    // where a probe's command runs; its own is put in
};

class Prober {
 public:
  // `believes_no`: one bad answer is enough; only silence is counted.
  Prober(const Clock& clock, Probe probe, Target target, bool is_eager, bool believes_no = false);

  bool exists() const { return probe_.kind != Probe::Kind::none; }
  void start();  // who is asked lives anew
  void stop();   // and nothing is known
  void ask();    // if it is time

  Clock::Steady deadline() const;
  pollfd interest() const { return attempt_.interest(); }
  void advance(short events);
  void ended(pid_t pid, int wait_status);  // a child of ours, perhaps a probe's command

  Tally::Verdict verdict() const { return tally_.verdict(); }
  const std::string& what() const { return what_; }  // why the last answer was bad

 private:
  void begin();
  void answer(const Outcome& outcome);

  const Clock& clock_;
  Probe probe_;
  Target target_;
  bool believes_no_;
  Tally tally_;
  Attempt attempt_;
  pid_t command_ = 0;  // that runs
  bool command_late_ = false;
  Clock::Steady command_deadline_{};
  bool asking_ = false;  // between start() and stop()
  std::string what_;
};

// How a probe of kind none asks: every port must accept connections.
Probe all_ports();

}  // namespace graymesh::workload
