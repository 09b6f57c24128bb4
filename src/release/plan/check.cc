// Walks a release through every state that it would take the mesh through, and looks at each, and
// at each mix with the state before: while a change is on its way, some proxies have the old routes
// and some the new ones, and each may have the clusters of either.
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "release/plan/routing.h"

namespace graymesh::release {
namespace {

struct State {
  std::string name;  // "step 2 (weight 50)"
  World world;
};

std::string name_of_state(const Release& release, Phase phase, std::size_t step) {
  if (phase != Phase::step) return std::string(name_of(phase));
  return fmt::format("step {} (weight {})", step + 1, release.spec.steps[step].weight);
}

// The road up to promoted, and from each of its states back.
std::vector<State> road(const World& world, Release release) {
  std::vector<State> states = {{"before", world}};
  const auto add = [&](Phase phase, std::size_t step) {
    release.phase = phase;
    release.step = step;
    State state{name_of_state(release, phase, step), world};
    if (phase == Phase::promoted || phase == Phase::stopping) {
      for (const Member& member : release.members) {
        const auto app =
            state.world.applications.find({release.name.namespace_, member.application});
        if (app == state.world.applications.end()) continue;
        const std::uint32_t replicas = app->second.baseline.replicas;
        app->second.baseline = member.gray;
        app->second.baseline.revision = member.baseline_revision;
        app->second.baseline.replicas = replicas;
      }
    }
    state.world.releases[release.id] = release;
    states.push_back(std::move(state));
  };
  Phase phase = Phase::starting;
  for (;;) {
    if (phase == Phase::new_baseline) {
      std::uint32_t next = 1'000'000;  // any that no application has reached
      for (Member& member : release.members) {
        member.baseline_revision = ++next;
        member.back_revision = ++next;
        const auto app = world.applications.find({release.name.namespace_, member.application});
        if (app != world.applications.end()) member.old_baseline = app->second.baseline;
      }
    }
    if (phase == Phase::step) {
      for (std::size_t step = 0; step < release.spec.steps.size(); ++step) add(phase, step);
    } else {
      add(phase, release.step);
    }
    if (ended(phase)) break;
    release.step = release.spec.steps.empty() ? 0 : release.spec.steps.size() - 1;
    phase = after(release, phase);
    if (phase == Phase::routes) release.step = 0;
  }
  return states;
}

// Back from `from`, by `phase` first.
std::vector<State> road_back(const State& from, std::uint64_t id, Phase phase) {
  std::vector<State> states = {from};
  for (;;) {
    State state{fmt::format("{} from {}", name_of(phase), from.name), from.world};
    Release& release = state.world.releases[id];
    if (states.back().world.releases[id].phase == Phase::back_switching) {
      // What has been switched to is the baseline.
      for (const Member& member : release.members) {
        Application& app =
            state.world.applications.at({release.name.namespace_, member.application});
        app.baseline = coming_baseline(states.back().world.releases[id], member, app);
      }
    }
    release.phase = phase;
    states.push_back(std::move(state));
    if (ended(phase)) return states;
    phase = after(states.back().world.releases[id], phase);
  }
}

class Look {
 public:
  Look(const Release& release, std::vector<std::string>& problems)
      : release_(release), problems_(problems) {}

  // `routes` of one state with the clusters of another.
  void mix(const State& routes, const State& clusters, std::string_view how) {
    for (const Member& member : release_.members) {
      const Name name{release_.name.namespace_, member.application};
      const Routing want = routing(routes.world, routes.world.applications.at(name));
      const Routing have = routing(clusters.world, clusters.world.applications.at(name));
      std::set<std::string> subsets;
      for (const SubsetOf& subset : have.subsets) subsets.insert(subset.name);
      const auto expect = [&](const std::string& subset, const std::string& route) {
        if (!subset.empty() && !subsets.contains(subset))
          tell(fmt::format("at {}{}: route {} of {} leads to subset {}, which is not there",
                           routes.name, how, route, to_string(name), subset));
      };
      for (const Way& way : want.gateway) expect(way.to, way.name);
      for (const Way& way : want.mesh) expect(way.to, way.name);
      for (const Share& share : want.shares) expect(share.to, "default");
    }
  }

  void alone(const State& state) {
    std::map<std::pair<Name, std::string>, std::uint32_t>
        running;  // (application, subset+revision)
    for (const Group& group : groups(state.world))
      running[{{group.name.namespace_, group.application},
               fmt::format("{}@{}", group.tag.empty() ? baseline : std::string_view(group.tag),
                           group.artefact.revision)}] += group.artefact.replicas;
    for (const Member& member : release_.members) {
      const Name name{release_.name.namespace_, member.application};
      const Routing routes = routing(state.world, state.world.applications.at(name));
      look_at_subsets(state, name, routes, running);
      std::uint32_t sum = 0;
      for (const Share& share : routes.shares) sum += share.weight;
      if (sum != 100)
        tell(fmt::format("at {}: the weights of {} sum up to {}, not 100", state.name,
                         to_string(name), sum));
    }
    look_at_weights(state);
  }

 private:
  template <typename Running>
  void look_at_subsets(const State& state, const Name& name, const Routing& routes,
                       const Running& running) {
    for (const SubsetOf& subset : routes.subsets) {
      const auto found = running.find({name, fmt::format("{}@{}", subset.name, subset.revision)});
      const std::uint32_t replicas = found == running.end() ? 0 : found->second;
      if (subset.name == baseline) {
        const auto environment = state.world.environments.find(name.namespace_);
        const std::uint32_t least = environment == state.world.environments.end()
                                        ? 1
                                        : environment->second.spec().baseline_minimum;
        if (replicas < least)
          tell(fmt::format("at {}: the baseline of {} has {} instances, must have {} at least",
                           state.name, to_string(name), replicas, least));
      } else if (replicas == 0 && !subset.falls_back) {
        tell(fmt::format("at {}: subset {} of {} has no instance and no fallback", state.name,
                         subset.name, to_string(name)));
      }
    }
  }

  // What routing cuts off must not be asked for.
  void look_at_weights(const State& state) {
    for (const Member& member : release_.members) {
      std::map<std::string, std::uint32_t> by_tag;  // of several under one tag the newest counts
      for (const auto& [id, release] : state.world.releases) {
        if (release.name.namespace_ == release_.name.namespace_ &&
            release.member(member.application) != nullptr && shape(release).routes)
          by_tag[release.spec.tag] = shape(release).weight;
      }
      std::uint32_t sum = 0;
      for (const auto& [tag, weight] : by_tag) sum += weight;
      if (sum > 100)
        tell(fmt::format("at {}: gray versions of {}/{} would get {} % of its requests", state.name,
                         release_.name.namespace_, member.application, sum));
    }
  }

  void tell(std::string problem) {
    if (std::find(problems_.begin(), problems_.end(), problem) == problems_.end())
      problems_.push_back(std::move(problem));
  }

  const Release& release_;
  std::vector<std::string>& problems_;
};

void walk(const std::vector<State>& states, Look& look) {
  for (std::size_t i = 1; i < states.size(); ++i) {
    look.alone(states[i]);
    look.mix(states[i], states[i], "");
    look.mix(states[i - 1], states[i], ", with proxies on the new clusters");
    look.mix(states[i], states[i - 1], ", with proxies on the old clusters");
  }
}

}  // namespace

std::vector<std::string> check(const World& whole, const Release& release,
                               std::span<const model::ObjectPtr> team) {
  std::vector<std::string> problems;
  const std::string& where = release.name.namespace_;
  const World world = part(whole, where);  // of which every state has a copy
  for (const Member& member : release.members) {
    const auto app = world.applications.find({where, member.application});
    if (app == world.applications.end() || app->second.leaving)
      problems.push_back(fmt::format("application {}/{} is not known", where, member.application));
    else if (app->second.spec().gateway)
      problems.push_back(fmt::format("application {}/{} is a gateway, which has no gray versions",
                                     where, member.application));
  }
  const auto environment = world.environments.find(where);
  if (environment != world.environments.end()) {
    if (!environment->second.spec().lanes && release.spec.match.empty() &&
        release.spec.steps.empty())
      problems.push_back(fmt::format("lanes are not allowed in {}", where));
    const bool weighs = std::any_of(release.spec.steps.begin(), release.spec.steps.end(),
                                    [](const model::GrayStep& step) { return step.weight > 0; });
    if (!environment->second.spec().weights && weighs)
      problems.push_back(fmt::format("weights are not allowed in {}", where));
    const std::string& only = environment->second.spec().promote_to;
    const std::string& to = release.spec.promote_to;
    if (!only.empty() && !to.empty() && to != only)
      problems.push_back(
          fmt::format("Environment {}/{}: promoteTo is {}, so promoteTo may not be {}", where,
                      environment->second.object->meta.key.name, only, to));
  }
  for (const Member& member : release.members) {
    const std::string fault = not_from(whole, where, member.application, member.gray.run);
    if (!fault.empty()) problems.push_back(fault);
  }
  if (!problems.empty()) return problems;

  Look look(release, problems);
  const std::vector<State> states = road(world, release);
  walk(states, look);
  for (std::size_t i = 1; i < states.size(); ++i) {
    const Release& at = states[i].world.releases.at(release.id);
    if (at.phase == Phase::gray) {
      for (std::string& problem : hidden(states[i].world, at, team))
        problems.push_back(std::move(problem));
    }
    const bool behind = at.phase == Phase::stopping || at.phase == Phase::promoted;
    if (behind || !ended(at.phase))
      walk(road_back(states[i], release.id, behind ? Phase::back_baseline : back_from(at.phase)),
           look);
  }
  return problems;
}

}  // namespace graymesh::release
