// One writer publishes whole immutable values; any thread takes the newest. The mutex guards only
// the copy of a pointer (with GCC 12, std::atomic<std::shared_ptr> fails under tsan).
#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace graymesh {

template <typename T>
class Published {
 public:
  Published() = default;
  explicit Published(std::shared_ptr<const T> value) : value_(std::move(value)) {}

  // Null until the first publish.
  std::shared_ptr<const T> get() const {
    std::lock_guard lock(mutex_);
    return value_;
  }

  void publish(std::shared_ptr<const T> value) {
    std::lock_guard lock(mutex_);
    value_.swap(value);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;
};

}  // namespace graymesh
