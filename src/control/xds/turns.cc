#include "control/xds/turns.h"

#include <algorithm>
#include <utility>

namespace graymesh::xds {
namespace {

// With two cores, and a millisecond for each response at both ends, nobody waits for the others
// longer than 16 ms: little beside what a chunk may take.
constexpr std::size_t crowd_min = 16;

}  // namespace

Turns::Turns(const Bounds& bounds, std::function<void(Key)> wake)
    : bounds_(bounds), wake_(std::move(wake)) {}

bool Turns::admit(Key who, std::size_t bytes, Clock::Steady now) {
  std::unique_lock lock(mutex_);
  Member& member = members_[who];
  if (member.admitted) return true;
  const bool free = bytes <= bounds_.free_bytes;
  const bool first = to_admit_.empty() || to_admit_.front() == who;
  if (!free && !(first && may_begin_locked(bytes))) {
    member.asks = bytes;
    if (!std::exchange(member.to_admit, true)) to_admit_.push_back(who);
    return false;
  }
  if (std::exchange(member.to_admit, false)) std::erase(to_admit_, who);
  member.admitted = true;
  if (free) return true;
  member.moved = now;
  owe_locked(member, bytes);
  const auto next = next_locked();
  lock.unlock();
  wake(next);
  return true;
}

void Turns::sent(Key who, std::size_t bytes, Clock::Steady now) {
  std::unique_lock lock(mutex_);
  const auto found = members_.find(who);
  if (found == members_.end() || found->second.owed == 0) return;
  found->second.moved = now;
  owe_locked(found->second, found->second.owed - std::min(found->second.owed, bytes));
  const auto next = next_locked();
  lock.unlock();
  wake(next);
}

void Turns::complete(Key who) {
  std::unique_lock lock(mutex_);
  const auto found = members_.find(who);
  if (found == members_.end() || found->second.owed == 0) return;
  owe_locked(found->second, 0);
  const auto next = next_locked();
  lock.unlock();
  wake(next);
}

bool Turns::turn(Key who, std::size_t bytes) {
  std::unique_lock lock(mutex_);
  Member& member = members_[who];
  if ((!line_.empty() && line_.front() != who) || !has_room_locked(bytes)) {
    member.asks = bytes;
    if (!std::exchange(member.in_line, true)) line_.push_back(who);
    return false;
  }
  if (std::exchange(member.in_line, false)) line_.pop_front();
  hold_locked(member, member.held + bytes);
  const auto next = next_locked();
  lock.unlock();
  wake(next);
  return true;
}

void Turns::pass(Key who) {
  std::unique_lock lock(mutex_);
  const auto found = members_.find(who);
  if (found == members_.end() || !std::exchange(found->second.in_line, false)) return;
  std::erase(line_, who);
  const auto next = next_locked();
  lock.unlock();
  wake(next);
}

void Turns::holds(Key who, std::size_t bytes) {
  std::unique_lock lock(mutex_);
  const auto found = members_.find(who);
  if (found == members_.end() || found->second.held == bytes) return;
  hold_locked(found->second, bytes);
  const auto next = next_locked();
  lock.unlock();
  wake(next);
}

void Turns::leave(Key who) {
  std::unique_lock lock(mutex_);
  const auto found = members_.find(who);
  if (found == members_.end()) return;
  hold_locked(found->second, 0);
  owe_locked(found->second, 0);
  if (found->second.in_line) std::erase(line_, who);
  if (found->second.to_admit) std::erase(to_admit_, who);
  members_.erase(found);
  const auto next = next_locked();
  lock.unlock();
  wake(next);
}

void Turns::look(Clock::Steady now) {
  std::unique_lock lock(mutex_);
  if (!to_admit_.empty()) {
    for (auto& [key, member] : members_) {
      if (member.owed > 0 && now - member.moved >= bounds_.patience) owe_locked(member, 0);
    }
  }
  const auto next = next_locked();
  lock.unlock();
  wake(next);
}

Waits Turns::waits(Key who) const {
  std::lock_guard lock(mutex_);
  const auto found = members_.find(who);
  if (found == members_.end()) return Waits::nothing;
  if (found->second.to_admit) return Waits::admission;
  return found->second.in_line ? Waits::turn : Waits::nothing;
}

bool Turns::crowded() const { return busy_.load(std::memory_order_relaxed) > crowd_min; }

Turns::Counts Turns::counts() const {
  std::lock_guard lock(mutex_);
  return {bytes_, cold_bytes_, line_.size(), to_admit_.size()};
}

// What is larger than all that there may be goes when it is alone.
bool Turns::has_room_locked(std::size_t bytes) const {
  return bytes_ == 0 || bytes_ + bytes <= bounds_.bytes_max;
}

void Turns::hold_locked(Member& member, std::size_t bytes) {
  bytes_ = bytes_ - member.held + bytes;
  const bool was = member.held > 0, is = bytes > 0;
  if (was != is) busy_.store(is ? busy_ + 1 : busy_ - 1, std::memory_order_relaxed);
  member.held = bytes;
}

void Turns::owe_locked(Member& member, std::size_t bytes) {
  cold_bytes_ = cold_bytes_ - member.owed + bytes;
  member.owed = bytes;
}

bool Turns::may_begin_locked(std::size_t bytes) const {
  return cold_bytes_ == 0 || cold_bytes_ + bytes <= bounds_.cold_bytes_max;
}

// Who shall try again, as there is room now for the first in line.
std::vector<Turns::Key> Turns::next_locked() const {
  std::vector<Key> next;
  if (!line_.empty() && has_room_locked(members_.at(line_.front()).asks))
    next.push_back(line_.front());
  if (!to_admit_.empty() && may_begin_locked(members_.at(to_admit_.front()).asks))
    next.push_back(to_admit_.front());
  return next;
}

void Turns::wake(const std::vector<Key>& keys) const {
  for (const Key key : keys) wake_(key);
}

}  // namespace graymesh::xds
