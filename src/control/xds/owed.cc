// The part of Channel that sends what a proxy is about to ask for: the endpoints of clusters which
// it was just sent. It warms those and waits, so they go out changed or not, asked for or not.
//
// A proxy that comes cold is sent thousands: what it holds none of, and what is as the Config has
// it, goes in Groups, each of the names that one response of clusters had. All else becomes
// Exceptions, name by name.
#include <algorithm>
#include <iterator>
#include <utility>

#include "control/xds/channel.h"

namespace graymesh::xds {

using resource::ResourcePtr;

void Channel::resend(const std::vector<NameHash>& names, const resource::ConfigPtr& config) {
  if (names.empty()) return;
  const Target target(config->of(type_), *diffs_);
  if (group(names, target, config)) return;
  expand_groups();
  std::vector<NameHash> added;
  for (const NameHash hash : names) {
    const auto* found = target.find(hash);
    Held held;
    if (!found) held = holding_.told(hash, subscription_);  // no longer wanted, not yet removed
    const auto* owed = found ? found : held.resource && !held.claimed ? &held.resource : nullptr;
    if (!owed) continue;
    if (heard_)
      owe(hash, *owed, added);
    else
      owed_first_.emplace_back(hash, *owed);
  }
  if (heard_) ask_for(std::move(added));
}

// False: there is more to it.
bool Channel::group(const std::vector<NameHash>& names, const Target& target,
                    const resource::ConfigPtr& config) {
  if (!delta_ || subscription_.wildcard || !owed_first_.empty()) return false;
  std::vector<NameHash> sorted = names;  // most often it is
  std::ranges::sort(sorted);
  if (subscription_.names.any_of(sorted)) return false;
  Group made{.config = config};
  made.names.reserve(names.size());
  for (const auto& table : target.tables()) {
    auto at = std::ranges::lower_bound(table->entries(), sorted.front(), {}, &Table::Entry::hash);
    for (const NameHash hash : sorted) {
      while (at != table->entries().end() && at->hash < hash) ++at;
      if (at == table->entries().end()) break;
      if (at->hash == hash) made.names.emplace_back(hash, &table->of(*at));
    }
  }
  if (target.tables().size() > 1) std::ranges::sort(made.names);
  const auto known = [&](const Group& other) {
    return std::ranges::any_of(other.names, [&](const auto& name) {
      return std::ranges::binary_search(made.names, name.first, {}, &Group::Name::first);
    });
  };
  if (std::ranges::any_of(groups_, known)) return false;
  if (!made.names.empty()) groups_.push_back(std::move(made));
  dirty_ = true;
  return true;
}

// True if what is asked for, and nothing else, is a Group that waits.
bool Channel::asks_for_group(const Words& names) {
  if (groups_.empty()) return false;
  std::vector<NameHash> hashes;
  hashes.reserve(names.size());
  for (const auto name : names) hashes.push_back(hash_of(name));
  std::ranges::sort(hashes);
  const auto same = [&](const Group& group) {
    return !group.asked && std::ranges::equal(group.names, hashes, {}, &Group::Name::first);
  };
  const auto found = std::ranges::find_if(groups_, same);
  if (found == groups_.end()) return false;
  found->asked = true;
  return true;
}

// Groups as Exceptions.
void Channel::expand_groups() {
  for (const Group& group : std::exchange(groups_, {})) {
    std::vector<NameHash> added;
    for (const auto& [hash, resource] : group.names) {
      if (heard_)
        owe(hash, *resource, added);
      else
        owed_first_.emplace_back(hash, *resource);
    }
    if (!heard_) continue;
    ask_for(added);
    if (group.asked) unasked_.erase(std::move(added));
  }
}

// Only where nothing else is to be told apart: what it holds is the target, with no exceptions.
bool Channel::groups_are_plain(const Target& target) const {
  if (!holding_.exceptions().empty()) return false;
  const bool at_target =
      holding_.empty() ? subscription_.names.empty() : holding_.at(target.layers());
  return at_target && std::ranges::all_of(groups_, [&](const Group& group) {
           return std::ranges::equal(group.config->of(type_), target.layers());
         });
}

std::size_t Channel::fitting(const Group& group, const Room& room) {
  std::size_t count = 0, bytes = room.bytes;
  for (const auto& [hash, resource] : group.names) {
    bytes += (*resource)->delta_frame().size();
    if (count == room.resources || (bytes > room.bytes_max && count + room.sent > 0)) break;
    ++count;
  }
  return count;
}

// The first `count` names of a Group have gone.
void Channel::leave_group(Group& group, std::size_t count) {
  const auto end = group.names.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<NameHash> hashes;
  hashes.reserve(count);
  std::transform(group.names.begin(), end, std::back_inserter(hashes),
                 [](const auto& name) { return name.first; });
  if (!group.asked) unasked_.insert(hashes);
  subscription_.names.insert(std::move(hashes));
  group.names.erase(group.names.begin(), end);
}

void Channel::owe(const std::vector<std::pair<NameHash, ResourcePtr>>& resources) {
  std::vector<NameHash> added;
  for (const auto& [hash, resource] : resources) owe(hash, resource, added);
  ask_for(std::move(added));
}

void Channel::owe(NameHash hash, const ResourcePtr& resource, std::vector<NameHash>& added) {
  Exception* exception = nullptr;
  if (subscription_.covers(hash)) {
    exception = &holding_.except(hash, subscription_);
  } else {
    added.push_back(hash);
    exception = &holding_.except(hash);
    *exception = {};
  }
  exception->resend = true;
  exception->owed = resource;
}

// Though the proxy has not, yet.
void Channel::ask_for(std::vector<NameHash> unasked) {
  dirty_ = true;
  unasked_.insert(unasked);
  subscription_.names.insert(std::move(unasked));
}

}  // namespace graymesh::xds
