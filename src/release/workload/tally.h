// One probe's answers counted, as Kubernetes counts them: so many in a row and it holds, or has
// failed. Says when to ask next; who asks, and how, is not its business.
#pragma once

#include <algorithm>

#include "base/clock.h"
#include "release/workload/workload.h"

namespace graymesh::workload {

class Tally {
 public:
  enum class Verdict : std::uint8_t { unknown, holds, failed };

  // An eager one is asked this often, if more often than `period`, while it does not hold.
  static constexpr std::chrono::milliseconds eager{25};

  explicit Tally(const Probe& probe, bool is_eager = false) : probe_(probe), eager_(is_eager) {}

  void start(Clock::Steady now) {
    *this = Tally(probe_, eager_);
    due_ = now + probe_.initial_delay;
  }
  void asked(Clock::Steady now) {
    const bool hurry = eager_ && verdict_ != Verdict::holds;
    due_ = now + (hurry ? std::min(eager, probe_.period) : probe_.period);
  }
  void answered(bool well) {
    run_ = well == last_ ? run_ + 1 : 1;
    last_ = well;
    if (well && run_ >= probe_.successes_min) verdict_ = Verdict::holds;
    if (!well && run_ >= probe_.failures_max) verdict_ = Verdict::failed;
  }
  // A no that needs no second one.
  void denied() {
    verdict_ = Verdict::failed;
    last_ = false;
    run_ = 1;
  }

  Verdict verdict() const { return verdict_; }
  Clock::Steady due() const { return due_; }

 private:
  Probe probe_;
  bool eager_;
  Verdict verdict_ = Verdict::unknown;
  bool last_ = false;
  int run_ = 0;
  Clock::Steady due_{};
};

}  // namespace graymesh::workload
