// Time as a seam, so that a 60-second back-off is tested in a millisecond.
#pragma once

#include <chrono>
#include <mutex>

namespace graymesh {

class Clock {
 public:
  using Steady = std::chrono::steady_clock::time_point;
  using Wall = std::chrono::system_clock::time_point;

  virtual ~Clock() = default;
  virtual Steady now() const = 0;
  virtual Wall wall() const = 0;
};

class SystemClock final : public Clock {
 public:
  Steady now() const override { return std::chrono::steady_clock::now(); }
  Wall wall() const override { return std::chrono::system_clock::now(); }
};

// Stands still until it is told to go on. Safe from any thread.
class FakeClock final : public Clock {
 public:
  Steady now() const override {
    std::lock_guard lock(mutex_);
    return Steady{} + elapsed_;
  }
  Wall wall() const override {
    std::lock_guard lock(mutex_);
    return Wall{} + std::chrono::duration_cast<Wall::duration>(elapsed_);
  }
  void advance(std::chrono::nanoseconds by) {
    std::lock_guard lock(mutex_);
    elapsed_ += by;
  }

 private:
  mutable std::mutex mutex_;
  std::chrono::nanoseconds elapsed_{std::chrono::hours(1)};
};

}  // namespace graymesh
