// What earlier translations gave, by what they were given: equal inputs (pointers into Snapshots,
// which share what did not change, plus small values) give the same ResourcePtr again, without
// work.
//
// A Memo is one translation's view of a table that all translations share. It holds what it used;
// the table forgets what no living Memo holds. So a layer that is kept from one Generation to the
// next, Memo and all, keeps what it was made from, however long nobody asked for it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "control/resource/resource.h"

namespace graymesh::translate {

// The inputs of one resource (or of one fragment of it, such as a virtual host): values as text,
// and the addresses of immutable parts of a Snapshot. The memo holds those parts, so that an
// address in a key cannot come to mean something else.
class MemoKey {
 public:
  explicit MemoKey(std::string_view what) : text_(what) {}

  MemoKey& add(std::string_view value);
  MemoKey& add(std::uint64_t value);
  template <typename T>
  MemoKey& add(const std::shared_ptr<const T>& part) {
    add(static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(part.get())));
    if (part) held_.push_back(part);
    return *this;
  }

  const std::string& text() const { return text_; }
  std::vector<std::shared_ptr<const void>>& held() { return held_; }

 private:
  std::string text_;
  std::vector<std::shared_ptr<const void>> held_;
};

// Safe from any thread.
class Memo {
 public:
  using Resources = std::vector<resource::ResourcePtr>;
  // Who holds one holds what it was made from, as a Memo does.
  using BundlePtr = std::shared_ptr<const Resources>;

  Memo();
  explicit Memo(const Memo* previous);  // null, or one whose table to share
  ~Memo();
  Memo(const Memo&) = delete;
  Memo& operator=(const Memo&) = delete;

  resource::ResourcePtr resource(MemoKey key, const std::function<resource::ResourcePtr()>& make);
  // A serialised part of a message, such as one virtual host of a route configuration.
  std::shared_ptr<const std::string> fragment(MemoKey key,
                                              const std::function<std::string()>& make);
  // Resources that come of the same inputs, such as all clusters of one service.
  BundlePtr bundle(MemoKey key, const std::function<Resources()>& make);

  // Resources (also those in bundles) and fragments made for this Memo, and those it found.
  std::size_t made() const { return made_.load(std::memory_order_relaxed); }
  std::size_t reused() const { return reused_.load(std::memory_order_relaxed); }

  struct Entry;
  class Table;

 private:
  std::shared_ptr<const Entry> get(MemoKey key,
                                   const std::function<std::shared_ptr<const void>()>& make,
                                   bool& found);

  std::shared_ptr<Table> table_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<const Entry>> used_;
  std::atomic<std::size_t> made_{0};
  std::atomic<std::size_t> reused_{0};
};

using BundlePtr = Memo::BundlePtr;

}  // namespace graymesh::translate
