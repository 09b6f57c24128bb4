// The part of Channel that makes the next response.
//
// First what is in haste, then what is singular (newly subscribed, to be sent again, ready to be
// removed), then the names where the Config differs from what was told, as many as a response may
// carry. While a culprit is looked for, its suspects alone.
#include <algorithm>
#include <functional>
#include <limits>
#include <list>
#include <utility>

#include "control/xds/channel.h"
#include "control/xds/version.h"

namespace graymesh::xds {
namespace {

using resource::ResourcePtr;

// Of names in haste. More have changed together: that is a push, not a change.
constexpr std::size_t hastened_max = 64;

}  // namespace

struct Channel::Draft {
  static constexpr std::size_t few = 8, many = 256;
  std::size_t room;
  std::size_t bytes_max;
  std::size_t bytes = 0;
  std::vector<Sent> sent{};
  std::list<ResourcePtr> other{};
  std::vector<std::string> missing{};
  bool full = false;      // there was more than room for
  bool deferred = false;  // something is no longer wanted, but may still be needed
  bool trial = false;

  // One resource always fits, however large.
  bool fits(std::size_t size) const {
    return room > 0 && (sent.empty() || bytes + size <= bytes_max);
  }
  bool fits(const ResourcePtr* resource) const { return fits(size_of(resource)); }
  static std::size_t size_of(const ResourcePtr* resource) {
    return resource ? (*resource)->delta_frame().size() : 0;
  }
  void add(NameHash hash, const ResourcePtr* now, const Held& before) {
    add(hash, now, before, size_of(now));
  }
  void add(NameHash hash, const ResourcePtr* now, const Held& before, std::size_t size) {
    --room;
    bytes += size;
    if (sent.size() == few) sent.reserve(std::min(room, many));
    sent.push_back({hash, now, before});
  }
};

Channel::Draft Channel::new_draft(const Goal& goal) const {
  constexpr auto unbounded = std::numeric_limits<std::size_t>::max();
  // Virtual hosts of one table that come in parts make a listener ready with the first part, and
  // Envoy makes the whole table anew for each. And where a name moves from one host to another, it
  // refuses a part in which both have it.
  if (!delta_ || by_table()) return {.room = unbounded, .bytes_max = unbounded};
  return {.room = std::min(goal.resources_max, limits_->chunk_resources_max),
          .bytes_max = limits_->chunk_bytes_max};
}

bool Channel::idle(const Goal& goal) const {
  if (dirty_ || !groups_.empty()) return false;
  const auto layers = goal.step.config->of(type_);
  if (!holding_.exceptions().empty())
    return removals_through_ == goal.removals_through && holding_.at(layers);
  // What it is at was found for the last step. A change of endpoints leaves all other layers as
  // they were, and what a Config has is nearer at hand than what a stream holds.
  const bool same = settled_.config && std::ranges::equal(settled_.config->of(type_), layers);
  return same || holding_.at(layers);
}

// Nothing has happened since it was found idle: asked for each type, at each step of each stream.
// Which exception is due is not told here, but by consider().
bool Channel::rests(const Goal& goal) const {
  return !dirty_ && groups_.empty() && hastened_.empty() && holding_.exceptions().empty() &&
         settled_.config == goal.step.config && settled_.update == goal.step.update &&
         removals_through_ == goal.removals_through;
}

bool Channel::wants(const Goal& goal) {
  if (!heard_ || flight_ || rests(goal)) return false;
  if (goal.hastened_only && hastened_.empty()) return false;
  if (!idle(goal)) return true;
  hastened_.clear();
  settle(goal);
  return false;
}

std::optional<Response> Channel::take(const Goal& goal, std::uint64_t nonce) {
  if (!wants(goal)) return std::nullopt;
  const Target target(goal.step.config->of(type_), *diffs_);
  removals_through_ = goal.removals_through;
  Draft draft = new_draft(goal);
  if (goal.hastened_only) {
    draft_hastened(target, draft);
    dirty_ = draft.full = true;  // there may be more in this step
    if (draft.sent.empty()) return std::nullopt;
    return write(std::move(draft), goal, target, nonce);
  }
  draft_trial(target, draft);
  if (!draft.trial) {
    draft_hastened(target, draft);
    draft_groups(target, draft);
    draft_exceptions(goal, target, draft);
    draft_changes(goal, target, draft);
    draft_missing(target, draft);
    draft.deferred = removals_wait();
  }
  more_ = draft.full || draft.trial;
  dirty_ = more_ || holding_.notes();
  clear_ = !draft.deferred;
  if (!draft.sent.empty() || !draft.missing.empty() || due_)
    return write(std::move(draft), goal, target, nonce);
  settle(goal);
  return std::nullopt;
}

// There is nothing more to say of this step.
void Channel::settle(const Goal& goal) {
  settled_ = goal.step;
  if (clear_) cleared_ = goal.step;
}

void Channel::hasten(const std::vector<NameHash>& names) {
  if (!heard_) return;
  for (const NameHash hash : names) {
    if (!std::ranges::count(hastened_, hash)) hastened_.push_back(hash);
  }
  if (hastened_.size() > hastened_max) hastened_.clear();
}

// What the proxy has, in another version. It is noted as an exception, wherever the base under it
// is; once that is at the target, it is no exception any more.
void Channel::draft_hastened(const Target& target, Draft& draft) {
  for (const NameHash hash : std::exchange(hastened_, {})) {
    const auto* want = target.find(hash);
    const Held held = holding_.told(hash, subscription_);
    if (!want || !held.resource || !draft.fits(want)) continue;
    if (!held.claimed && held.resource->version() == (*want)->version()) continue;
    auto& exceptions = holding_.exceptions();
    if (const auto found = exceptions.find(hash);
        found != exceptions.end() &&
        (found->second.withheld || found->second.refused == (*want)->version()))
      continue;
    holding_.except(hash) = {.held = *want};
    draft.add(hash, want, held);
  }
}

void Channel::draft_groups(const Target& target, Draft& draft) {
  if (groups_.empty()) return;
  if (!groups_are_plain(target)) return expand_groups();
  if (holding_.empty()) holding_.assume(target);
  while (!groups_.empty() && !draft.full) {
    Group& group = groups_.front();
    const std::size_t count =
        fitting(group, {draft.room, draft.bytes, draft.bytes_max, draft.sent.size()});
    for (std::size_t i = 0; i < count; ++i)
      draft.add(group.names[i].first, group.names[i].second, {});
    draft.full = count < group.names.size();
    leave_group(group, count);
    if (group.names.empty()) groups_.erase(groups_.begin());
  }
  (void)wants_all_of(target);
}

void Channel::draft_trial(const Target& target, Draft& draft) {
  auto& exceptions = holding_.exceptions();
  while (!trials_.empty() && draft.sent.empty()) {
    const auto group = std::move(trials_.back());
    trials_.pop_back();
    for (const NameHash hash : group) {
      const auto found = exceptions.find(hash);
      if (found == exceptions.end() || !found->second.withheld) continue;
      found->second.withheld = false;
      const auto* want = target.find(hash);
      holding_.note({&hash, 1});
      if (!want || !subscription_.covers(hash) || (by_table() && !takes(**want)))
        continue;  // as any other exception
      draft.add(hash, want, {found->second.held, found->second.claimed});
      exceptions.erase(found);
    }
  }
  draft.trial = !draft.sent.empty();
  if (draft.trial && trials_left_ > 0) --trials_left_;
}

// A goal that is another may let any of them go; what a request says concerns those it names.
void Channel::draft_exceptions(const Goal& goal, const Target& target, Draft& draft) {
  if (draft.full) return;
  const std::pair now(goal.step.update, goal.removals_through);
  if (std::exchange(looked_, now) != now) {
    deferred_.clear();
    holding_.note_all();
  }
  auto& exceptions = holding_.exceptions();
  const auto noted = holding_.take_noted();
  std::size_t dealt_with = 0;
  for (; dealt_with < noted.size(); ++dealt_with) {
    const NameHash hash = noted[dealt_with];
    const auto found = exceptions.find(hash);
    if (found == exceptions.end()) continue;
    ++counts_.looks;
    if (!subscription_.covers(hash)) {
      exceptions.erase(found);
    } else if (holding_.at(hash, target)) {  // else it is met among the changes
      const Held held{found->second.held, found->second.claimed};
      consider(goal, hash, target.find(hash), held, draft);
      if (draft.full) break;
    }
  }
  holding_.note(std::span(noted).subspan(dealt_with));
}

void Channel::draft_changes(const Goal& goal, const Target& target, Draft& draft) {
  if (draft.full) return;
  const auto& exceptions = holding_.exceptions();
  const auto visit = [&](const Change& change) {
    // Most often: it comes cold, and all is new.
    if (change.to && !change.from && exceptions.empty() && refusals_.empty() && !by_table()) {
      draft.full = !draft.fits(change.bytes);
      if (!draft.full) draft.add(change.hash, change.to, {}, change.bytes);
      return !draft.full;
    }
    const auto* want = change.to ? change.to : target.find(change.hash);
    if (want && !change.to) return true;  // moved to another layer, where it is met as new
    Held held{change.from ? *change.from : nullptr, change.claimed};
    if (const auto found = exceptions.find(change.hash); found != exceptions.end()) {
      held = {found->second.held, found->second.claimed};
    }
    return consider(goal, change.hash, want, held, draft);
  };
  holding_.advance(target, subscription_, std::ref(visit));
}

// Decides on one name. Afterwards its exception, if it needs one, is right for a base that is at
// the target. False, and nothing done: no room.
bool Channel::consider(const Goal& goal, NameHash hash, const ResourcePtr* want, const Held& held,
                       Draft& draft) {
  auto& exceptions = holding_.exceptions();
  const auto found = exceptions.find(hash);
  if (found != exceptions.end() && found->second.withheld) return true;
  if (want && by_table() && !takes(**want)) {
    await_table(hash, held, draft);
    return true;
  }
  if (want && found != exceptions.end() && found->second.refused == (*want)->version()) return true;
  bool send = false;
  if (want) {
    const bool same =
        held.resource && !held.claimed && held.resource->version() == (*want)->version();
    send = !same || (found != exceptions.end() && found->second.resend);
  } else if (found != exceptions.end() && found->second.owed) {
    return send_owed(goal, hash, held, draft);
  } else if (held.resource && by_table() && keeps(*held.resource)) {
    exceptions[hash] = {.held = held.resource, .claimed = held.claimed};
    return true;
  } else if (held.resource && (delta_ || whole())) {
    Exception& exception = found != exceptions.end() ? found->second : exceptions[hash];
    const std::uint64_t since = exception.since ? exception.since : goal.step.update;
    send = since <= goal.removals_through;
    if (!send) {
      exception = {.held = held.resource, .claimed = held.claimed, .since = since};
      deferred_.push_back(hash);
      return true;
    }
  }
  if (send && !draft.fits(want)) {
    draft.full = true;
    if (found == exceptions.end()) exceptions.erase(hash);
    return false;
  }
  if (!want || !send) refusals_.erase(hash);  // it holds what it shall, or nothing
  if (!want && unasked_.erase(hash)) subscription_.names.erase(hash);
  exceptions.erase(hash);
  if (!send) return true;
  draft.add(hash, want, held);
  return true;
}

void Channel::remove(NameHash hash, const Held& held, Draft& draft) {
  refusals_.erase(hash);
  draft.add(hash, nullptr, held);
}

// A cluster is warming and waits for this, though neither is wanted any longer. It is sent, and
// then removed like any other.
bool Channel::send_owed(const Goal& goal, NameHash hash, const Held& held, Draft& draft) {
  Exception& exception = holding_.except(hash);  // and then removed, in its turn
  if (!draft.fits(&exception.owed)) {
    draft.full = true;
    return false;
  }
  draft.other.push_back(exception.owed);
  draft.add(hash, &draft.other.back(), held);
  const std::uint64_t since = exception.since ? exception.since : goal.step.update;
  exception = {.held = std::exchange(exception.owed, nullptr), .since = since};
  deferred_.push_back(hash);
  return true;
}

// Something is no longer wanted, but may still be needed.
bool Channel::removals_wait() {
  const auto waits = [&](NameHash hash) {
    const auto found = holding_.exceptions().find(hash);
    return found != holding_.exceptions().end() && found->second.since != 0;
  };
  while (!deferred_.empty() && !waits(deferred_.back())) deferred_.pop_back();
  return !deferred_.empty();
}

void Channel::draft_missing(const Target& target, Draft& draft) {
  while (!missing_.empty() && draft.room > 0) {
    const auto first = missing_.begin();
    missing_bytes_ -= first->second.size();
    if (delta_ && !target.find(first->first)) {
      draft.missing.push_back(std::move(first->second));
      --draft.room;
    }
    missing_.erase(first);
  }
  draft.full = draft.full || !missing_.empty();
}

Response Channel::write(Draft draft, const Goal& goal, const Target& target, std::uint64_t nonce) {
  Response response;
  response.type_url = type_url(type_);
  response.nonce = std::to_string(nonce);
  response.removed = std::move(draft.missing);
  if (whole()) {
    response.resources = compose(target);
  } else {
    response.resources.reserve(draft.sent.size());
    for (const auto& sent : draft.sent) {
      if (sent.now)
        response.resources.push_back(sent.now);
      else
        response.removed.push_back(sent.before.resource->name());
    }
  }
  if (!delta_) {
    response.removed.clear();
    response.version = version_of(response.resources);
  }
  std::size_t bytes = delta_ ? draft.bytes : 0;
  for (const auto& resource : delta_ ? std::span<const ResourcePtr* const>() : response.resources)
    bytes += (*resource)->sotw_frame().size();
  counts_.bytes += bytes;
  ++counts_.sent;
  due_ = false;
  last_nonce_ = response.nonce;
  const bool settles = !draft.full && !draft.trial;
  flight_ = Flight{.nonce = response.nonce,
                   .sent = std::move(draft.sent),
                   .other = std::move(draft.other),
                   .bytes = bytes,
                   .at = goal.now,
                   .step = goal.step,
                   .settles = settles,
                   .clears = settles && !draft.deferred,
                   .trial = draft.trial};
  return response;
}

// All that a state-of-the-world proxy shall hold: the target, but what it refused as it was before,
// and what is no longer wanted until nothing needs it.
std::vector<const ResourcePtr*> Channel::compose(const Target& target) const {
  const auto& exceptions = holding_.exceptions();
  std::vector<const ResourcePtr*> resources;
  for (const auto& layer : target.layers()) {
    for (const auto& resource : layer->all()) {
      const NameHash hash = resource->name_hash();
      if (!subscription_.covers(hash)) continue;
      const auto found = exceptions.find(hash);
      if (found == exceptions.end()) {
        resources.push_back(&resource);
      } else if (found->second.held && !found->second.claimed) {
        resources.push_back(&found->second.held);
      }
    }
  }
  for (const auto& [hash, exception] : exceptions) {
    if (exception.held && !exception.claimed && !target.find(hash))
      resources.push_back(&exception.held);
  }
  return resources;
}

}  // namespace graymesh::xds
