// What differs between two sets of resources, computed once for all streams that need it.
//
// Inside this room a name is its 64-bit hash, and everything is kept in the order of hashes: what a
// stream is subscribed to is then a sorted array of integers (8 bytes a name instead of 80, for
// 3,360 clusters on each of 1,100 streams), and meets a difference by merging. Two names of one
// mesh with the same hash are not to be expected (1 in 10^12 at 10,000 names).
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <tuple>
#include <vector>

#include "control/resource/resource.h"

namespace graymesh::xds {

using NameHash = std::uint64_t;
NameHash hash_of(std::string_view name);
using SharedHashes = std::shared_ptr<const std::vector<NameHash>>;  // sorted, each once

// Of a name in a version. Sums of these are equal only where the same is named, in whatever order.
std::uint64_t claim_of(NameHash name, std::uint64_t version);

// A ResourceSet in the order of name hashes. Points into the set and is valid as long as that
// lives.
class Table {
 public:
  struct Entry {
    NameHash hash;
    std::uint32_t place;  // in the set
  };
  explicit Table(const resource::ResourceSet& set);
  // Of a set with the same names as that of `like`.
  Table(const resource::ResourceSet& set, const Table& like);

  std::span<const Entry> entries() const { return *entries_; }
  const Pieces<resource::ResourcePtr>& all() const { return *all_; }  // of the set
  const resource::ResourcePtr& of(const Entry& entry) const { return (*all_)[entry.place]; }
  const resource::ResourcePtr* find(NameHash hash) const;  // null if absent
  bool same_names(const Table& other) const { return entries_ == other.entries_; }
  const SharedHashes& names() const { return names_; }  // null for a small set
  std::uint64_t claims() const;                         // the sum of claim_of() all

 private:
  std::shared_ptr<const std::vector<Entry>> entries_;
  SharedHashes names_;
  const Pieces<resource::ResourcePtr>* all_;
  mutable std::atomic<std::uint64_t> claims_ = 0;  // 0: not summed up yet
};

// Null `from`: added; null `to`: removed; neither: changed. Points into the two sets.
struct Change {
  NameHash hash;
  const resource::ResourcePtr* from;
  const resource::ResourcePtr* to;
  std::uint32_t bytes = 0;  // of the frame of `to`
  bool claimed = false;     // `from` lends only its name
};

using Diff = std::vector<Change>;  // by hash

// Makes tables and differences, and keeps those of large sets while the sets live. Any thread.
class Diffs {
 public:
  std::shared_ptr<const Table> table(const resource::ResourceSetPtr& set);
  std::shared_ptr<const Diff> diff(const resource::ResourceSetPtr& from,
                                   const resource::ResourceSetPtr& to);
  // The same for who holds the names of `from` in versions that nobody knows: each of both sets.
  std::shared_ptr<const Diff> claimed(const resource::ResourceSetPtr& from,
                                      const resource::ResourceSetPtr& to);

 private:
  using Weak = std::weak_ptr<const resource::ResourceSet>;
  using Key = const resource::ResourceSet*;  // may be of a set that is gone: the weak pointer tells
  struct KeptTable {
    Weak set;
    std::shared_ptr<const Table> table;
  };
  struct KeptDiff {
    Weak from, to;
    std::shared_ptr<const Diff> diff;
  };
  std::shared_ptr<const Table> table_locked(const resource::ResourceSetPtr& set);
  std::shared_ptr<const Table> alike_locked(const resource::ResourceSetPtr& set) const;
  std::shared_ptr<const Diff> difference(const resource::ResourceSetPtr& from,
                                         const resource::ResourceSetPtr& to, bool claimed);
  void forget_the_gone();

  std::mutex mutex_;
  std::map<Key, KeptTable> tables_;
  std::map<std::tuple<Key, Key, bool>, KeptDiff> diffs_;  // from, to, whether it is claimed
  std::size_t kept_max_ = 64;  // when to look for those gone; doubles with what lives
};

}  // namespace graymesh::xds
