// How long what fell waits before it is started again: 0.1 s, doubling to 30 s; 60 s of health and
// it is the first time again.
#pragma once

#include <algorithm>
#include <chrono>

namespace graymesh::workload {

class Backoff {
 public:
  using Duration = std::chrono::milliseconds;
  static constexpr Duration first{100};
  static constexpr Duration max{30'000};
  static constexpr std::chrono::seconds health{60};

  // It ended after so long a time of being ready. What to wait.
  Duration ended(std::chrono::nanoseconds healthy) {
    times_ = healthy >= health ? 1 : times_ + 1;
    return std::min(max, first * (1 << std::min(times_ - 1, 10)));
  }
  int times() const { return times_; }  // in a row

 private:
  int times_ = 0;
};

}  // namespace graymesh::workload
