// The part of Channel that makes the next response.
//
// First what is singular (newly subscribed, to be sent again, ready to be removed), then the names
// where the Config differs from what was told, as many as a response may carry. While a culprit is
// looked for, its suspects alone.
#include <algorithm>
#include <limits>
#include <utility>

#include "control/xds/channel.h"
#include "control/xds/version.h"

namespace graymesh::xds {
namespace {

using resource::ResourcePtr;

}  // namespace

struct Channel::Draft {
  std::size_t room;
  std::vector<Sent> sent{};
  std::vector<std::string> missing{};
  bool full = false;      // there was more than room for
  bool deferred = false;  // something is no longer wanted, but may still be needed
  bool trial = false;
};

bool Channel::idle(const Goal& goal) const {
  return !dirty_ && holding_.at(goal.step.config->of(type_)) &&
         (holding_.exceptions().empty() || removals_through_ == goal.removals_through);
}

std::optional<Response> Channel::take(const Goal& goal, const std::string& nonce) {
  if (!heard_ || flight_) return std::nullopt;
  if (idle(goal)) {
    settled_ = goal.step;
    if (clear_) cleared_ = goal.step;
    return std::nullopt;
  }
  const Target target(goal.step.config->of(type_), *diffs_);
  removals_through_ = goal.removals_through;
  Draft draft{.room =
                  delta_ ? limits_->chunk_resources_max : std::numeric_limits<std::size_t>::max()};
  draft_trial(target, draft);
  if (!draft.trial) {
    draft_exceptions(goal, target, draft);
    draft_changes(goal, target, draft);
    draft_missing(target, draft);
  }
  dirty_ = draft.full || draft.trial;
  clear_ = !draft.deferred;
  if (!draft.sent.empty() || !draft.missing.empty() || due_)
    return write(std::move(draft), goal, target, nonce);
  settled_ = goal.step;
  if (clear_) cleared_ = goal.step;
  return std::nullopt;
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
      if (!want || !subscription_.covers(hash)) continue;  // as any other exception
      draft.sent.push_back({hash, *want, {found->second.held, found->second.claimed}});
      exceptions.erase(found);
    }
  }
  draft.trial = !draft.sent.empty();
  if (draft.trial && trials_left_ > 0) --trials_left_;
}

void Channel::draft_exceptions(const Goal& goal, const Target& target, Draft& draft) {
  auto& exceptions = holding_.exceptions();
  for (auto at = exceptions.begin(); at != exceptions.end() && !draft.full;) {
    const auto here = at++;  // consider() may erase it
    if (!subscription_.covers(here->first)) {
      exceptions.erase(here);
    } else if (holding_.at(here->first, target)) {  // else it is met among the changes
      const Held held{here->second.held, here->second.claimed};
      consider(goal, here->first, target.find(here->first), held, draft);
    }
  }
}

void Channel::draft_changes(const Goal& goal, const Target& target, Draft& draft) {
  if (draft.full) return;
  const auto& exceptions = holding_.exceptions();
  holding_.advance(target, subscription_, [&](const Change& change) {
    const auto* want = change.to ? change.to : target.find(change.hash);
    if (want && !change.to) return true;  // moved to another layer, where it is met as new
    Held held{change.from ? *change.from : nullptr, false};
    if (const auto found = exceptions.find(change.hash); found != exceptions.end()) {
      held = {found->second.held, found->second.claimed};
    }
    return consider(goal, change.hash, want, held, draft);
  });
}

// Decides on one name. Afterwards its exception, if it needs one, is right for a base that is at
// the target. False, and nothing done: no room.
bool Channel::consider(const Goal& goal, NameHash hash, const ResourcePtr* want, const Held& held,
                       Draft& draft) {
  auto& exceptions = holding_.exceptions();
  const auto found = exceptions.find(hash);
  if (found != exceptions.end()) {
    const Exception& exception = found->second;
    if (exception.withheld) return true;
    if (want && exception.refused == (*want)->version()) return true;
  }
  bool send = false;
  if (want) {
    const bool same =
        held.resource && !held.claimed && held.resource->version() == (*want)->version();
    send = !same || (found != exceptions.end() && found->second.resend);
  } else if (found != exceptions.end() && found->second.owed) {
    return send_owed(goal, hash, held, draft);
  } else if (held.resource && (delta_ || whole())) {
    Exception& exception = found != exceptions.end() ? found->second : exceptions[hash];
    const std::uint64_t since = exception.since ? exception.since : goal.step.update;
    send = since <= goal.removals_through;
    if (!send) {
      exception = {.held = held.resource, .claimed = held.claimed, .since = since};
      draft.deferred = true;
      return true;
    }
  }
  if (send && draft.room == 0) {
    draft.full = true;
    if (found == exceptions.end()) exceptions.erase(hash);
    return false;
  }
  if (!want || !send) refusals_.erase(hash);  // it holds what it shall, or nothing
  if (!want && unasked_.erase(hash)) subscription_.names.erase(hash);
  exceptions.erase(hash);
  if (!send) return true;
  --draft.room;
  draft.sent.push_back({hash, want ? *want : nullptr, held});
  return true;
}

// A cluster is warming and waits for this, though neither is wanted any longer. It is sent, and
// then removed like any other.
bool Channel::send_owed(const Goal& goal, NameHash hash, const Held& held, Draft& draft) {
  if (draft.room == 0) {
    draft.full = true;
    return false;
  }
  Exception& exception = holding_.exceptions()[hash];
  --draft.room;
  draft.sent.push_back({hash, exception.owed, held});
  const std::uint64_t since = exception.since ? exception.since : goal.step.update;
  exception = {.held = std::exchange(exception.owed, nullptr), .since = since};
  draft.deferred = true;
  return true;
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

Response Channel::write(Draft draft, const Goal& goal, const Target& target,
                        const std::string& nonce) {
  Response response;
  response.type_url = type_url(type_);
  response.nonce = nonce;
  response.removed = std::move(draft.missing);
  if (whole()) {
    response.resources = compose(target);
  } else {
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
  for (const auto& resource : response.resources) {
    counts_.bytes += delta_ ? resource->delta_frame().size() : resource->sotw_frame().size();
  }
  ++counts_.sent;
  due_ = false;
  last_nonce_ = nonce;
  const bool settles = !draft.full && !draft.trial;
  flight_ = Flight{.nonce = nonce,
                   .sent = std::move(draft.sent),
                   .step = goal.step,
                   .settles = settles,
                   .clears = settles && !draft.deferred,
                   .trial = draft.trial};
  return response;
}

// All that a state-of-the-world proxy shall hold: the target, but what it refused as it was before,
// and what is no longer wanted until nothing needs it.
std::vector<ResourcePtr> Channel::compose(const Target& target) const {
  const auto& exceptions = holding_.exceptions();
  std::vector<ResourcePtr> resources;
  for (const auto& layer : target.layers()) {
    for (const auto& resource : layer->all()) {
      const NameHash hash =
          exceptions.empty() && subscription_.wildcard ? 0 : hash_of(resource->name());
      if (!subscription_.covers(hash)) continue;
      const auto found = exceptions.find(hash);
      if (found == exceptions.end()) {
        resources.push_back(resource);
      } else if (found->second.held && !found->second.claimed) {
        resources.push_back(found->second.held);
      }
    }
  }
  for (const auto& [hash, exception] : exceptions) {
    if (exception.held && !exception.claimed && !target.find(hash))
      resources.push_back(exception.held);
  }
  return resources;
}

}  // namespace graymesh::xds
