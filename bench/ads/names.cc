#include "bench/ads/names.h"

#include <utility>

#include "bench/ads/hash.h"

namespace graymesh::ads {

std::uint32_t Texts::id(std::string_view text) {
  if (text.empty()) return 0;
  const std::uint64_t hash = XXH3_64bits(text.data(), text.size());
  for (std::size_t at = hash & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
    Slot& slot = slots_[at];
    if (slot.id == 0) {
      slot = {hash, static_cast<std::uint32_t>(texts_.size())};
      texts_.emplace_back(text);
      const std::uint32_t made = slot.id;
      if (texts_.size() * 2 > slots_.size()) grow();
      return made;
    }
    if (slot.hash == hash && texts_[slot.id] == text) return slot.id;
  }
}

void Texts::grow() {
  std::vector<Slot> larger(slots_.size() * 2);
  for (const Slot& slot : slots_) {
    if (slot.id == 0) continue;
    std::size_t at = slot.hash & (larger.size() - 1);
    while (larger[at].id != 0) at = (at + 1) & (larger.size() - 1);
    larger[at] = slot;
  }
  slots_ = std::move(larger);
}

Entry* Table::find(std::uint32_t name) {
  if (slots_.empty()) return nullptr;
  for (std::size_t at = place(name);; at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at].name == name) return &slots_[at];
    if (slots_[at].name == 0) return nullptr;
  }
}

Entry& Table::at(std::uint32_t name) {
  if (Entry* found = find(name)) return *found;
  if (4 * (size_ + 1) > 3 * slots_.size()) {
    std::vector<Entry> old(slots_.empty() ? 16 : 2 * slots_.size());
    old.swap(slots_);
    for (const Entry& entry : old) {
      if (entry.name == 0) continue;
      std::size_t at = place(entry.name);
      while (slots_[at].name != 0) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = entry;
    }
  }
  std::size_t at = place(name);
  while (slots_[at].name != 0) at = (at + 1) & (slots_.size() - 1);
  slots_[at].name = name;
  ++size_;
  return slots_[at];
}

// What stands behind it moves up, so that a search never stops too early.
void Table::erase(std::uint32_t name) {
  const Entry* found = find(name);
  if (!found) return;
  const std::size_t mask = slots_.size() - 1;
  auto hole = static_cast<std::size_t>(found - slots_.data());
  slots_[hole] = {};
  --size_;
  for (std::size_t at = (hole + 1) & mask; slots_[at].name != 0; at = (at + 1) & mask) {
    const std::size_t home = place(slots_[at].name);
    if (((at - home) & mask) < ((at - hole) & mask)) continue;  // it would come before its home
    slots_[hole] = std::exchange(slots_[at], {});
    hole = at;
  }
}

void Table::clear() {
  slots_.clear();
  size_ = 0;
}

}  // namespace graymesh::ads
