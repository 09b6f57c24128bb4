#include "release/engine/core.h"

#include <fmt/core.h>

#include <algorithm>

namespace graymesh::release {
namespace {

workload::Probe probe_of(const std::optional<model::HealthProbe>& probe) {
  workload::Probe out;
  if (!probe) return out;
  const auto millis = [](const std::optional<model::Duration>& span,
                         std::chrono::milliseconds& to) {
    if (span) to = std::chrono::duration_cast<std::chrono::milliseconds>(*span);
  };
  using From = model::HealthProbe::Kind;
  using To = workload::Probe::Kind;
  out.kind = probe->kind == From::http  ? To::http
             : probe->kind == From::tcp ? To::tcp
                                        : To::command;
  out.path = probe->path;
  out.port = static_cast<std::uint16_t>(probe->port);
  out.command = probe->command;
  millis(probe->initial_delay, out.initial_delay);
  millis(probe->period, out.period);
  millis(probe->timeout, out.timeout);
  out.failures_max = probe->failures;
  out.successes_min = probe->successes;
  return out;
}

workload::Group workload_of(const Group& group, const model::Application& app) {
  workload::Group out;
  out.namespace_ = group.name.namespace_;
  out.name = group.name.name;
  out.replicas = static_cast<int>(group.artefact.replicas);
  workload::Template& pod = out.pod;
  pod.labels = group.labels;
  pod.command = group.artefact.run.command;
  for (const auto& [name, value] : group.artefact.run.environment) pod.environment[name] = value;
  pod.environment.emplace("VERSION", group.artefact.run.version);
  pod.directory = group.artefact.run.directory;
  for (const auto& port : app.ports)
    pod.ports.push_back({port.name, static_cast<std::uint16_t>(port.number)});
  pod.readiness = probe_of(app.readiness);
  pod.liveness = probe_of(app.liveness);
  pod.startup = probe_of(app.startup);
  if (app.drain) pod.drain = std::chrono::duration_cast<std::chrono::milliseconds>(*app.drain);
  if (app.stop) pod.stop = std::chrono::duration_cast<std::chrono::milliseconds>(*app.stop);
  pod.memory_bytes_max = group.artefact.run.memory_bytes;
  pod.cpus_max = group.artefact.run.cpus;
  pod.gateway = app.gateway;
  return out;
}

std::vector<workload::Group> workloads_of(const World& world) {
  std::vector<workload::Group> out;
  for (const Group& group : groups(world)) {
    const Application& app = world.applications.at({group.name.namespace_, group.application});
    out.push_back(workload_of(group, app.spec()));
  }
  return out;
}

bool is_leaving(const workload::Instance& instance) {
  using Phase = workload::Instance::Phase;
  return instance.phase == Phase::terminating || instance.phase == Phase::stopping;
}

}  // namespace

Status Engine::Core::load() {
  const auto documents = TRY(parts_.store.documents());
  world_ = TRY(release::load(documents));
  stale_ = difference({}, world_).namespaces;
  observe();
  publish();
  return {};
}

Status Engine::Core::commit(World next, std::vector<Act> acts, std::uint64_t release) {
  Batch batch;
  Difference difference = release::difference(world_, next);
  batch.documents = std::move(difference.documents);
  batch.acts = std::move(acts);
  if (!once.key.empty())
    batch.replies[once.key] =
        fmt::format(R"({{"request":"{}","release":{}}})", once.request, release);
  if (batch.documents.empty() && batch.acts.empty()) return {};
  TRY(parts_.store.commit(batch));
  stale_.merge(difference.namespaces);
  world_ = std::move(next);
  world_changed_ = true;
  return {};
}

Act Engine::Core::act_of(const Actor& who, std::string verb, const std::string& namespace_,
                         std::string object, const std::string& reason, std::string detail) const {
  const auto now = parts_.clock.wall().time_since_epoch();
  return {.at_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count(),
          .who = who.name,
          .from = who.from,
          .verb = std::move(verb),
          .namespace_ = namespace_,
          .object = std::move(object),
          .reason = reason,
          .detail = std::move(detail)};
}

void Engine::Core::observe() {
  auto instances = parts_.runtime.instances();
  looks_same_ = looks_same_ && instances == instances_;
  instances_ = std::move(instances);
  proxies_ = parts_.mesh.proxies();
  for (auto it = isolated_.begin(); it != isolated_.end();) {
    const bool current = std::any_of(proxies_.begin(), proxies_.end(), [&](const auto& proxy) {
      return proxy.address == *it && proxy.reached >= revision_;
    });
    const bool gone = std::none_of(instances_.begin(), instances_.end(),
                                   [&](const auto& instance) { return instance.address == *it; });
    looks_same_ = looks_same_ && !current && !gone;
    it = current || gone ? isolated_.erase(it) : std::next(it);
  }
}

void Engine::Core::derive() {
  if (looks_same_ && stale_.empty()) return;
  std::map<std::string, std::vector<Instance>> seen;
  for (const auto& instance : instances_) {
    seen[instance.namespace_].push_back(
        {.namespace_ = instance.namespace_,
         .group = instance.group,
         .name = instance.name,
         .address = instance.address,
         .labels = instance.labels,
         .ready = instance.phase == workload::Instance::Phase::ready ||
                  instance.phase == workload::Instance::Phase::terminating,
         .leaving = is_leaving(instance) || isolated_.contains(instance.address)});
  }
  for (const auto& [namespace_, derived] : derived_) {
    if (seen[namespace_] != derived.seen) stale_.insert(namespace_);
  }
  for (const std::string& namespace_ : stale_) {
    const World here = part(world_, namespace_);
    Derived& was = derived_[namespace_];
    Derived now{.seen = std::move(seen[namespace_])};
    now.objects = objects(here, now.seen);
    now.groups = workloads_of(here);
    if (now.objects != was.objects) {
      for (const auto& [key, text] : was.objects) objects_.erase(key);
      objects_.insert(now.objects.begin(), now.objects.end());
      written_ = false;
    }
    if (now.groups != was.groups) applied_ = false;
    was = std::move(now);
  }
  stale_.clear();
  looks_same_ = true;
}

// Objects before processes: routes are withdrawn before anything stops, and what starts is not
// called before it is ready.
bool Engine::Core::reconcile() {
  derive();
  if (!written_) {
    const auto at = parts_.clock.wall();
    const auto revision = parts_.mesh.write(objects_);
    if (!revision) {
      trouble_ = fmt::format("cannot write objects: {}", revision.error().message);
      return false;
    }
    revision_ = *revision;
    written_at_ = at;
    written_ = true;
  }
  if (applied_) return true;
  std::vector<workload::Group> groups;
  for (const auto& [namespace_, derived] : derived_)
    groups.insert(groups.end(), derived.groups.begin(), derived.groups.end());
  const Status applied = parts_.runtime.apply(groups);
  if (!applied) trouble_ = fmt::format("cannot run instances: {}", applied.error().message);
  applied_ = applied.has_value();
  return applied_;
}

// An instance on its way out may stop when no proxy names it any more.
void Engine::Core::let_go() {
  std::map<std::pair<std::string, std::string>, std::uint64_t> leaving;
  for (const auto& instance : instances_) {
    if (instance.phase != workload::Instance::Phase::terminating) continue;
    const std::pair key{instance.namespace_, instance.name};
    const auto known = leaving_.find(key);
    const std::uint64_t revision = known == leaving_.end() ? revision_ : known->second;
    leaving[key] = revision;
    const bool named = std::any_of(proxies_.begin(), proxies_.end(),
                                   [&](const auto& proxy) { return proxy.reached < revision; });
    if (!named) parts_.runtime.release(instance.namespace_, instance.name);
  }
  leaving_ = std::move(leaving);
}

std::optional<Clock::Wall> Engine::Core::step() {
  wake_.reset();
  trouble_.clear();
  retry_refused();
  // Each turn makes one change; a World of releases that all move has a turn for each phase. The
  // bound is only against a fault of ours.
  for (int turn = 0; turn < 1000; ++turn) {
    observe();
    if (!reconcile()) {
      wake_at(parts_.clock.wall() + std::chrono::seconds(1));
      break;
    }
    let_go();
    if (!decide()) break;
  }
  if (!trouble_.empty()) wake_at(parts_.clock.wall() + std::chrono::seconds(1));
  publish();
  return wake_;
}

void Engine::Core::wake_at(Clock::Wall time) {
  if (!wake_ || time < *wake_) wake_ = time;
}

void Engine::Core::publish() {
  if (world_changed_ && parts_.usage != nullptr) parts_.usage->follow(world_);
  if (view && !world_changed_ && view->instances == instances_ && view->progress == progress_ &&
      view->unmeasured == unmeasured_ && view->trouble == trouble_)
    return;
  auto next = std::make_shared<View>();
  next->change = ++change_;
  next->world = world_changed_ || !view ? std::make_shared<const World>(world_) : view->world;
  next->instances = instances_;
  next->progress = progress_;
  next->unmeasured = unmeasured_;
  next->trouble = trouble_;
  view = std::move(next);
  world_changed_ = false;
  changed.notify_all();
}

const model::Environment* Engine::Core::environment(const std::string& namespace_) const {
  const auto found = world_.environments.find(namespace_);
  return found == world_.environments.end() ? nullptr : &found->second.spec();
}

}  // namespace graymesh::release
