#include "control/xds/reception.h"

#include <utility>

namespace graymesh::xds {

Reception::Reception(std::size_t places, std::chrono::milliseconds patience,
                     std::function<void(Key)> wake)
    : places_(places), patience_(patience), wake_(std::move(wake)) {}

bool Reception::enter(Key who, Clock::Steady now) {
  std::lock_guard lock(mutex_);
  if (line_.empty() && inside_.size() < places_) return inside_.emplace(who, now).second;
  line_.push_back(who);
  return false;
}

void Reception::leave(Key who, Clock::Steady now) {
  std::vector<Key> next;
  {
    std::lock_guard lock(mutex_);
    if (inside_.erase(who) == 0) std::erase(line_, who);
    next = next_locked(now);
  }
  for (const Key key : next) wake_(key);
}

void Reception::look(Clock::Steady now) {
  std::vector<Key> next;
  {
    std::lock_guard lock(mutex_);
    if (line_.empty()) return;
    std::erase_if(inside_, [&](const auto& it) { return now - it.second >= patience_; });
    next = next_locked(now);
  }
  for (const Key key : next) wake_(key);
}

std::size_t Reception::in_line() const {
  std::lock_guard lock(mutex_);
  return line_.size();
}

std::vector<Reception::Key> Reception::next_locked(Clock::Steady now) {
  std::vector<Key> next;
  while (!line_.empty() && inside_.size() < places_) {
    next.push_back(line_.front());
    inside_.emplace(line_.front(), now);
    line_.pop_front();
  }
  return next;
}

}  // namespace graymesh::xds
