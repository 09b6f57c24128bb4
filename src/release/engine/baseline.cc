// Baselines follow what is declared: by a change of their own, phase by phase, or at once.
#include <fmt/core.h>

#include <algorithm>

#include "release/engine/core.h"

namespace graymesh::release {

bool Engine::Core::advance_change(const Application& app) {
  const std::string key = "application/" + to_string(app.name);
  const Application::Change& change = *app.change;
  Progress progress;
  World next = world_;
  Application& to = next.applications.at(app.name);
  const auto keep_as = [&](const char* what) {
    return keep(std::move(next), {act_of(engine_actor, "advance", app.name.namespace_,
                                         "application/" + app.name.name, {},
                                         fmt::format(R"({{"baseline":"{}"}})", what))});
  };
  if (change.phase == Application::Change::Phase::starting) {
    if (!all_ready(app.name, change.next, "", progress)) return false;
    to.change->phase = Application::Change::Phase::switching;
    to.change->since = parts_.clock.wall();
    return keep_as("switching");
  }
  const std::string what = fmt::format("switching {}", change.since.time_since_epoch().count());
  if (!has_acked(wait_for(key, what, change.since), progress)) return false;
  to.baseline = change.next;
  to.change.reset();
  waits_.erase(key);
  return keep_as("switched");
}

// What is declared becomes the baseline: more or fewer instances at once, another artefact by a
// change.
bool Engine::Core::follow_declared(const Application& app) {
  if (app.leaving) {
    const bool runs = std::any_of(instances_.begin(), instances_.end(), [&](const auto& instance) {
      const auto label = instance.labels.find("app");
      return instance.namespace_ == app.name.namespace_ && label != instance.labels.end() &&
             label->second == app.name.name;
    });
    if (runs) return false;
    World next = world_;
    next.applications.erase(app.name);
    return keep(std::move(next), {act_of(engine_actor, "forget", app.name.namespace_,
                                         "application/" + app.name.name)});
  }
  const bool other_run = run_hash(app.spec().run) != app.follows;
  const bool other_count = app.spec().replicas != app.baseline.replicas;
  if (!other_run && !other_count) return false;
  const bool promoting_now =
      std::any_of(world_.releases.begin(), world_.releases.end(), [&](const auto& entry) {
        const Release& release = entry.second;
        const Member* member = release.member(app.name.name);
        return !ended(release.phase) && release.name.namespace_ == app.name.namespace_ &&
               member != nullptr && member->baseline_revision != 0;
      });
  if (promoting_now) return false;
  World next = world_;
  Application& to = next.applications.at(app.name);
  to.baseline.replicas = app.spec().replicas;
  // What was promoted and is declared afterwards runs already.
  const bool runs_already = app.spec().run == app.baseline.run;
  if (other_run) to.follows = run_hash(app.spec().run);
  if (other_run && !runs_already) {
    to.change = Application::Change{.next = {.revision = ++to.last_revision,
                                             .replicas = app.spec().replicas,
                                             .run = app.spec().run},
                                    .phase = Application::Change::Phase::starting,
                                    .since = parts_.clock.wall()};
  }
  return keep(std::move(next), {act_of(engine_actor, "advance", app.name.namespace_,
                                       "application/" + app.name.name, {},
                                       other_run && !runs_already ? R"({"baseline":"starting"})"
                                       : other_run                ? R"({"baseline":"declared"})"
                                                                  : R"({"baseline":"scaled"})")});
}

}  // namespace graymesh::release
