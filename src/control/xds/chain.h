// How long a change takes until it is everywhere: from its writing to the last ACK of a stream that
// was told of it.
//
// Changes are links of a chain, oldest first. Each stream holds the first that it has not reached,
// and with it all later ones, and lets go when it has: who is the last to let go of a change tells
// how long it took. So a change costs a stream a few atomic operations and no lock, and one that is
// far behind keeps a hundred bytes for each.
//
//   change 7 ──> change 8 ──> the next, which is not written yet
//      ^ who has reached 6    ^ who has reached 8
//
// A stream for which nothing changes lets go at once. One that ends is waited for no longer, and
// what it has not answered is not counted.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "base/clock.h"
#include "metrics/metrics.h"

namespace graymesh::xds {

// One change. Its end is when nobody holds it any more: the time is told then.
class Link {
 public:
  struct Meters {
    metrics::Histogram& seconds;
    metrics::Gauge& under_way;
  };
  explicit Link(const Meters& meters) : meters_(meters) {}
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Number of the Snapshot that has the change; 0: it is not written yet.
  std::uint64_t snapshot() const { return snapshot_.load(std::memory_order_acquire); }
  const std::shared_ptr<Link>& next() const { return next_; }  // not to be looked at while 0
  void write(std::uint64_t snapshot, Clock::Steady at);        // once
  void acked(Clock::Steady at);

 private:
  const Meters meters_;
  std::atomic<std::uint64_t> snapshot_{0};
  Clock::Steady written_{};
  std::shared_ptr<Link> next_;
  std::atomic<Clock::Steady::rep> last_ack_{0};  // 0: nobody was told of it
};

// The end of the chain. Any thread.
class Chain {
 public:
  explicit Chain(const Link::Meters& meters) : next_(std::make_shared<Link>(meters)) {}

  // Snapshot `snapshot` has a change that was written `at`; its streams are about to hear of it.
  void write(std::uint64_t snapshot, Clock::Steady at);
  std::shared_ptr<Link> next() const;  // that who comes now waits for

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<Link> next_;
};

// What one stream has not reached. One thread at a time.
class Awaited {
 public:
  ~Awaited() { leave(); }
  void join(const Chain& changes) { first_ = changes.next(); }
  void told();  // it was sent something
  void reach(std::uint64_t snapshot, Clock::Steady now);
  void leave();

 private:
  std::shared_ptr<Link> first_;  // null: it has not joined, or has left
  bool told_ = false;            // of `first_`
};

}  // namespace graymesh::xds
