// The next step: each function looks at one thing, makes one change at most, and says whether it
// did. A change is in the store before anything follows from it.
#include <fmt/core.h>

#include <algorithm>

#include "release/engine/core.h"

namespace graymesh::release {
namespace {

double millis(std::chrono::nanoseconds span) {
  return std::chrono::duration<double, std::milli>(span).count();
}

// Its artefact is a baseline now, so it may be asked for back.
bool made_a_baseline(const World& world, const Release& release) {
  return release.phase == Phase::promoted &&
         std::any_of(release.members.begin(), release.members.end(), [&](const Member& member) {
           const auto app = world.applications.find({release.name.namespace_, member.application});
           return app != world.applications.end() &&
                  app->second.baseline.revision == member.baseline_revision;
         });
}

std::string object_of(const Release& release) { return fmt::format("release/{}", release.id); }

// What a phase's ACKs prove, and where its receipt is kept.
std::string receipt_key(const Release& release) {
  if (release.phase == Phase::step) return fmt::format("step-{}", release.step + 1);
  if (release.phase == Phase::back_routes || release.phase == Phase::back_switching)
    return "rollback";
  if (release.phase == Phase::unrouting) return "promote";
  return std::string(name_of(release.phase));
}

Receipt receipt_of(std::string what, const Wait& wait, const Progress& progress,
                   const std::vector<Mesh::Proxy>& proxies, Clock::Wall now) {
  Receipt out;
  out.what = std::move(what);
  out.proxies = progress.proxies;
  out.acked = progress.acked;
  out.missing = progress.missing;
  out.at = now;
  for (const auto& proxy : proxies) {
    const auto& missing = out.missing;
    if (proxy.refuses && std::find(missing.begin(), missing.end(), proxy.id) != missing.end())
      out.refused.push_back(proxy.id);
  }
  std::vector<std::pair<double, const std::string*>> taken;
  for (const auto& [id, at] : wait.reached)
    taken.emplace_back(std::max(0.0, millis(at - wait.begun)), &id);
  if (taken.empty()) return out;
  std::sort(taken.begin(), taken.end());
  const auto at_share = [&](std::size_t percent) {
    return taken[(taken.size() * percent + 99) / 100 - 1].first;
  };
  out.p50_ms = at_share(50);
  out.p99_ms = at_share(99);
  out.last_ms = taken.back().first;
  out.last = *taken.back().second;
  return out;
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

Wait& Engine::Core::wait_for(const std::string& key, const std::string& what, Clock::Wall since) {
  Wait& wait = waits_[key];
  if (wait.what != what) {
    wait = {.what = what,
            .revision = revision_,
            .begun = written_at_ >= since ? written_at_ : parts_.clock.wall(),
            .reached = {}};
  }
  return wait;
}

bool Engine::Core::has_acked(Wait& wait, Progress& progress) const {
  progress.waiting = true;
  std::set<std::string> connected;
  for (const auto& proxy : proxies_) {
    connected.insert(proxy.address);
    if (isolated_.contains(proxy.address)) continue;
    ++progress.proxies;
    if (proxy.reached >= wait.revision) {
      wait.reached.try_emplace(proxy.id, std::max(proxy.at, wait.begun));
      ++progress.acked;
    } else {
      progress.missing.push_back(proxy.id);
    }
  }
  // A ready instance whose proxy has lost us goes on by what it knew.
  for (const auto& instance : instances_) {
    if (instance.phase != workload::Instance::Phase::ready ||
        connected.contains(instance.address) || isolated_.contains(instance.address))
      continue;
    ++progress.proxies;
    progress.missing.push_back(
        fmt::format("{}.{} (not connected)", instance.name, instance.namespace_));
  }
  return progress.missing.empty();
}

// The receipt of what `release` waits for, once it is there.
std::optional<Receipt> Engine::Core::acked(const Release& release, const std::string& what) {
  const std::string key = object_of(release);
  const std::string phase = fmt::format("{} {} {}", name_of(release.phase), release.step,
                                        release.since.time_since_epoch().count());
  Wait& wait = wait_for(key, phase, release.since);
  Progress& progress = progress_[release.id];
  const auto now = parts_.clock.wall();
  if (has_acked(wait, progress)) return receipt_of(what, wait, progress, proxies_, now);

  const auto patience = release.spec.laggards_after.value_or(laggards_after_default);
  const auto until = wait.begun + std::chrono::duration_cast<Clock::Wall::duration>(patience);
  progress.waits_for = fmt::format("{} of {} proxies have ACKed", progress.acked, progress.proxies);
  if (now < until) {
    wake_at(until);
    return std::nullopt;
  }
  using Laggards = model::GrayRelease::Laggards;
  if (release.spec.laggards == Laggards::go_on)
    return receipt_of(what, wait, progress, proxies_, now);
  if (release.spec.laggards == Laggards::isolate) {
    bool more = false;
    for (const auto& instance : instances_) {
      const auto proxy = std::find_if(proxies_.begin(), proxies_.end(), [&](const auto& it) {
        return it.address == instance.address;
      });
      const bool behind = proxy == proxies_.end() || proxy->reached < wait.revision;
      if (behind && instance.phase == workload::Instance::Phase::ready)
        more |= isolated_.insert(instance.address).second;
    }
    looks_same_ = looks_same_ && !more;
    // Without them once more, from now on: their going is a change of its own.
    if (more) waits_.erase(key);
    if (more) wake_at(now);
  }
  return std::nullopt;
}

bool Engine::Core::all_ready(const Name& application, const Artefact& artefact,
                             const std::string& tag, Progress& progress) const {
  const std::string group =
      fmt::format("{}-{}-{}", application.name, tag.empty() ? "baseline" : tag, artefact.revision);
  std::uint32_t ready = 0;
  std::string message;
  for (const auto& instance : instances_) {
    if (instance.namespace_ != application.namespace_ || instance.group != group) continue;
    if (instance.phase == workload::Instance::Phase::ready)
      ++ready;
    else if (!instance.message.empty())
      message = fmt::format("{}: {}", instance.name, instance.message);
  }
  if (ready >= artefact.replicas) return true;
  progress.waits_for =
      fmt::format("{} of {} instances of {} are ready", ready, artefact.replicas, group);
  if (!message.empty()) progress.waits_for += "; " + message;
  return false;
}

bool Engine::Core::keep(World next, std::vector<Act> acts) {
  const Status kept = commit(std::move(next), std::move(acts));
  if (!kept) trouble_ = kept.error().message;
  return kept.has_value();
}

bool Engine::Core::move(const Release& release, Phase phase, const std::string& why) {
  const std::string key = object_of(release);  // `release` is not there any more after commit()
  World next = world_;
  Release& to = next.releases.at(release.id);
  to.step = to.phase == Phase::step && phase == Phase::step ? to.step + 1
            : phase == Phase::step                          ? 0
                                                            : to.step;
  const Phase was = to.phase;
  to.phase = phase;
  to.since = parts_.clock.wall();
  to.approvals.clear();
  if (!why.empty()) to.reason = why;
  if (ended(phase)) to.over = to.since;
  if (was == Phase::back_baseline && phase == Phase::promoted)
    to.over = to.receipts.at("promote").at;  // as if nobody had asked for it back
  if (phase == Phase::new_baseline) {
    for (Member& member : to.members) {
      Application& app = next.applications.at({to.name.namespace_, member.application});
      member.baseline_revision = ++app.last_revision;
      member.old_baseline = app.baseline;
    }
  }
  if (phase == Phase::stopping || was == Phase::back_switching) {
    for (const Member& member : to.members) {
      Application& app = next.applications.at({to.name.namespace_, member.application});
      app.baseline = coming_baseline(release, member, app);
    }
  }
  if (was == Phase::back_switching) settle_return(to, next);
  std::string detail = fmt::format(R"("phase":"{}")", name_of(phase));
  if (ended(phase)) {
    // Figures are of what the log tells, since releases that are over are forgotten one day.
    const auto app =
        world_.applications.find({release.name.namespace_, release.members.at(0).application});
    detail += fmt::format(
        R"(,"started_ms":{},"team":"{}")",
        std::chrono::duration_cast<std::chrono::milliseconds>(release.started.time_since_epoch())
            .count(),
        app == world_.applications.end() ? "" : app->second.spec().team);
  }
  const bool kept = keep(std::move(next), {act_of(engine_actor, "advance", release.name.namespace_,
                                                  key, why, "{" + detail + "}")});
  if (kept) waits_.erase(key);
  return kept;
}

bool Engine::Core::keep_receipt(const Release& release, const std::string& key,
                                const Receipt& receipt) {
  World next = world_;
  next.releases.at(release.id).receipts[key] = receipt;
  return keep(std::move(next), {});
}

bool Engine::Core::advance(const Release& release) {
  Progress& progress = progress_[release.id];
  if (release.held && release.phase < Phase::switching) {
    progress.waits_for = "paused";
    return false;
  }
  if (shape(release).waits_for_acks) {
    const std::string key = receipt_key(release);
    if (!release.receipts.contains(key) || release.receipts.at(key).at < release.since) {
      const auto receipt = acked(release, key);
      return receipt && keep_receipt(release, key, *receipt);
    }
  }
  switch (release.phase) {
    case Phase::starting:
    case Phase::new_baseline:
    case Phase::back_baseline:
      return come_up(release);
    case Phase::routes:
      for (const auto& [id, other] : world_.releases) {
        const bool same =
            id < release.id && !ended(other.phase) && !returning(other.phase) &&
            other.spec.tag == release.spec.tag &&
            other.name.namespace_ == release.name.namespace_ &&
            std::any_of(other.members.begin(), other.members.end(),
                        [&](const Member& m) { return release.member(m.application) != nullptr; });
        if (same)
          return move(other, Phase::superseded,
                      fmt::format("superseded by release {}", release.id));
      }
      return move(release, after(release, release.phase));
    case Phase::step: {
      if (release.promote_asked) return move(release, Phase::gray);
      const auto next = after_step(release);
      return next && move(release, next->first, next->second);
    }
    case Phase::gray:
      return promotes(release) && move(release, Phase::new_baseline);
    default:
      return move(release, after(release, release.phase));
    case Phase::promoted:
    case Phase::rolled_back:
    case Phase::superseded:
      return false;
  }
}

bool Engine::Core::come_up(const Release& release) {
  Progress& progress = progress_[release.id];
  const bool gray = release.phase == Phase::starting;
  bool ready = true;
  for (const Member& member : release.members) {
    const Name name{release.name.namespace_, member.application};
    const Artefact wanted =
        gray ? member.gray : coming_baseline(release, member, world_.applications.at(name));
    ready = ready && all_ready(name, wanted, gray ? release.spec.tag : "", progress);
  }
  if (ready) return move(release, after(release, release.phase));
  const auto within = release.spec.ready_within.value_or(ready_within_default);
  const auto until = release.since + std::chrono::duration_cast<Clock::Wall::duration>(within);
  if (parts_.clock.wall() < until) {
    wake_at(until);
    return false;
  }
  const std::string late = fmt::format(
      "not ready within {} s: {}", std::chrono::duration_cast<std::chrono::seconds>(within).count(),
      progress.waits_for);
  // What would come back does not come up: no proxy knows of it yet, and what was promoted stays.
  if (release.phase == Phase::back_baseline)
    return move(release, Phase::promoted, "not rolled back: " + late);
  return move(release, Phase::back_routes, "rolled back: " + late);
}

std::optional<std::pair<Phase, std::string>> Engine::Core::after_step(const Release& release) {
  Progress& progress = progress_[release.id];
  const model::GrayStep& step = release.spec.steps.at(release.step);
  std::string why;
  if (step.judged()) {
    // First, so that what is unhealthy goes back also while its step waits for something else.
    const Judge::Word word = parts_.judge.verdict(release, step);
    if (word.verdict == Judge::Verdict::unhealthy)
      return std::pair(Phase::back_routes, "rolled back: unhealthy: " + word.why);
    // A person may go on without one.
    const bool overruled = !step.approval && !release.approvals.empty();
    if (word.verdict == Judge::Verdict::not_yet && !overruled) {
      progress.waits_for = fmt::format(
          "the verdict of {}{}{}",
          step.analysis ? fmt::format("step {} (weight {})", release.step + 1, step.weight)
                        : step.hook,
          word.why.empty() ? "" : ": ", word.why);
      wake_at(parts_.clock.wall() + verdict_every);
      return std::nullopt;
    }
    if (step.analysis) why = word.why;
  }
  if (step.approval && release.approvals.empty()) {
    progress.waits_for =
        fmt::format("approval of step {} (weight {})", release.step + 1, step.weight);
    return std::nullopt;
  }
  if (step.pause) {
    const auto until = release.receipts.at(receipt_key(release)).at +
                       std::chrono::duration_cast<Clock::Wall::duration>(*step.pause);
    if (parts_.clock.wall() < until) {
      progress.waits_for = fmt::format("step {} (weight {}) for {:.1f} s more", release.step + 1,
                                       step.weight, millis(until - parts_.clock.wall()) / 1000);
      wake_at(until);
      return std::nullopt;
    }
  }
  return std::pair(after(release, Phase::step), why);
}

bool Engine::Core::promotes(const Release& release) {
  Progress& progress = progress_[release.id];
  if (!release.spec.promote && !release.promote_asked) {
    progress.waits_for = "promote or rollback";
    return false;
  }
  const model::Environment* policy = environment(release.name.namespace_);
  const std::size_t needed = policy == nullptr ? 0 : policy->approvals;
  if (release.approvals.size() < needed) {
    progress.waits_for =
        fmt::format("approval of its promotion: {} of {}", release.approvals.size(), needed);
    return false;
  }
  if (const Status open = frozen(release.name.namespace_); !open) {
    progress.waits_for = open.error().message;
    wake_at(parts_.clock.wall() + std::chrono::minutes(1));
    return false;
  }
  for (const Member& member : release.members) {
    const Name name{release.name.namespace_, member.application};
    if (world_.applications.at(name).change) {
      progress.waits_for = fmt::format("the change of {}'s baseline", to_string(name));
      return false;
    }
    for (const auto& [id, other] : world_.releases) {
      const Member* same = other.member(member.application);
      if (id != release.id && !ended(other.phase) && other.name.namespace_ == name.namespace_ &&
          same != nullptr && same->baseline_revision != 0) {
        progress.waits_for =
            fmt::format("release {}, which changes {}'s baseline", id, to_string(name));
        return false;
      }
    }
  }
  return true;
}

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
    return move(release, Phase::back_routes, why);
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
