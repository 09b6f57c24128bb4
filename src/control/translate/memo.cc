#include "control/translate/memo.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace graymesh::translate {

struct Memo::Entry {
  std::shared_ptr<const void> value;
  std::vector<std::shared_ptr<const void>> held;
};

// Entries by key. They belong to the Memos that used them; here they are only found.
class Memo::Table {
 public:
  // Sweeping when the table has doubled since the last sweep costs a constant per entry.
  static constexpr std::size_t sweep_min = 4096;

  std::shared_ptr<const Entry> find(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto it = entries_.find(key);
    return it == entries_.end() ? nullptr : it->second.lock();
  }

  // `entry`, or what another thread stored first.
  std::shared_ptr<const Entry> store(const std::string& key, std::shared_ptr<const Entry> entry) {
    const std::lock_guard lock(mutex_);
    auto& slot = entries_[key];
    if (auto first = slot.lock()) return first;
    slot = entry;
    if (entries_.size() > sweep_at_) sweep();
    return entry;
  }

 private:
  void sweep() {
    std::erase_if(entries_, [](const auto& item) { return item.second.expired(); });
    sweep_at_ = std::max(sweep_min, entries_.size() * 2);
  }

  std::mutex mutex_;
  std::unordered_map<std::string, std::weak_ptr<const Entry>> entries_;
  std::size_t sweep_at_ = sweep_min;
};

MemoKey& MemoKey::add(std::string_view value) {
  // Lengths keep ("a", "bc") and ("ab", "c") apart, whatever bytes they have.
  text_ += '|';
  text_ += std::to_string(value.size());
  text_ += ':';
  text_ += value;
  return *this;
}

MemoKey& MemoKey::add(std::uint64_t value) {
  text_ += '|';
  text_ += std::to_string(value);
  return *this;
}

Memo::Memo() : table_(std::make_shared<Table>()) {}

Memo::Memo(const Memo* previous)
    : table_(previous ? previous->table_ : std::make_shared<Table>()) {}

Memo::~Memo() = default;

std::shared_ptr<const Memo::Entry> Memo::get(
    MemoKey key, const std::function<std::shared_ptr<const void>()>& make, bool& found) {
  auto entry = table_->find(key.text());
  found = entry != nullptr;
  if (!found) {
    auto fresh = std::make_shared<Entry>();
    fresh->value = make();
    fresh->held = std::move(key.held());
    entry = table_->store(key.text(), std::move(fresh));
  }
  const std::lock_guard lock(mutex_);
  used_.push_back(entry);
  return entry;
}

resource::ResourcePtr Memo::resource(MemoKey key,
                                     const std::function<resource::ResourcePtr()>& make) {
  bool found = false;
  const auto entry = get(std::move(key), make, found);
  (found ? reused_ : made_).fetch_add(1, std::memory_order_relaxed);
  return std::static_pointer_cast<const resource::Resource>(entry->value);
}

std::shared_ptr<const std::string> Memo::fragment(MemoKey key,
                                                  const std::function<std::string()>& make) {
  bool found = false;
  const auto entry = get(
      std::move(key), [&] { return std::make_shared<const std::string>(make()); }, found);
  (found ? reused_ : made_).fetch_add(1, std::memory_order_relaxed);
  return std::static_pointer_cast<const std::string>(entry->value);
}

BundlePtr Memo::bundle(MemoKey key, const std::function<Resources()>& make) {
  bool found = false;
  const auto entry = get(
      std::move(key), [&] { return std::make_shared<const Resources>(make()); }, found);
  BundlePtr resources(entry, static_cast<const Resources*>(entry->value.get()));
  (found ? reused_ : made_).fetch_add(resources->size(), std::memory_order_relaxed);
  return resources;
}

}  // namespace graymesh::translate
