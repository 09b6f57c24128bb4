#include "control/translate/slots.h"

#include <algorithm>

namespace graymesh::translate {
namespace {

// A Part that nobody asked for is kept for this many Generations: streams skip some while they wait
// for an ACK, and at 50 changes a second a proxy that reconnects comes back within them.
constexpr std::uint64_t generations_kept = 200;
constexpr std::uint64_t looks_every = 16;  // Generations: there are more Slots than sidecars

}  // namespace

PartPtr Slot::part(std::uint64_t number, const std::function<PartPtr(const Part* previous)>& make) {
  const std::lock_guard lock(mutex_);
  if (part_ && number_ == number) return part_;
  auto made = make(part_.get());
  if (part_ && number < number_) return made;
  part_ = std::move(made);
  number_ = number;
  asked_.store(number, std::memory_order_relaxed);
  return part_;
}

PartPtr Slot::at_hand(std::uint64_t number) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  return lock && number_ == number ? part_ : nullptr;
}

std::uint64_t Slots::open() {
  const std::lock_guard lock(mutex_);
  if (++last_ % looks_every != 0) return last_;
  std::erase_if(slots_, [this](const auto& entry) {
    return entry.second->asked() + generations_kept < last_;
  });
  return last_;
}

SlotPtr Slots::at(const std::string& text) {
  const std::lock_guard lock(mutex_);
  auto& slot = slots_[text];
  if (!slot) slot = std::make_shared<Slot>(last_);
  return slot;
}

}  // namespace graymesh::translate
