#include "control/xds/diff.h"

#include <algorithm>

#include "base/hash.h"

namespace graymesh::xds {
namespace {

using resource::ResourceSet;
using resource::ResourceSetPtr;

// A proxy's own layer is smaller than this and shared by nobody: made anew in a few microseconds.
constexpr std::size_t kept_size_min = 48;

std::shared_ptr<const Diff> compare(const Table& from, const Table& to) {
  auto diff = std::make_shared<Diff>();
  const auto a = from.entries(), b = to.entries();
  auto i = a.begin(), j = b.begin();
  while (i != a.end() || j != b.end()) {
    if (j == b.end() || (i != a.end() && i->hash < j->hash)) {
      diff->push_back({i->hash, i->resource, nullptr});
      ++i;
    } else if (i == a.end() || j->hash < i->hash) {
      diff->push_back({j->hash, nullptr, j->resource});
      ++j;
    } else {
      if (*i->resource != *j->resource && (*i->resource)->version() != (*j->resource)->version()) {
        diff->push_back({j->hash, i->resource, j->resource});
      }
      ++i;
      ++j;
    }
  }
  diff->shrink_to_fit();
  return diff;
}

}  // namespace

NameHash hash_of(std::string_view name) { return hash64(name); }

Table::Table(const ResourceSet& set) {
  entries_.reserve(set.size());
  for (const auto& resource : set.all()) entries_.push_back({hash_of(resource->name()), &resource});
  std::ranges::sort(entries_, {}, &Entry::hash);
}

const resource::ResourcePtr* Table::find(NameHash hash) const {
  const auto at = std::ranges::lower_bound(entries_, hash, {}, &Entry::hash);
  return at != entries_.end() && at->hash == hash ? at->resource : nullptr;
}

std::shared_ptr<const Table> Diffs::table(const ResourceSetPtr& set) {
  if (set->size() < kept_size_min) return std::make_shared<const Table>(*set);
  std::lock_guard lock(mutex_);
  return table_locked(set);
}

std::shared_ptr<const Table> Diffs::table_locked(const ResourceSetPtr& set) {
  if (set->size() < kept_size_min) return std::make_shared<const Table>(*set);
  auto& kept = tables_[set.get()];
  if (kept.set.lock() != set) kept = {set, std::make_shared<const Table>(*set)};
  return kept.table;
}

std::shared_ptr<const Diff> Diffs::diff(const ResourceSetPtr& from, const ResourceSetPtr& to) {
  if (from->size() + to->size() < kept_size_min) return compare(Table(*from), Table(*to));
  std::lock_guard lock(mutex_);  // also while it is made: whoever waits wants the same
  auto& kept = diffs_[{from.get(), to.get()}];
  if (kept.from.lock() != from || kept.to.lock() != to) {
    kept = {from, to, compare(*table_locked(from), *table_locked(to))};
    auto made = kept.diff;
    forget_the_gone();
    return made;
  }
  return kept.diff;
}

void Diffs::forget_the_gone() {
  if (tables_.size() + diffs_.size() < kept_max_) return;
  std::erase_if(tables_, [](const auto& kept) { return kept.second.set.expired(); });
  std::erase_if(diffs_, [](const auto& kept) {
    return kept.second.from.expired() || kept.second.to.expired();
  });
  kept_max_ = std::max<std::size_t>(64, 2 * (tables_.size() + diffs_.size()));
}

}  // namespace graymesh::xds
