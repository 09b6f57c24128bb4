// The next step: each function looks at one thing, makes one change at most, and says whether it
// did. A change is in the store before anything follows from it. Here is the order of looking, and
// what is left behind when something is over; releases are in advance.cc, baselines in baseline.cc,
// what they wait for in acks.cc.
#include <algorithm>

#include "release/engine/core.h"

namespace graymesh::release {
namespace {

// Its artefact is a baseline now, so it may be asked for back.
bool made_a_baseline(const World& world, const Release& release) {
  return release.phase == Phase::promoted &&
         std::any_of(release.members.begin(), release.members.end(), [&](const Member& member) {
           const auto app = world.applications.find({release.name.namespace_, member.application});
           return app != world.applications.end() &&
                  app->second.baseline.revision == member.baseline_revision;
         });
}

}  // namespace

bool Engine::Core::decide() {
  progress_.clear();
  const auto each = [&](bool back) {
    for (const auto& [id, release] : world_.releases) {
      if (!ended(release.phase) && rolling_back(release.phase) == back && advance(release))
        return true;
    }
    return false;
  };
  // Rollbacks before everything else.
  if (each(true) || each(false)) return true;
  for (const auto& [id, release] : world_.releases) {
    if (goes_on(release) && go_on(release)) return true;
  }
  for (const auto& [name, app] : world_.applications) {
    if (app.change ? advance_change(app) : follow_declared(app)) return true;
  }
  if (note_used()) return true;
  unmeasured_.clear();
  for (const auto& [name, lane] : world_.lanes) {
    if (reclaim(lane)) return true;
  }
  return forget();
}

bool Engine::Core::keep(World next, std::vector<Act> acts) {
  const Status kept = commit(std::move(next), std::move(acts));
  if (!kept) trouble_ = kept.error().message;
  return kept.has_value();
}

bool Engine::Core::reclaim(const Lane& lane) {
  const model::Environment* policy = environment(lane.name.namespace_);
  auto life = lane.spec.time_to_live;
  if (!life && policy != nullptr) life = policy->lane_time_to_live;
  bool over = lane.leaving;
  if (life && !over) {
    const auto until = lane.created + std::chrono::duration_cast<Clock::Wall::duration>(*life);
    over = parts_.clock.wall() >= until;
    if (!over) wake_at(until);
  }
  std::string why = lane.leaving ? "its lane was deleted" : "its lane's time is over";
  if (const auto idle = idle_max(lane); idle && !over) {
    if (const auto since = idle_since(lane)) {
      const auto until = *since + std::chrono::duration_cast<Clock::Wall::duration>(*idle);
      over = parts_.clock.wall() >= until;
      if (over) why = "its lane was not used any more";
      if (!over) wake_at(until);
    }
  }
  if (!over) return false;
  for (const auto& [id, release] : world_.releases) {
    if (ended(release.phase) || release.spec.tag != lane.name.name ||
        release.name.namespace_ != lane.name.namespace_)
      continue;
    if (rolling_back(release.phase) || release.phase == Phase::stopping) return false;
    return move(release, back_from(release.phase), why);
  }
  if (lane.declared && !lane.leaving) return false;  // its file may give it more time
  World next = world_;
  next.lanes.erase(lane.name);
  return keep(std::move(next),
              {act_of(engine_actor, "reclaim", lane.name.namespace_, "lane/" + lane.name.name)});
}

bool Engine::Core::forget() {
  std::size_t over = 0;
  for (const auto& [id, release] : world_.releases) over += ended(release.phase) ? 1 : 0;
  if (over <= over_kept_max + over_kept_max / 10) return false;
  World next = world_;
  bool any = false;
  for (auto it = next.releases.begin(); it != next.releases.end() && over > over_kept_max;) {
    const bool old = ended(it->second.phase) && !made_a_baseline(next, it->second);
    it = old ? next.releases.erase(it) : std::next(it);
    over -= old ? 1 : 0;
    any |= old;
  }
  return any && keep(std::move(next), {});
}

}  // namespace graymesh::release
