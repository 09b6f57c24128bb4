// The life of a release: its phases, what is there in each, and which comes next.
#include <algorithm>
#include <array>
#include <iterator>

#include "release/plan/plan.h"

namespace graymesh::release {
namespace {

constexpr std::array<std::pair<Phase, std::string_view>, 18> names = {{
    {Phase::starting, "starting"},
    {Phase::subset, "subset"},
    {Phase::routes, "routes"},
    {Phase::step, "step"},
    {Phase::gray, "gray"},
    {Phase::new_baseline, "new-baseline"},
    {Phase::switching, "switching"},
    {Phase::unrouting, "unrouting"},
    {Phase::unsubsetting, "unsubsetting"},
    {Phase::stopping, "stopping"},
    {Phase::promoted, "promoted"},
    {Phase::back_routes, "back-routes"},
    {Phase::back_subset, "back-subset"},
    {Phase::back_baseline, "back-baseline"},
    {Phase::back_switching, "back-switching"},
    {Phase::back_stopping, "back-stopping"},
    {Phase::rolled_back, "rolled-back"},
    {Phase::superseded, "superseded"},
}};

bool has_new_baseline(const Release& release) {
  return std::any_of(release.members.begin(), release.members.end(),
                     [](const Member& member) { return member.baseline_revision != 0; });
}

}  // namespace

std::string_view name_of(Phase phase) {
  for (const auto& [known, name] : names) {
    if (known == phase) return name;
  }
  return "unknown";
}

std::optional<Phase> phase_named(std::string_view name) {
  for (const auto& [phase, known] : names) {
    if (known == name) return phase;
  }
  return std::nullopt;
}

bool ended(Phase phase) {
  return phase == Phase::promoted || phase == Phase::rolled_back || phase == Phase::superseded;
}

bool rolling_back(Phase phase) {
  return phase == Phase::back_routes || phase == Phase::back_subset || returning(phase) ||
         phase == Phase::back_stopping;
}

Phase back_from(Phase phase) {
  return phase == Phase::starting ? Phase::back_stopping : Phase::back_routes;
}

bool returning(Phase phase) {
  return phase == Phase::back_baseline || phase == Phase::back_switching;
}

bool promoting(Phase phase) { return phase >= Phase::new_baseline && phase <= Phase::stopping; }

Shape shape(const Release& release, Phase phase, std::size_t step) {
  const auto& steps = release.spec.steps;
  const std::uint32_t full = steps.empty() ? 0 : steps.back().weight;
  switch (phase) {
    case Phase::starting:
      return {.instances = true};
    case Phase::subset:
      return {.instances = true, .subset = true, .waits_for_acks = true};
    case Phase::routes:
      return {.instances = true, .subset = true, .routes = true, .waits_for_acks = true};
    case Phase::step:
      return {.instances = true,
              .subset = true,
              .routes = true,
              .weight = step < steps.size() ? steps[step].weight : full,
              .waits_for_acks = true};
    case Phase::gray:
      return {.instances = true, .subset = true, .routes = true, .weight = full};
    case Phase::new_baseline:
      return {
          .instances = true, .subset = true, .routes = true, .weight = full, .new_baseline = true};
    case Phase::switching:
      return {.instances = true,
              .subset = true,
              .routes = true,
              .weight = full,
              .new_baseline = true,
              .switched = true,
              .waits_for_acks = true};
    case Phase::unrouting:
      return {.instances = true,
              .subset = true,
              .new_baseline = true,
              .switched = true,
              .waits_for_acks = true};
    case Phase::unsubsetting:
      return {.instances = true, .new_baseline = true, .switched = true, .waits_for_acks = true};
    case Phase::stopping:
      return {.new_baseline = true, .switched = true};
    // The new baseline's instances stay until no proxy can know them.
    case Phase::back_routes:
      return {.instances = true,
              .subset = true,
              .new_baseline = has_new_baseline(release),
              .waits_for_acks = true};
    case Phase::back_subset:
      return {.instances = true, .new_baseline = has_new_baseline(release), .waits_for_acks = true};
    case Phase::back_baseline:
      return {.new_baseline = true};
    case Phase::back_switching:
      return {.new_baseline = true, .switched = true, .waits_for_acks = true};
    case Phase::back_stopping:
    case Phase::promoted:
    case Phase::rolled_back:
    case Phase::superseded:
      return {};
  }
  return {};
}

Phase after(const Release& release, Phase phase) {
  switch (phase) {
    case Phase::starting:
      return Phase::subset;
    case Phase::subset:
      return Phase::routes;
    case Phase::routes:
      return release.spec.steps.empty() ? Phase::gray : Phase::step;
    case Phase::step:
      return release.step + 1 < release.spec.steps.size() ? Phase::step : Phase::gray;
    case Phase::gray:
      return Phase::new_baseline;
    case Phase::new_baseline:
      return Phase::switching;
    case Phase::switching:
      return Phase::unrouting;
    case Phase::unrouting:
      return Phase::unsubsetting;
    case Phase::unsubsetting:
      return Phase::stopping;
    case Phase::stopping:
      return Phase::promoted;
    case Phase::back_routes:
      return Phase::back_subset;
    case Phase::back_subset:
      return Phase::back_stopping;
    case Phase::back_baseline:
      return Phase::back_switching;
    case Phase::back_switching:
      return Phase::back_stopping;
    case Phase::back_stopping:
      return Phase::rolled_back;
    case Phase::promoted:
    case Phase::rolled_back:
    case Phase::superseded:
      return phase;
  }
  return phase;
}

std::string to_string(const Name& name) { return name.namespace_ + "/" + name.name; }

const Member* Release::member(std::string_view application) const {
  for (const Member& member : members) {
    if (member.application == application) return &member;
  }
  return nullptr;
}

const Release* World::active(const Name& application, std::string_view tag) const {
  for (auto it = releases.rbegin(); it != releases.rend(); ++it) {
    const Release& release = it->second;
    if (!ended(release.phase) && release.spec.tag == tag &&
        release.name.namespace_ == application.namespace_ &&
        release.member(application.name) != nullptr)
      return &release;
  }
  return nullptr;
}

model::Run merged(const model::Run& base, const model::Run& over) {
  model::Run run = base;
  if (!over.version.empty()) run.version = over.version;
  if (!over.command.empty()) run.command = over.command;
  for (const auto& [name, value] : over.environment) run.environment[name] = value;
  if (!over.directory.empty()) run.directory = over.directory;
  if (over.memory_bytes != 0) run.memory_bytes = over.memory_bytes;
  if (over.cpus != 0) run.cpus = over.cpus;
  return run;
}

Artefact coming_baseline(const Release& release, const Member& member, const Application& app) {
  const bool back = returning(release.phase) && member.old_baseline;
  Artefact next = back ? *member.old_baseline : member.gray;
  next.revision = back ? member.back_revision : member.baseline_revision;
  next.replicas = app.baseline.replicas;
  return next;
}

World part(const World& world, const std::string& namespace_) {
  World out;
  const auto is_of = [&](const auto& entry) { return entry.second.name.namespace_ == namespace_; };
  const auto copy = [&](const auto& from, auto& to) {
    for (auto it = from.lower_bound({namespace_, ""}); it != from.end() && is_of(*it); ++it)
      to.insert(to.end(), *it);
  };
  copy(world.applications, out.applications);
  copy(world.lanes, out.lanes);
  std::copy_if(world.releases.begin(), world.releases.end(),
               std::inserter(out.releases, out.releases.end()), is_of);
  if (const auto found = world.environments.find(namespace_); found != world.environments.end())
    out.environments.insert(*found);
  return out;
}

std::vector<Group> groups(const World& world) {
  std::map<Name, Group> found;
  const auto add = [&](const Application& app, const std::string& tag, const Artefact& artefact) {
    Group group;
    group.application = app.name.name;
    group.tag = tag;
    group.artefact = artefact;
    group.name = {app.name.namespace_, app.name.name + "-" + (tag.empty() ? "baseline" : tag) +
                                           "-" + std::to_string(artefact.revision)};
    group.labels = app.object->meta.labels;
    group.labels["app"] = app.name.name;
    group.labels["stage"] = tag.empty() ? "normal" : "gray";
    if (!tag.empty()) group.labels[std::string(lane_header)] = tag;
    if (!artefact.run.version.empty()) group.labels["version"] = artefact.run.version;
    group.labels["graymesh.io/revision"] = std::to_string(artefact.revision);
    found.emplace(group.name, std::move(group));
  };
  for (const auto& [name, app] : world.applications) {
    if (app.leaving) continue;
    add(app, {}, app.baseline);
    if (app.change) add(app, {}, app.change->next);
  }
  for (const auto& [id, release] : world.releases) {
    const Shape now = shape(release);
    for (const Member& member : release.members) {
      const auto app = world.applications.find({release.name.namespace_, member.application});
      if (app == world.applications.end() || app->second.leaving) continue;
      if (now.instances) add(app->second, release.spec.tag, member.gray);
      if (now.new_baseline && member.baseline_revision != 0) {
        add(app->second, {}, coming_baseline(release, member, app->second));
      }
    }
  }
  std::vector<Group> all;
  all.reserve(found.size());
  for (auto& [name, group] : found) all.push_back(std::move(group));
  return all;
}

}  // namespace graymesh::release
