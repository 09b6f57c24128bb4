// Inside the room: where the Parts of a scope lie, from one Generation to the next.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "control/translate/layer.h"

namespace graymesh::translate {

// One scope's: the Part of the last Generation that was asked for it. Any thread.
class Slot {
 public:
  explicit Slot(std::uint64_t asked) : asked_(asked) {}

  // The Part of Generation `number`: made at most once, by whoever asks first; others wait. Of one
  // that is older than what lies here it is made and not kept.
  PartPtr part(std::uint64_t number, const std::function<PartPtr(const Part* previous)>& make);

  // That, if it is made and nobody is about to make another; else null.
  PartPtr at_hand(std::uint64_t number);

  // Somebody has its Part of Generation `number`, which came from an earlier one.
  void touch(std::uint64_t number) { asked_.store(number, std::memory_order_relaxed); }
  std::uint64_t asked() const { return asked_.load(std::memory_order_relaxed); }

 private:
  std::mutex mutex_;
  std::uint64_t number_ = 0;
  PartPtr part_;
  std::atomic<std::uint64_t> asked_;  // by the newest of these Generations
};
using SlotPtr = std::shared_ptr<Slot>;

// By what tells scopes apart, as text. Shared by Generations that follow one another. Any thread.
class Slots {
 public:
  // The number of a new Generation; numbers grow. Forgets what nobody has asked for since long.
  std::uint64_t open();
  SlotPtr at(const std::string& text);

 private:
  std::mutex mutex_;
  std::uint64_t last_ = 0;
  std::unordered_map<std::string, SlotPtr> slots_;
};

}  // namespace graymesh::translate
