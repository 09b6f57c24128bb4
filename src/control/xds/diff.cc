#include "control/xds/diff.h"

#include <algorithm>

#include "base/hash.h"

namespace graymesh::xds {
namespace {

using resource::ResourceSet;
using resource::ResourceSetPtr;

// A proxy's own layer is smaller than this and shared by nobody: made anew in a few microseconds.
constexpr std::size_t kept_size_min = 48;

Change change(NameHash hash, const resource::ResourcePtr* from, const resource::ResourcePtr* to) {
  return {hash, from, to, to ? static_cast<std::uint32_t>((*to)->delta_frame().size()) : 0};
}

// Most often one endpoint of one service has changed: then the two are gone through side by side
// where they are not one.
void compare_in_place(const Table& from, const Table& to, Diff& diff) {
  const auto &a = from.all(), &b = to.all();
  b.each_apart(a, [&](std::size_t i) {
    if (a[i] != b[i] && a[i]->version() != b[i]->version())
      diff.push_back(change(b[i]->name_hash(), &a[i], &b[i]));
    return true;
  });
  std::ranges::sort(diff, {}, &Change::hash);
}

void compare_by_name(const Table& from, const Table& to, bool claimed, Diff& diff) {
  const auto a = from.entries(), b = to.entries();
  auto i = a.begin(), j = b.begin();
  while (i != a.end() || j != b.end()) {
    if (j == b.end() || (i != a.end() && i->hash < j->hash)) {
      diff.push_back(change(i->hash, &from.of(*i), nullptr));
      diff.back().claimed = claimed;
      ++i;
    } else if (i == a.end() || j->hash < i->hash) {
      diff.push_back(change(j->hash, nullptr, &to.of(*j)));
      ++j;
    } else {
      const auto &was = from.of(*i), &is = to.of(*j);
      if (claimed || (was != is && was->version() != is->version())) {
        diff.push_back(change(j->hash, &was, &is));
        diff.back().claimed = claimed;
      }
      ++i;
      ++j;
    }
  }
}

std::shared_ptr<const Diff> compare(const Table& from, const Table& to, bool claimed) {
  auto diff = std::make_shared<Diff>();
  if (from.same_names(to) && !claimed)
    compare_in_place(from, to, *diff);
  else
    compare_by_name(from, to, claimed, *diff);
  diff->shrink_to_fit();
  return diff;
}

bool same_names(const Pieces<resource::ResourcePtr>& a, const Pieces<resource::ResourcePtr>& b) {
  return a.size() == b.size() && b.each_apart(a, [&](std::size_t i) {
    return a[i] == b[i] || a[i]->name() == b[i]->name();
  });
}

}  // namespace

NameHash hash_of(std::string_view name) { return hash64(name); }

std::uint64_t claim_of(NameHash name, std::uint64_t version) {
  return hash64({reinterpret_cast<const char*>(&version), sizeof version}, name);
}

Table::Table(const ResourceSet& set) : all_(&set.all()) {
  auto entries = std::make_shared<std::vector<Entry>>();
  entries->reserve(set.size());
  for (const auto& resource : *all_)
    entries->push_back({resource->name_hash(), static_cast<std::uint32_t>(entries->size())});
  std::ranges::sort(*entries, {}, &Entry::hash);
  if (set.size() >= kept_size_min) {
    auto names = std::make_shared<std::vector<NameHash>>();
    names->reserve(entries->size());
    for (const auto& entry : *entries) names->push_back(entry.hash);
    names_ = std::move(names);
  }
  entries_ = std::move(entries);
}

Table::Table(const ResourceSet& set, const Table& like)
    : entries_(like.entries_), names_(like.names_), all_(&set.all()) {}

std::uint64_t Table::claims() const {
  std::uint64_t sum = claims_.load(std::memory_order_relaxed);
  if (sum != 0) return sum;
  for (const auto& resource : *all_) sum += claim_of(resource->name_hash(), resource->version());
  claims_.store(sum, std::memory_order_relaxed);
  return sum;
}

const resource::ResourcePtr* Table::find(NameHash hash) const {
  const auto at = std::ranges::lower_bound(*entries_, hash, {}, &Entry::hash);
  return at != entries_->end() && at->hash == hash ? &of(*at) : nullptr;
}

std::shared_ptr<const Table> Diffs::table(const ResourceSetPtr& set) {
  if (set->size() < kept_size_min) return std::make_shared<const Table>(*set);
  std::lock_guard lock(mutex_);
  return table_locked(set);
}

std::shared_ptr<const Table> Diffs::table_locked(const ResourceSetPtr& set) {
  if (set->size() < kept_size_min) return std::make_shared<const Table>(*set);
  if (const auto found = tables_.find(set.get());
      found != tables_.end() && found->second.set.lock() == set)
    return found->second.table;
  const auto like = alike_locked(set);
  auto made =
      like ? std::make_shared<const Table>(*set, *like) : std::make_shared<const Table>(*set);
  tables_[set.get()] = {set, made};
  return made;
}

// One of the same names, which need not be sorted again: most often what was there before a change.
std::shared_ptr<const Table> Diffs::alike_locked(const ResourceSetPtr& set) const {
  for (const auto& [key, kept] : tables_) {
    if (kept.table->entries().size() != set->size()) continue;
    const auto alive = kept.set.lock();
    if (alive && same_names(alive->all(), set->all())) return kept.table;
  }
  return nullptr;
}

std::shared_ptr<const Diff> Diffs::diff(const ResourceSetPtr& from, const ResourceSetPtr& to) {
  return difference(from, to, false);
}

std::shared_ptr<const Diff> Diffs::claimed(const ResourceSetPtr& from, const ResourceSetPtr& to) {
  return difference(from, to, true);
}

std::shared_ptr<const Diff> Diffs::difference(const ResourceSetPtr& from, const ResourceSetPtr& to,
                                              bool claimed) {
  if (from->size() + to->size() < kept_size_min) return compare(Table(*from), Table(*to), claimed);
  std::lock_guard lock(mutex_);  // also while it is made: whoever waits wants the same
  auto& kept = diffs_[{from.get(), to.get(), claimed}];
  if (kept.from.lock() != from || kept.to.lock() != to) {
    const auto old_table = table_locked(from);
    kept = {from, to, compare(*old_table, *table_locked(to), claimed)};
    auto made = kept.diff;
    forget_the_gone();
    return made;
  }
  return kept.diff;
}

void Diffs::forget_the_gone() {
  const auto size = [this] { return tables_.size() + diffs_.size(); };
  if (size() < kept_max_) return;
  std::erase_if(tables_, [](const auto& kept) { return kept.second.set.expired(); });
  std::erase_if(diffs_, [](const auto& kept) {
    return kept.second.from.expired() || kept.second.to.expired();
  });
  kept_max_ = std::max<std::size_t>(64, 2 * size());
}

}  // namespace graymesh::xds
