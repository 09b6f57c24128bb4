// The part of Channel that hears what a proxy wants, and what it brings from an earlier stream.
//
// The rules are those of the xDS protocol ("How the client specifies what resources to return"):
// a first request for clusters or listeners without names means all of them, as "*" does; once a
// name was given, no names means none. In delta a name given again asks for it to be sent again.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <tuple>
#include <utility>

#include "control/xds/channel.h"
#include "control/xds/version.h"

namespace graymesh::xds {
namespace {

using resource::Type;

constexpr std::size_t missing_bytes_max = 4u
                                          << 20;  // names that don't exist, until they are answered

std::optional<std::uint64_t> parse_version(std::string_view text) {
  std::uint64_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version, 16);
  if (text.size() != 16 || error != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return version;
}

}  // namespace

Status Channel::bounded(std::size_t names) const {
  if (names <= limits_->names_max) return {};
  return Error{Code::resource_exhausted, fmt::format("{}: {} names on one stream, at most {}",
                                                     short_name(type_), names, limits_->names_max)};
}

Status Channel::subscribe(const Words& names, const Target& target) {
  if (names.empty()) return {};
  TRY(bounded(subscription_.names.size() + names.size()));
  if (asks_for_group(names)) return {};
  expand_groups();
  const bool first = !subscription_.wildcard && subscription_.names.empty();
  std::vector<std::pair<NameHash, std::string_view>> known, added;
  std::vector<NameHash> hashes, came;
  hashes.reserve(names.size());
  for (const auto name : names) {
    if (name == "*") {
      if (!subscription_.wildcard) holding_.forget();  // all is to be sent, whatever was before
      due_ = !subscription_.wildcard || due_;
      subscription_.wildcard = true;
      continue;
    }
    const NameHash hash = hash_of(name);
    if (unasked_.contains(hash)) {
      came.push_back(hash);  // it is on its way
      continue;
    }
    (subscription_.covers(hash) ? known : added).emplace_back(hash, name);
    hashes.push_back(hash);
  }
  unasked_.erase(std::move(came));
  subscription_.names.insert(std::move(hashes));
  if (wants_all_of(target) && first && holding_.empty()) return {};
  for (const auto& [hash, name] : known) TRY(want(hash, name, true, target));
  for (const auto& [hash, name] : added) TRY(want(hash, name, false, target));
  return {};
}

// Whether the names are those of one of the target's layers: then all streams share their memory.
bool Channel::wants_all_of(const Target& target) {
  return std::ranges::any_of(target.tables(), [&](const auto& table) {
    return table->names() && subscription_.names.share(table->names());
  });
}

// One name was asked for: sees to it that the next responses say something of it.
Status Channel::want(NameHash hash, std::string_view name, bool asked_before,
                     const Target& target) {
  if (!target.find(hash)) {
    if (!missing_.emplace(hash, name).second) return {};
    missing_bytes_ += name.size();
    if (missing_bytes_ <= missing_bytes_max) return {};
    return Error{Code::resource_exhausted,
                 fmt::format("{}: names that don't exist take more than {} bytes",
                             short_name(type_), missing_bytes_max)};
  }
  if (asked_before) {
    holding_.except(hash, subscription_).resend = true;
  } else if (holding_.base(hash).resource) {
    holding_.except(hash) = {};  // it holds nothing of that name, whatever the base says
  } else {
    holding_.exceptions().erase(hash);
  }
  return {};
}

void Channel::unsubscribe(const Words& names, const Target& target) {
  std::vector<NameHash> gone;
  if (!names.empty()) expand_groups();
  for (const auto name : names) {
    if (name == "*") {
      subscription_.wildcard = false;
      continue;
    }
    const NameHash hash = hash_of(name);
    if (const auto missing = missing_.find(hash); missing != missing_.end()) {
      missing_bytes_ -= missing->second.size();
      missing_.erase(missing);
    }
    unasked_.erase(hash);
    if (!subscription_.names.contains(hash)) continue;
    gone.push_back(hash);
    if (!subscription_.wildcard) {
      dropped_.emplace_back(name);
      holding_.exceptions().erase(hash);
    } else if (target.find(hash)) {
      // It still matches "*", and the proxy, which has dropped it, waits to hear of it.
      holding_.except(hash, subscription_).resend = true;
    }
  }
  subscription_.names.erase(std::move(gone));
}

Status Channel::replace_names(const SotwRequest& request) {
  if (request.same_names) return {};
  TRY(bounded(request.names.size()));
  Subscription next;
  std::vector<NameHash> hashes;
  hashes.reserve(request.names.size());
  std::uint64_t sum = 0;
  for (const auto name : request.names) {
    if (name == "*") {
      next.wildcard = true;
      continue;
    }
    hashes.push_back(hash_of(name));
    sum += claim_of(hashes.back(), 0);
  }
  names_hash_ = request.names_hash;
  // The same in another order, or not in one piece, is the same as well.
  const std::tuple asked(next.wildcard, hashes.size(), sum);
  if (std::exchange(asked_, asked) == asked) return {};
  named_ = named_ || !request.names.empty();
  if (!named_ && (type_ == Type::cluster || type_ == Type::listener)) next.wildcard = true;
  next.names.insert(hashes);

  if (next.wildcard && !subscription_.wildcard) {
    holding_.forget();
    due_ = true;
  }
  for (const NameHash hash : next.names.all()) {
    if (subscription_.names.contains(hash) && !unasked_.contains(hash)) continue;
    if (subscription_.wildcard && next.wildcard) continue;
    due_ = due_ || whole();
    if (holding_.base(hash).resource || unasked_.contains(hash)) {
      // It holds nothing of that name. What it is owed, it is still owed.
      auto& exception = holding_.except(hash);
      exception = {.resend = exception.resend, .owed = std::move(exception.owed)};
    }
  }
  unasked_.erase(hashes);
  next.names.insert({unasked_.all().begin(), unasked_.all().end()});
  for (const NameHash hash : subscription_.names.all()) {
    if (next.covers(hash)) continue;
    shrank_ = true;
    if (const auto told = holding_.told(hash, subscription_); told.resource)
      dropped_.push_back(told.resource->name());
  }
  subscription_ = std::move(next);
  holding_.note_all();  // some of them may be of names that it no longer wants
  return {};
}

// What the proxy says it holds. Most often that is the target, to the last version, which a sum
// tells. Else it is told layer by layer whether the proxy has most names of it in our version, in
// another, or not at all, and the fewer others are exceptions: a thousand proxies come back at
// once, perhaps from a graymeshd that made all of it otherwise. Both lists are gone through by
// hash, side by side.
void Channel::claim(const Words& held, const Words& versions, const Target& target) {
  if (held.empty()) return;
  returned_ = true;
  std::vector<Claim> claims;
  claims.reserve(held.size());
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < held.size(); ++i) {
    claims.push_back({hash_of(held[i]), parse_version(versions[i]), held[i]});
    sum += claim_of(claims.back().hash, claims.back().version.value_or(0));
  }
  if (held.size() == target.size() && sum == target.claims() && covers(target.layers()))
    return holding_.assume(target);
  std::ranges::stable_sort(claims, {}, &Claim::hash);
  if (!subscription_.wildcard) {
    auto name = subscription_.names.all().begin();
    const auto end = subscription_.names.all().end();
    std::erase_if(claims, [&](const Claim& it) {
      while (name != end && *name < it.hash) ++name;
      return name == end || *name != it.hash;
    });
  }
  holding_.forget();
  Standing all;
  for (std::size_t i = 0; i < target.tables().size(); ++i) {
    const auto standing = claim_layer(*target.tables()[i], target.layers()[i], claims);
    all.same += standing.same;
    all.other += standing.other;
    all.lacking += standing.lacking;
  }
  counts_.resyncs += all.same == 0 && all.other + all.lacking > 0 ? 1 : 0;
  if (all.same + all.other == 0) holding_.forget();
  for (const Claim& it : claims) {
    if (it.known) continue;
    holding_.except(it.hash) = {
        .held = std::make_shared<const resource::Resource>(type_, std::string(it.name), ""),
        .claimed = true};
  }
}

Channel::Standing Channel::claim_layer(const Table& table, const resource::ResourceSetPtr& layer,
                                       std::vector<Claim>& claims) {
  using Has = Holding::Has;
  const bool wants_all = subscription_.wildcard || subscription_.names.shares(table.names());
  std::vector<std::pair<const Table::Entry*, Has>> wanted;
  wanted.reserve(table.entries().size());
  Standing standing;
  auto at = claims.begin();
  for (const auto& entry : table.entries()) {
    while (at != claims.end() && at->hash < entry.hash) ++at;
    Has has = Has::nothing;
    for (; at != claims.end() && at->hash == entry.hash; ++at) {  // of two the last counts
      has = at->version == table.of(entry)->version() ? Has::all : Has::claimed;
      at->known = true;
    }
    if (!wants_all && !subscription_.names.contains(entry.hash)) continue;
    wanted.emplace_back(&entry, has);
    ++(has == Has::all ? standing.same : has == Has::claimed ? standing.other : standing.lacking);
  }
  const std::size_t most = std::max({standing.same, standing.other, standing.lacking});
  const Has base = most == standing.same    ? Has::all
                   : most == standing.other ? Has::claimed
                                            : Has::nothing;
  holding_.assume(layer, base);
  if (most == wanted.size()) return standing;
  for (const auto& [entry, has] : wanted) {
    if (has == base) continue;
    Exception& exception = holding_.except(entry->hash);
    if (has != Has::nothing) exception.held = table.of(*entry);
    exception.claimed = has == Has::claimed;
  }
  return standing;
}

// In state of the world the version says whether it is the same in all, and no more.
bool Channel::claim_whole(const std::string& version, const Target& target) {
  if (version_of(compose(target)) != version) return false;
  holding_.assume(target);
  return true;
}

}  // namespace graymesh::xds
