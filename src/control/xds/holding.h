// What one proxy has been told of one type, in little memory.
//
// A proxy of 3,360 clusters mostly holds exactly what its Config says, so we keep a pointer to that
// set, and note only what is otherwise. A push that is cut into chunks goes through the names in
// hash order; until it is through, the proxy holds the new set up to some hash and the old one
// from there on:
//
//     hashes   0 ........ 0x7a3f ........ max
//     holds     new set   |    old set            two Segments
//
// and Exceptions for single names: refused, newly subscribed, no longer wanted but still needed.
//
// A proxy that comes back from another graymeshd may hold nearly all names in versions that nobody
// here knows: then a Segment is `claimed`, its set lends only the names, and a push visits each.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "control/resource/resource.h"
#include "control/resource/witness.h"
#include "control/xds/diff.h"

namespace graymesh::xds {

// The names a stream asked for, as hashes. Copies share their memory.
class Names {
 public:
  Names() = default;
  explicit Names(SharedHashes sorted) : sorted_(std::move(sorted)) {}
  bool contains(NameHash hash) const;
  bool any_of(std::span<const NameHash> sorted) const;  // contains any
  bool insert(NameHash hash);                           // false if it was there
  void insert(std::vector<NameHash> hashes);
  bool erase(NameHash hash);
  void erase(std::vector<NameHash> hashes);
  std::size_t size() const { return sorted_ ? sorted_->size() : 0; }
  bool empty() const { return size() == 0; }
  std::span<const NameHash> all() const {
    return sorted_ ? std::span<const NameHash>(*sorted_) : std::span<const NameHash>();
  }
  // Lies where `other` does, if it is the same, and tells whether.
  bool share(const SharedHashes& other);
  bool shares(const SharedHashes& other) const { return sorted_ && sorted_ == other; }

 private:
  SharedHashes sorted_;  // null: none
};

struct Subscription {
  bool wildcard = false;
  Names names;
  bool covers(NameHash hash) const { return wildcard || names.contains(hash); }
};

// The layers of one type in a Config, looked up by hash.
class Target {
 public:
  Target(std::span<const resource::ResourceSetPtr> layers, Diffs& diffs);
  const resource::ResourcePtr* find(NameHash hash) const;
  std::span<const resource::ResourceSetPtr> layers() const { return layers_; }
  std::span<const std::shared_ptr<const Table>> tables() const { return tables_; }
  std::size_t size() const;
  std::uint64_t claims() const;  // as Table has it

 private:
  std::span<const resource::ResourceSetPtr> layers_;
  std::vector<std::shared_ptr<const Table>> tables_;
};

struct Exception {
  resource::ResourcePtr held{};  // null: nothing
  bool claimed = false;          // `held` lends only its name: which version, the proxy alone knows
  bool resend = false;           // goes out again though it is the same
  resource::ResourcePtr owed{};  // with `resend`: goes out even if the target has lost it since
  bool withheld = false;         // waits for its turn in the search for a culprit
  std::optional<std::uint64_t> refused{};  // this version isn't sent again
  std::uint64_t since = 0;  // the update that no longer wanted it; it may be needed until then
};

// What a proxy holds under one name. `resource` null: nothing.
struct Held {
  resource::ResourcePtr resource{};
  bool claimed = false;
};

class Holding {
 public:
  explicit Holding(Diffs& diffs) : diffs_(&diffs) {}

  bool empty() const { return slots_.empty() && exceptions_.empty(); }
  void forget();                      // it holds nothing
  void assume(const Target& target);  // it holds all of that
  enum class Has : std::uint8_t { all, claimed, nothing };
  void assume(const resource::ResourceSetPtr& layer, Has has);  // of the next layer, that

  Held told(NameHash hash, const Subscription& subscription) const;
  // The same without exceptions.
  Held base(NameHash hash) const;

  std::map<NameHash, Exception>& exceptions() { return exceptions_; }
  const std::map<NameHash, Exception>& exceptions() const { return exceptions_; }
  // Makes one, if there is none, that says nothing, or what is told now; and notes it.
  Exception& except(NameHash hash);
  Exception& except(NameHash hash, const Subscription& subscription);
  // Of thousands of exceptions few are to be looked at by themselves: advance() comes by the others
  // or they are right as they are. Those are noted; the list is sorted, and each is there once.
  void note(std::span<const NameHash> names);
  bool notes() const { return !noted_.empty(); }  // any
  void note_all();
  std::vector<NameHash> take_noted();

  // Pointer-equal to the target in all layers.
  bool at(std::span<const resource::ResourceSetPtr> target) const;
  // True if advance() has nothing to visit for this name: its base is the same in the target.
  bool at(NameHash hash, const Target& target) const;

  // The layers under the exceptions, if each is one set; `claimed` as of a Segment.
  std::optional<std::vector<resource::Possession::Layer>> layers() const;

  // Goes over the covered names whose base differs from `target`, and sets it to the target behind
  // it. `visit` answers false if it has no room for this change: here the next call begins. Answers
  // whether it came to the end.
  bool advance(const Target& target, const Subscription& subscription,
               const std::function<bool(const Change&)>& visit);

  // How many names it holds something of.
  std::size_t count(const Subscription& subscription) const;
  // All that is told, in no order: the base under its exceptions.
  void each(const Subscription& subscription,
            const std::function<void(NameHash, const Held&)>& visit) const;

 private:
  struct Segment {
    NameHash through;  // the last hash
    resource::ResourceSetPtr base;
    bool claimed = false;                          // `base` lends only its names
    mutable std::shared_ptr<const Table> table{};  // of `base`; made when first asked for
    bool is(const resource::ResourceSetPtr& target) const { return base == target && !claimed; }
  };
  using Slot = std::vector<Segment>;  // one layer; together they reach from 0 to the largest hash

  bool advance(Slot& slot, const resource::ResourceSetPtr& target, const Subscription& subscription,
               const std::function<bool(const Change&)>& visit);
  const Table& table_of(const Segment& segment) const;
  std::shared_ptr<const Diff> diff(const Segment& from, const resource::ResourceSetPtr& to) const;
  void join_tail(Slot& slot, const Subscription& subscription);

  Diffs* diffs_;
  std::vector<Slot> slots_;
  std::map<NameHash, Exception> exceptions_;
  std::vector<NameHash> noted_;
};

}  // namespace graymesh::xds
