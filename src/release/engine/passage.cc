// Beyond the end of a promotion: back behind it, and on to another environment.
//
// Back: instances of the former baseline's artefact come up, the subset `baseline` is switched to
// them, and when every proxy has ACKed that the promoted ones stop: a promotion the other way
// round. It is possible as long as what was promoted is still the baseline; a later promotion has
// to be rolled back first.
//
// On: what a release proved starts as a release of another environment, with the very same runs:
// when somebody asks for it, or by itself when it was promoted and its GrayRelease says where to.
#include <fmt/core.h>

#include <algorithm>

#include "release/engine/core.h"

namespace graymesh::release {
namespace {

Error failed(std::string message) { return {Code::failed_precondition, std::move(message)}; }

// "release 12 (web,cart/feature-a)".
std::string words_of(const Release& release) {
  std::string names;
  for (const Member& member : release.members)
    names += (names.empty() ? "" : ",") + member.application;
  return fmt::format("release {} ({}/{})", release.id, names, release.spec.tag);
}

// Who made the baseline of `app` what it is, after `release` did.
std::string changed_since(const World& world, const Release& release, const Application& app) {
  const std::string& name = app.name.name;
  for (auto it = world.releases.rbegin(); it != world.releases.rend(); ++it) {
    const Release& other = it->second;
    const Member* member = other.member(name);
    if (other.id == release.id || other.name.namespace_ != app.name.namespace_ || member == nullptr)
      continue;
    if (other.phase == Phase::promoted && member->baseline_revision == app.baseline.revision)
      return fmt::format("{} was promoted later: roll that back first", words_of(other));
  }
  return fmt::format("the baseline of {} was changed since, by another declared run",
                     to_string(app.name));
}

bool runs_everywhere(const Release& source, const auto& run_of) {
  return std::ranges::all_of(source.members, [&](const Member& member) {
    const model::Run* run = run_of(member.application);
    return run != nullptr && *run == member.gray.run;
  });
}

// Its artefacts are still what the environment runs.
bool is_baseline(const World& world, const Release& release) {
  return std::ranges::all_of(release.members, [&](const Member& member) {
    const auto app = world.applications.find({release.name.namespace_, member.application});
    return app != world.applications.end() &&
           app->second.baseline.revision == member.baseline_revision;
  });
}

// The GrayRelease of the environment that `release` goes on to by itself: as it was released.
model::ObjectPtr onward(const Release& release) {
  auto object = std::make_shared<model::Object>();
  object->meta.key = {model::Kind::gray_release, release.spec.promote_to, release.name.name};
  model::GrayRelease spec = release.spec;
  spec.promote_to.clear();
  for (const Member& member : release.members) {
    model::GrayApplication& app = spec.applications.emplace_back();
    app.name = member.application;
    app.replicas = member.gray.replicas;
  }
  object->spec = std::move(spec);
  return object;
}

std::string on_one_line(std::string text) {
  for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n'))
    text.replace(end, 1, "; ");
  return text;
}

}  // namespace

Status Engine::Core::may_return(const Release& release) const {
  for (const Member& member : release.members) {
    const Name name{release.name.namespace_, member.application};
    const auto refuse = [&](const std::string& why) {
      return failed(fmt::format("{} cannot be rolled back: {}", words_of(release), why));
    };
    const auto found = world_.applications.find(name);
    if (found == world_.applications.end() || found->second.leaving)
      return refuse(fmt::format("application {} is not there any more", to_string(name)));
    const Application& app = found->second;
    for (const auto& [id, other] : world_.releases) {
      const Member* same = other.member(member.application);
      if (id != release.id && !ended(other.phase) && other.name.namespace_ == name.namespace_ &&
          same != nullptr && same->baseline_revision != 0)
        return refuse(fmt::format("{} is just changing the baseline of {}", words_of(other),
                                  to_string(name)));
    }
    if (app.baseline.revision != member.baseline_revision)
      return refuse(changed_since(world_, release, app));
    if (app.change)
      return refuse(
          fmt::format("the baseline of {} is just becoming another declared run", to_string(name)));
    if (!member.old_baseline)
      return refuse(fmt::format("what {} ran before it is not known any more", to_string(name)));
  }
  return {};
}

// `release` is of `next`.
Status Engine::Core::give_back(Release& release, World& next) const {
  TRY(may_return(release));
  for (Member& member : release.members) {
    Application& app = next.applications.at({release.name.namespace_, member.application});
    member.back_revision = ++app.last_revision;
  }
  release.phase = Phase::back_baseline;
  release.over = {};
  return {};
}

// The former baseline is the baseline again. A promotion that had made it so is now that of its new
// revision, and may be rolled back in its turn.
void Engine::Core::settle_return(const Release& release, World& next) {
  for (const Member& member : release.members) {
    if (!member.old_baseline) continue;
    for (auto& [id, other] : next.releases) {
      if (other.name.namespace_ != release.name.namespace_ || other.phase != Phase::promoted)
        continue;
      for (Member& theirs : other.members) {
        if (theirs.application == member.application &&
            theirs.baseline_revision == member.old_baseline->revision)
          theirs.baseline_revision = member.back_revision;
      }
    }
  }
}

Status Engine::Core::may_go_on(const Release& release, const std::string& to) const {
  const std::string& from = release.name.namespace_;
  if (to == from)
    return Error{Code::invalid_argument,
                 fmt::format("{} is of {}: must go to another namespace", words_of(release), from)};
  if (const std::string fault = unproven(release); !fault.empty())
    return failed(fmt::format("{} is not proven in {}: {}", words_of(release), from, fault));
  const auto policy = world_.environments.find(from);
  if (policy != world_.environments.end()) {
    const std::string& only = policy->second.spec().promote_to;
    if (!only.empty() && only != to)
      return failed(fmt::format("Environment {}/{}: promoteTo is {}, so {} may not go to {}", from,
                                policy->second.object->meta.key.name, only, words_of(release), to));
  }
  for (const auto& [id, other] : world_.releases) {
    if (ended(other.phase) || rolling_back(other.phase) || other.name.namespace_ != to) continue;
    const auto run_of = [&other = other](const std::string& application) -> const model::Run* {
      const Member* member = other.member(application);
      return member == nullptr ? nullptr : &member->gray.run;
    };
    if (runs_everywhere(release, run_of))
      return Error{Code::already_exists, fmt::format("{} of {} runs what {} proved already",
                                                     words_of(other), to, words_of(release))};
  }
  const auto baseline_of = [&](const std::string& application) -> const model::Run* {
    const auto app = world_.applications.find({to, application});
    return app == world_.applications.end() ? nullptr : &app->second.baseline.run;
  };
  if (runs_everywhere(release, baseline_of))
    return Error{Code::already_exists, fmt::format("what {} proved is the baseline of {} already",
                                                   words_of(release), to)};
  return {};
}

Result<std::uint64_t> Engine::Core::promote_to(const Actor& who, std::uint64_t id,
                                               const model::ObjectPtr& object,
                                               const std::string& reason) {
  const auto found = world_.releases.find(id);
  if (found == world_.releases.end())
    return Error{Code::not_found, fmt::format("release {} is not there", id)};
  const Release& source = found->second;
  const std::string& to = object->meta.key.namespace_;
  TRY(may_go_on(source, to));
  const auto& wanted = object->as<model::GrayRelease>().applications;
  const bool whole = wanted.size() == source.members.size() &&
                     std::ranges::all_of(wanted, [&](const model::GrayApplication& app) {
                       return source.member(app.name) != nullptr;
                     });
  if (!whole)
    return Error{
        Code::invalid_argument,
        fmt::format("{} goes on with all of its applications or not at all", words_of(source))};
  TRY(frozen(to));
  World next = world_;
  Release release = TRY(planned(world_, who, object, &source, next));
  const std::uint64_t started = release.id;
  release.from = id;
  release.reason = reason;
  auto& passages = next.releases.at(id).promoted_to;
  std::erase_if(passages, [&](const Passage& passage) { return passage.namespace_ == to; });
  passages.push_back({.namespace_ = to, .release = started});
  const std::string from = source.name.namespace_;
  TRY(add_release(std::move(release), next));
  TRY(commit(std::move(next),
             {act_of(who, "promote", from, fmt::format("release/{}", id), reason,
                     fmt::format(R"({{"to":"{}","release":{}}})", to, started)),
              act_of(who, "start", to, fmt::format("release/{}", started), reason,
                     fmt::format(R"({{"from":"{}","release":{}}})", from, id))},
             started));
  refused_there_.erase(id);
  return started;
}

// The World that has the release there has also where it came from: it starts once, wherever the
// engine is killed. Whoever started the release here is who started it there, so that four eyes are
// another's. What is refused there (a freeze, a plan that does not hold) is tried again.
bool Engine::Core::go_on(const Release& release) {
  const std::string& to = release.spec.promote_to;
  if (!is_baseline(world_, release))
    return stay(release, "what it runs is not the baseline any more");
  const auto now = parts_.clock.wall();
  Refused refused = refused_there_[release.id];
  if (refused.why.empty() || now >= refused.again) {
    const Actor who{release.started_by.name, fmt::format("promoteTo of release {}", release.id)};
    const auto started = promote_to(who, release.id, onward(release), "");
    if (started) return true;
    if (started.error().code == Code::already_exists) return stay(release, started.error().message);
    refused = {on_one_line(started.error().message), now + refused_again};
    refused_there_[release.id] = refused;
  }
  progress_[release.id].waits_for = fmt::format("its release in {}: {}", to, refused.why);
  wake_at(refused.again);
  return false;
}

bool Engine::Core::stay(const Release& release, const std::string& why) {
  World next = world_;
  Release& to = next.releases.at(release.id);
  to.stays = true;
  to.reason = fmt::format("not released in {}: {}", to.spec.promote_to, why);
  refused_there_.erase(release.id);
  const Act act = act_of(engine_actor, "stay", to.name.namespace_,
                         fmt::format("release/{}", release.id), to.reason);
  return keep(std::move(next), {act});
}

}  // namespace graymesh::release
