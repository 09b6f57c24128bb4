// A release from one phase to the next, or back.
#include <fmt/core.h>

#include <algorithm>

#include "release/engine/core.h"

namespace graymesh::release {
namespace {

// What a phase's ACKs prove, and where its receipt is kept.
std::string receipt_key(const Release& release) {
  if (release.phase == Phase::step) return fmt::format("step-{}", release.step + 1);
  if (release.phase == Phase::back_routes || release.phase == Phase::back_switching)
    return "rollback";
  if (release.phase == Phase::unrouting) return "promote";
  return std::string(name_of(release.phase));
}

}  // namespace

bool Engine::Core::move(const Release& release, Phase phase, const std::string& why) {
  const std::string key = waits_key(release);  // `release` is not there any more after commit()
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
  return move(release, back_from(release.phase), "rolled back: " + late);
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
                                       step.weight, Seconds(until - parts_.clock.wall()).count());
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

}  // namespace graymesh::release
