#include "control/xds/holding.h"

#include <algorithm>
#include <iterator>
#include <limits>

namespace graymesh::xds {
namespace {

using resource::ResourcePtr;
using resource::ResourceSetPtr;

constexpr NameHash last_hash = std::numeric_limits<NameHash>::max();
// A target that changes while a long push is under way leaves one more boundary. Each keeps an old
// set alive, so the last two are joined from here on.
constexpr std::size_t segments_max = 6;

const ResourceSetPtr& empty_set() {
  static const auto set = std::make_shared<const resource::ResourceSet>();
  return set;
}

// By reference: all streams ask at once, and each copy would be counted where all of them count.
const ResourceSetPtr& layer(std::span<const ResourceSetPtr> layers, std::size_t at) {
  return at < layers.size() && layers[at] ? layers[at] : empty_set();
}

// How many entries from `from` through `through` the subscription covers.
std::size_t covered(const Table& table, NameHash from, NameHash through,
                    const Subscription& subscription) {
  const auto entries = table.entries();
  const auto begin = std::ranges::lower_bound(entries, from, {}, &Table::Entry::hash);
  const auto end = std::ranges::upper_bound(begin, entries.end(), through, {}, &Table::Entry::hash);
  if (subscription.wildcard || subscription.names.shares(table.names()))
    return static_cast<std::size_t>(end - begin);
  const auto names = subscription.names.all();
  auto name = std::ranges::lower_bound(names, from);
  std::size_t count = 0;
  for (auto entry = begin; entry != end; ++entry) {
    while (name != names.end() && *name < entry->hash) ++name;
    if (name == names.end()) break;
    count += *name == entry->hash ? 1 : 0;
  }
  return count;
}

// The first from `at` on that is not less: in a long push the next one, for one change far away.
std::span<const NameHash>::iterator seek(std::span<const NameHash>::iterator at,
                                         std::span<const NameHash>::iterator end, NameHash hash) {
  std::ptrdiff_t step = 1;
  for (; step < end - at && at[step] < hash; step *= 2) at += step;
  return std::lower_bound(at, at + std::min(step + 1, end - at), hash);
}

}  // namespace

bool Names::contains(NameHash hash) const { return std::ranges::binary_search(all(), hash); }

bool Names::any_of(std::span<const NameHash> sorted) const {
  if (sorted.empty()) return false;
  auto at = std::ranges::lower_bound(all(), sorted.front());
  for (const NameHash hash : sorted) {
    while (at != all().end() && *at < hash) ++at;
    if (at == all().end()) return false;
    if (*at == hash) return true;
  }
  return false;
}

bool Names::insert(NameHash hash) {
  if (contains(hash)) return false;
  insert(std::vector<NameHash>{hash});
  return true;
}

void Names::insert(std::vector<NameHash> hashes) {
  if (hashes.empty()) return;
  std::ranges::sort(hashes);
  std::vector<NameHash> merged;
  merged.reserve(size() + hashes.size());
  std::ranges::set_union(all(), hashes, std::back_inserter(merged));
  merged.erase(std::unique(merged.begin(), merged.end()), merged.end());
  merged.shrink_to_fit();
  sorted_ = std::make_shared<const std::vector<NameHash>>(std::move(merged));
}

bool Names::erase(NameHash hash) {
  const auto at = std::ranges::lower_bound(all(), hash);
  if (at == all().end() || *at != hash) return false;
  erase(std::vector<NameHash>{hash});
  return true;
}

void Names::erase(std::vector<NameHash> hashes) {
  if (hashes.empty() || empty()) return;
  std::ranges::sort(hashes);
  std::vector<NameHash> left;
  left.reserve(size());
  std::ranges::set_difference(all(), hashes, std::back_inserter(left));
  left.shrink_to_fit();
  sorted_ = std::make_shared<const std::vector<NameHash>>(std::move(left));
}

bool Names::share(const SharedHashes& other) {
  const bool same = sorted_ && (sorted_ == other || *sorted_ == *other);
  if (same) sorted_ = other;
  return same;
}

Target::Target(std::span<const ResourceSetPtr> layers, Diffs& diffs) : layers_(layers) {
  tables_.reserve(layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) tables_.push_back(diffs.table(layer(layers, i)));
}

std::size_t Target::size() const {
  std::size_t size = 0;
  for (const auto& table : tables_) size += table->entries().size();
  return size;
}

std::uint64_t Target::claims() const {
  std::uint64_t sum = 0;
  for (const auto& table : tables_) sum += table->claims();
  return sum;
}

const ResourcePtr* Target::find(NameHash hash) const {
  for (const auto& table : tables_) {
    if (const auto* found = table->find(hash)) return found;
  }
  return nullptr;
}

void Holding::forget() {
  slots_.clear();
  exceptions_.clear();
  noted_.clear();
}

void Holding::assume(const Target& target) {
  forget();
  for (const auto& set : target.layers()) assume(set, Has::all);
}

void Holding::assume(const ResourceSetPtr& layer, Has has) {
  slots_.push_back({{.through = last_hash,
                     .base = has == Has::nothing ? empty_set() : layer,
                     .claimed = has == Has::claimed}});
}

Held Holding::base(NameHash hash) const {
  for (const auto& slot : slots_) {
    const auto segment = std::ranges::lower_bound(slot, hash, {}, &Segment::through);
    if (segment->base->size() == 0) continue;
    if (const auto* found = table_of(*segment).find(hash)) return {*found, segment->claimed};
  }
  return {};
}

const Table& Holding::table_of(const Segment& segment) const {
  if (!segment.table) segment.table = diffs_->table(segment.base);
  return *segment.table;
}

Held Holding::told(NameHash hash, const Subscription& subscription) const {
  if (const auto found = exceptions_.find(hash); found != exceptions_.end()) {
    return {found->second.held, found->second.claimed};
  }
  return subscription.covers(hash) ? base(hash) : Held{};
}

Exception& Holding::except(NameHash hash) {
  noted_.push_back(hash);
  return exceptions_[hash];
}

Exception& Holding::except(NameHash hash, const Subscription& subscription) {
  const Held now = told(hash, subscription);
  Exception& exception = except(hash);
  exception.held = now.resource;
  exception.claimed = now.claimed;
  return exception;
}

void Holding::note(std::span<const NameHash> names) {
  noted_.insert(noted_.end(), names.begin(), names.end());
}

void Holding::note_all() {
  noted_.clear();
  for (const auto& [hash, exception] : exceptions_) noted_.push_back(hash);
}

std::vector<NameHash> Holding::take_noted() {
  std::ranges::sort(noted_);
  noted_.erase(std::unique(noted_.begin(), noted_.end()), noted_.end());
  return std::exchange(noted_, {});
}

bool Holding::at(std::span<const ResourceSetPtr> target) const {
  if (slots_.size() != target.size()) return false;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].size() != 1 || !slots_[i][0].is(layer(target, i))) return false;
  }
  return true;
}

bool Holding::at(NameHash hash, const Target& target) const {
  for (std::size_t i = 0; i < std::max(slots_.size(), target.layers().size()); ++i) {
    const ResourcePtr* base = nullptr;
    if (i < slots_.size()) {
      const auto segment = std::ranges::lower_bound(slots_[i], hash, {}, &Segment::through);
      if (segment->is(layer(target.layers(), i))) continue;
      base = table_of(*segment).find(hash);
      if (base && segment->claimed) return false;
    }
    const ResourcePtr* wanted =
        i < target.tables().size() ? target.tables()[i]->find(hash) : nullptr;
    if ((base == nullptr) != (wanted == nullptr)) return false;
    if (base && (*base)->version() != (*wanted)->version()) return false;
  }
  return true;
}

std::optional<std::vector<resource::Possession::Layer>> Holding::layers() const {
  std::vector<resource::Possession::Layer> layers;
  for (const auto& slot : slots_) {
    if (slot.size() != 1) return std::nullopt;
    layers.push_back({slot[0].base, slot[0].claimed});
  }
  return layers;
}

bool Holding::advance(const Target& target, const Subscription& subscription,
                      const std::function<bool(const Change&)>& visit) {
  while (slots_.size() < target.layers().size()) assume(empty_set(), Has::nothing);
  bool through = true;
  for (std::size_t i = 0; i < slots_.size() && through; ++i) {
    through = advance(slots_[i], layer(target.layers(), i), subscription, visit);
  }
  if (through) slots_.resize(target.layers().size());  // what is beyond became empty
  return through;
}

bool Holding::advance(Slot& slot, const ResourceSetPtr& target, const Subscription& subscription,
                      const std::function<bool(const Change&)>& visit) {
  if (slot.size() == 1 && slot[0].is(target)) return true;
  const Names names = subscription.names;  // of which `visit` may take one away
  NameHash from = 0;
  for (std::size_t i = 0; i < slot.size(); ++i) {
    const Segment& segment = slot[i];
    if (!segment.is(target)) {
      const auto diff = this->diff(segment, target);
      auto at = std::ranges::lower_bound(*diff, from, {}, &Change::hash);
      auto name = std::ranges::lower_bound(names.all(), from);
      for (; at != diff->end() && at->hash <= segment.through; ++at) {
        if (!subscription.wildcard) {
          name = seek(name, names.all().end(), at->hash);
          if (name == names.all().end()) break;
          if (*name != at->hash) continue;
        }
        if (visit(*at)) continue;
        // Up to here it is the target, from here on as before.
        slot.erase(slot.begin(), slot.begin() + static_cast<std::ptrdiff_t>(i));
        if (at->hash > 0) slot.insert(slot.begin(), {.through = at->hash - 1, .base = target});
        if (slot.size() > segments_max) join_tail(slot, subscription);
        return false;
      }
    }
    if (segment.through == last_hash) break;
    from = segment.through + 1;
  }
  slot = {{.through = last_hash, .base = target}};
  return true;
}

std::shared_ptr<const Diff> Holding::diff(const Segment& from, const ResourceSetPtr& to) const {
  return from.claimed ? diffs_->claimed(from.base, to) : diffs_->diff(from.base, to);
}

// The last two segments become one on the base of the last: where the other differs, by exceptions.
// From one that is claimed all would differ; that can only be the last, and so is passed over.
void Holding::join_tail(Slot& slot, const Subscription& subscription) {
  const auto last = slot.end() - (slot.back().claimed ? 2 : 1);
  const Segment joined = *(last - 1);
  const NameHash from = (last - 2)->through + 1;
  const auto diff = this->diff(*last, joined.base);
  for (auto at = std::ranges::lower_bound(*diff, from, {}, &Change::hash);
       at != diff->end() && at->hash <= joined.through; ++at) {
    if (!subscription.covers(at->hash)) continue;
    Exception exception;
    if (at->to) exception.held = *at->to;
    exceptions_.emplace(at->hash, std::move(exception));
  }
  slot.erase(last - 1);
  note_all();
}

// It is asked of every stream, whenever somebody looks: layers are counted as wholes where they can
// be, and nothing is copied.
std::size_t Holding::count(const Subscription& subscription) const {
  std::size_t count = 0;
  for (const auto& slot : slots_) {
    NameHash from = 0;
    for (const auto& segment : slot) {
      count += covered(table_of(segment), from, segment.through, subscription);
      from = segment.through + 1;
    }
  }
  for (const auto& [hash, exception] : exceptions_) {
    if (subscription.covers(hash)) {
      count -= static_cast<std::size_t>(
          std::ranges::count_if(slots_, [this, hash = hash](const Slot& slot) {
            const auto segment = std::ranges::lower_bound(slot, hash, {}, &Segment::through);
            return table_of(*segment).find(hash) != nullptr;
          }));
    }
    count += exception.held ? 1 : 0;
  }
  return count;
}

void Holding::each(const Subscription& subscription,
                   const std::function<void(NameHash, const Held&)>& visit) const {
  for (const auto& slot : slots_) {
    NameHash from = 0;
    for (const auto& segment : slot) {
      const Table& table = table_of(segment);
      const auto entries = table.entries();
      for (auto at = std::ranges::lower_bound(entries, from, {}, &Table::Entry::hash);
           at != entries.end() && at->hash <= segment.through; ++at) {
        if (subscription.covers(at->hash) && !exceptions_.contains(at->hash))
          visit(at->hash, {table.of(*at), segment.claimed});
      }
      from = segment.through + 1;
    }
  }
  for (const auto& [hash, exception] : exceptions_) {
    if (exception.held) visit(hash, {exception.held, exception.claimed});
  }
}

}  // namespace graymesh::xds
