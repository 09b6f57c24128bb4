// What people ask for, and files (declare.cc). Everything is checked before anything is changed.
#include <fmt/core.h>

#include <algorithm>

#include "release/engine/core.h"

namespace graymesh::release {
namespace {

Error failed(std::string message) { return {Code::failed_precondition, std::move(message)}; }

std::string lines_of(const std::vector<std::string>& lines) {
  std::string out;
  for (const auto& line : lines) out += (out.empty() ? "" : "\n") + line;
  return out;
}

// "release/12", "application/web": of the audit log.
std::string object_of(const model::Key& key) {
  std::string kind(model::name_of(key.kind));
  std::transform(kind.begin(), kind.end(), kind.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return kind + "/" + key.name;
}

// What a verb would have made of a release: "web/v2 cannot be paused".
std::string_view done_by(Verb verb) {
  switch (verb) {
    case Verb::approve:
      return "approved";
    case Verb::promote:
      return "promoted";
    case Verb::pause:
      return "paused";
    case Verb::resume:
      return "resumed";
    case Verb::rollback:
      return "rolled back";
  }
  return "changed";
}

// "it is over (rolled-back)", "it is being promoted (switching)".
std::string standing_of(const Release& release) {
  const char* how = ended(release.phase)          ? "over"
                    : rolling_back(release.phase) ? "being rolled back"
                    : promoting(release.phase)    ? "being promoted"
                                                  : "under way";
  return fmt::format("it is {} ({})", how, name_of(release.phase));
}

}  // namespace

std::string_view name_of(Verb verb) {
  switch (verb) {
    case Verb::approve:
      return "approve";
    case Verb::promote:
      return "promote";
    case Verb::pause:
      return "pause";
    case Verb::resume:
      return "resume";
    case Verb::rollback:
      return "rollback";
  }
  return "unknown";
}

Status Engine::Core::frozen(const std::string& namespace_) const {
  const model::Environment* policy = environment(namespace_);
  if (policy == nullptr) return {};
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(parts_.clock.wall().time_since_epoch())
          .count();
  for (const auto& freeze : policy->freezes) {
    if (now >= freeze.from && now < freeze.to)
      return failed(fmt::format("{} is frozen for {} s more: {}", namespace_, freeze.to - now,
                                freeze.reason.empty() ? "no reason given" : freeze.reason));
  }
  return {};
}

Status Engine::Core::apply_application(const Actor&, const model::ObjectPtr& object, bool declared,
                                       World& next) const {
  const Name name{object->meta.key.namespace_, object->meta.key.name};
  const auto& spec = object->as<model::Application>();
  if (const auto policy = next.environments.find(name.namespace_);
      policy != next.environments.end() && spec.replicas < policy->second.spec().baseline_minimum)
    return failed(fmt::format(
        "{}: replicas {}, must be {} at least: Environment {}/{}: baseline.minimum",
        model::to_string(object->meta.key), spec.replicas, policy->second.spec().baseline_minimum,
        name.namespace_, policy->second.object->meta.key.name));
  const auto known = next.applications.find(name);
  if (known == next.applications.end()) {
    Application app;
    app.name = name;
    app.object = object;
    app.number = ++next.last_number;
    app.last_revision = 1;
    app.baseline = {.revision = 1, .replicas = app.spec().replicas, .run = app.spec().run};
    app.follows = run_hash(app.spec().run);
    app.declared = declared;
    next.applications.emplace(name, std::move(app));
    return {};
  }
  if (known->second.leaving)
    return failed(
        fmt::format("application {} is just going; wait until it is gone", to_string(name)));
  const model::Run& run = spec.run;
  // What runs there already is not asked again where it came from.
  if (run_hash(run) != known->second.follows && run != known->second.baseline.run) {
    TRY(frozen(name.namespace_));
    const std::string fault = not_from(next, name.namespace_, name.name, run);
    if (!fault.empty()) return failed(fault);
  }
  known->second.object = object;
  known->second.declared = declared;
  return {};
}

Status Engine::Core::apply_environment(const model::ObjectPtr& object, bool declared,
                                       World& next) const {
  const model::Key& key = object->meta.key;
  const auto known = next.environments.find(key.namespace_);
  if (known != next.environments.end() && known->second.object->meta.key.name != key.name)
    return failed(fmt::format("namespace {} has the Environment {} already", key.namespace_,
                              known->second.object->meta.key.name));
  if (object->as<model::Environment>().promote_to == key.namespace_)
    return failed(fmt::format("{}: promoteTo {}, must be another namespace", model::to_string(key),
                              key.namespace_));
  next.environments[key.namespace_] = {object, declared};
  return {};
}

// With the lane that it belongs to.
Status Engine::Core::add_release(Release release, World& next) const {
  if (release.spec.match.empty()) {
    const Name name{release.name.namespace_, release.spec.tag};
    Lane& lane = next.lanes[name];
    if (lane.name != name) {
      lane.name = name;
      lane.spec.owner = release.started_by.name;
      lane.created_by = release.started_by;
      lane.created = parts_.clock.wall();
    }
    if (lane.leaving)
      return failed(fmt::format("lane {} is just going; wait until it is gone", to_string(name)));
    lane.used = parts_.clock.wall();
  }
  const std::uint64_t id = release.id;
  next.releases.emplace(id, std::move(release));
  return {};
}

Result<Release> Engine::Core::planned(const World& world, const Actor& who,
                                      const model::ObjectPtr& object, const Release* source,
                                      World& next) const {
  const auto& spec = object->as<model::GrayRelease>();
  Release release;
  release.id = ++next.last_release;
  release.name = {object->meta.key.namespace_, object->meta.key.name};
  release.spec = spec;
  release.spec.applications.clear();
  release.content = object->meta.content;
  release.started_by = who;
  release.started = release.since = parts_.clock.wall();
  for (const auto& wanted : spec.applications) {
    Member member;
    member.application = wanted.name;
    const auto app = next.applications.find({release.name.namespace_, wanted.name});
    if (app != next.applications.end()) {
      member.gray.revision = ++app->second.last_revision;
      member.gray.run = source == nullptr ? merged(app->second.baseline.run, wanted.run)
                                          : source->member(wanted.name)->gray.run;
    }
    member.gray.replicas = wanted.replicas;
    release.members.push_back(std::move(member));
  }
  std::vector<std::string> reasons;
  for (const auto& [id, other] : world.releases) {
    if (ended(other.phase) || other.spec.tag != spec.tag ||
        other.name.namespace_ != release.name.namespace_)
      continue;
    const bool shares = std::any_of(
        other.members.begin(), other.members.end(),
        [&](const Member& member) { return release.member(member.application) != nullptr; });
    if (!shares || rolling_back(other.phase)) continue;
    if (promoting(other.phase))
      reasons.push_back(fmt::format("release {} of tag {} is being promoted", id, spec.tag));
    for (const Member& member : other.members) {
      if (release.member(member.application) == nullptr)
        reasons.push_back(
            fmt::format("release {} of tag {} has also {}: it can be superseded only as a whole",
                        id, spec.tag, member.application));
    }
  }
  if (reasons.empty()) reasons = check(next, release, *parts_.mesh.virtual_services());
  if (!reasons.empty()) return failed(lines_of(reasons));
  return release;
}

Result<std::uint64_t> Engine::Core::apply(const Actor& who, const model::ObjectPtr& object,
                                          const std::string& reason, bool declared) {
  const model::Key& key = object->meta.key;
  const Name name{key.namespace_, key.name};
  const auto by_file = [&](bool is) -> Status {
    if (!is || declared) return {};
    return failed(fmt::format("{} is declared in a file, which leads: change it there",
                              model::to_string(key)));
  };
  World next = world_;
  std::uint64_t id = 0;
  switch (key.kind) {
    case model::Kind::application: {
      const auto known = world_.applications.find(name);
      TRY(by_file(known != world_.applications.end() && known->second.declared));
      TRY(apply_application(who, object, declared, next));
      break;
    }
    case model::Kind::environment: {
      const auto known = world_.environments.find(key.namespace_);
      TRY(by_file(known != world_.environments.end() && known->second.declared));
      TRY(apply_environment(object, declared, next));
      break;
    }
    case model::Kind::lane: {
      const auto known = world_.lanes.find(name);
      TRY(by_file(known != world_.lanes.end() && known->second.declared));
      if (known != world_.lanes.end() && known->second.leaving)
        return failed(fmt::format("lane {} is just going; wait until it is gone", to_string(name)));
      Lane& lane = next.lanes[name];
      if (known == world_.lanes.end()) {
        lane.name = name;
        lane.created_by = who;
        lane.created = lane.used = parts_.clock.wall();
      }
      lane.spec = object->as<model::Lane>();
      lane.declared = declared;
      break;
    }
    case model::Kind::gray_release: {
      TRY(frozen(key.namespace_));
      Release release = TRY(planned(world_, who, object, nullptr, next));
      release.declared = declared;
      release.reason = reason;
      id = release.id;
      TRY(add_release(std::move(release), next));
      break;
    }
    default:
      return Error{Code::invalid_argument,
                   fmt::format("{} is not of the release platform", model::to_string(key))};
  }
  const std::string subject = id != 0 ? fmt::format("release/{}", id) : object_of(key);
  TRY(commit(std::move(next),
             {act_of(who, id != 0 ? "start" : "apply", key.namespace_, subject, reason)}, id));
  return id;
}

Status Engine::Core::remove(const Actor& who, const model::Key& key, const std::string& reason,
                            bool declared) {
  const Name name{key.namespace_, key.name};
  const Error missing{Code::not_found, fmt::format("{} is not there", model::to_string(key))};
  const auto by_file = [&](bool is) -> Status {
    if (!is || declared) return {};
    return failed(fmt::format("{} is declared in a file, which leads: delete it there",
                              model::to_string(key)));
  };
  World next = world_;
  if (key.kind == model::Kind::application) {
    const auto app = next.applications.find(name);
    if (app == next.applications.end()) return missing;
    TRY(by_file(app->second.declared));
    for (const auto& [id, release] : world_.releases) {
      if (!ended(release.phase) && release.name.namespace_ == name.namespace_ &&
          release.member(name.name) != nullptr)
        return failed(fmt::format("release {} ({}) of {} is not over: roll it back first", id,
                                  release.spec.tag, to_string(name)));
    }
    app->second.leaving = true;
    app->second.declared = false;
  } else if (key.kind == model::Kind::lane) {
    const auto lane = next.lanes.find(name);
    if (lane == next.lanes.end()) return missing;
    TRY(by_file(lane->second.declared));
    lane->second.leaving = true;
    lane->second.declared = false;
  } else if (key.kind == model::Kind::environment) {
    const auto environment = next.environments.find(key.namespace_);
    if (environment == next.environments.end() ||
        environment->second.object->meta.key.name != key.name)
      return missing;
    TRY(by_file(environment->second.declared));
    next.environments.erase(environment);
  } else {
    return Error{Code::invalid_argument,
                 fmt::format("{} is not deleted but rolled back", model::to_string(key))};
  }
  return commit(std::move(next), {act_of(who, "delete", key.namespace_, object_of(key), reason)});
}

Status Engine::Core::approve(const Actor& who, Release& release) const {
  const model::Environment* policy = environment(release.name.namespace_);
  // Of a step that asks for it, or in the place of a verdict that does not come.
  const auto asks = [](const model::GrayStep& step) { return step.approval || step.judged(); };
  const bool at_step = release.phase == Phase::step && asks(release.spec.steps[release.step]);
  const bool at_end = release.phase == Phase::gray && policy != nullptr && policy->approvals > 0;
  if (!at_step && !at_end)
    return failed(fmt::format("release {} waits for no approval in phase {}", release.id,
                              name_of(release.phase)));
  if (policy != nullptr && policy->four_eyes && who.name == release.started_by.name)
    return Error{Code::permission_denied,
                 fmt::format("{} started release {}: {} asks for four eyes", who.name, release.id,
                             release.name.namespace_)};
  if (policy != nullptr && !policy->approvers.empty() &&
      std::find(policy->approvers.begin(), policy->approvers.end(), who.name) ==
          policy->approvers.end())
    return Error{Code::permission_denied,
                 fmt::format("{} may not approve in {}", who.name, release.name.namespace_)};
  for (const Actor& other : release.approvals) {
    if (other.name == who.name)
      return Error{Code::already_exists,
                   fmt::format("{} has approved release {} already", who.name, release.id)};
  }
  release.approvals.push_back(who);
  return {};
}

Status Engine::Core::holds(std::uint64_t release, const Only& only) const {
  const auto found = world_.releases.find(release);
  return only && found != world_.releases.end() ? only(found->second) : Status();
}

Status Engine::Core::act(const Actor& who, std::uint64_t id, Verb verb, const std::string& reason) {
  World next = world_;
  const auto found = next.releases.find(id);
  if (found == next.releases.end())
    return Error{Code::not_found, fmt::format("release {} is not there", id)};
  Release& release = found->second;
  const auto in_phase = [&](bool allowed) -> Status {
    if (allowed) return {};
    return failed(
        fmt::format("release {} cannot be {}: {}", id, done_by(verb), standing_of(release)));
  };
  const Phase phase = release.phase;
  switch (verb) {
    case Verb::approve:
      TRY(approve(who, release));
      break;
    case Verb::promote:
      TRY(in_phase(phase <= Phase::gray));
      TRY(frozen(release.name.namespace_));
      release.promote_asked = true;
      break;
    case Verb::pause:
    case Verb::resume:
      TRY(in_phase(phase <= Phase::new_baseline));
      release.held = verb == Verb::pause;
      break;
    case Verb::rollback:
      if (phase == Phase::stopping || phase == Phase::promoted) {
        TRY(give_back(release, next));
      } else {
        TRY(in_phase(phase < Phase::stopping));
        release.phase = back_from(phase);
      }
      release.since = parts_.clock.wall();
      release.held = false;
      release.reason =
          fmt::format("rolled back by {}{}{}", who.name, reason.empty() ? "" : ": ", reason);
      waits_.erase(fmt::format("release/{}", id));
      break;
  }
  const auto lane = next.lanes.find({release.name.namespace_, release.spec.tag});
  if (lane != next.lanes.end()) lane->second.used = parts_.clock.wall();
  progress_.erase(id);  // what it waited for, it may wait for no more: the next step says
  return commit(std::move(next),
                {act_of(who, std::string(name_of(verb)), release.name.namespace_,
                        fmt::format("release/{}", id), reason)},
                id);
}

}  // namespace graymesh::release
