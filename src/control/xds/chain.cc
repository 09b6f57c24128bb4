#include "control/xds/chain.h"

#include <chrono>
#include <utility>

namespace graymesh::xds {

Link::~Link() {
  if (snapshot() == 0) return;
  meters_.under_way.add(-1);
  const Clock::Steady last{Clock::Steady::duration(last_ack_.load(std::memory_order_relaxed))};
  if (last != Clock::Steady{})
    meters_.seconds.observe(std::chrono::duration<double>(last - written_).count());
}

void Link::write(std::uint64_t snapshot, Clock::Steady at) {
  written_ = at;
  next_ = std::make_shared<Link>(meters_);
  meters_.under_way.add(1);
  snapshot_.store(snapshot, std::memory_order_release);
}

void Link::acked(Clock::Steady at) {
  const auto newest = at.time_since_epoch().count();
  auto last = last_ack_.load(std::memory_order_relaxed);
  while (last < newest &&
         !last_ack_.compare_exchange_weak(last, newest, std::memory_order_relaxed)) {
  }
}

void Chain::write(std::uint64_t snapshot, Clock::Steady at) {
  std::shared_ptr<Link> written;  // let go outside of the lock
  std::lock_guard lock(mutex_);
  next_->write(snapshot, at);
  written = std::exchange(next_, next_->next());
}

std::shared_ptr<Link> Chain::next() const {
  std::lock_guard lock(mutex_);
  return next_;
}

void Awaited::told() { told_ = told_ || (first_ && first_->snapshot() != 0); }

void Awaited::reach(std::uint64_t snapshot, Clock::Steady now) {
  while (first_ && first_->snapshot() != 0 && first_->snapshot() <= snapshot) {
    if (told_) first_->acked(now);
    first_ = std::shared_ptr<Link>(first_->next());
    if (first_->snapshot() == 0) told_ = false;
  }
}

// One by one: the end of the first of many would end the others within it, however deep the stack.
void Awaited::leave() {
  while (first_ && first_->snapshot() != 0) first_ = std::shared_ptr<Link>(first_->next());
  first_.reset();
}

}  // namespace graymesh::xds
