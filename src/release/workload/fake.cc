#include "release/workload/fake.h"

#include <algorithm>
#include <tuple>

#include "release/workload/plan.h"

namespace graymesh::workload {

using Phase = Instance::Phase;

Status FakeRuntime::apply(std::vector<Group> wanted) {
  TRY(check(wanted));
  {
    const std::lock_guard lock(mutex_);
    wanted_ = std::move(wanted);
    settle();
  }
  on_change_();
  return {};
}

std::vector<Instance> FakeRuntime::instances() const {
  const std::lock_guard lock(mutex_);
  std::vector<Instance> instances;
  for (const Made& made : made_) instances.push_back(made.instance);
  return instances;
}

std::vector<Group> FakeRuntime::wanted() const {
  const std::lock_guard lock(mutex_);
  return wanted_;
}

void FakeRuntime::release(const std::string& namespace_, const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    const auto removed = std::erase_if(made_, [&](const Made& made) {
      return made.instance.namespace_ == namespace_ && made.instance.name == name &&
             made.instance.phase == Phase::terminating;
    });
    if (removed == 0) return;
    settle();
  }
  on_change_();
}

bool FakeRuntime::become(const std::string& namespace_, const std::string& name, Phase phase,
                         const std::string& message) {
  return set(namespace_, name, phase, message, 0);
}

bool FakeRuntime::become_ready(const std::string& namespace_, const std::string& name) {
  return set(namespace_, name, Phase::ready, "", 0);
}

bool FakeRuntime::kill(const std::string& namespace_, const std::string& name) {
  return set(namespace_, name, Phase::crashing,
             "application was killed by signal 9 (Killed); next start in 0.1 s", 1);
}

void FakeRuntime::all_become_ready() {
  {
    const std::lock_guard lock(mutex_);
    for (Made& made : made_) {
      Instance& instance = made.instance;
      if (instance.phase == Phase::terminating || instance.phase == Phase::ready) continue;
      instance.phase = Phase::ready;
      instance.message.clear();
      instance.since = clock_.wall();
    }
    settle();
  }
  on_change_();
}

void FakeRuntime::hold_max_passes() {
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(made_, [](const Made& m) { return m.instance.phase == Phase::terminating; });
    settle();
  }
  on_change_();
}

bool FakeRuntime::set(const std::string& namespace_, const std::string& name, Phase phase,
                      const std::string& message, int more_restarts) {
  {
    const std::lock_guard lock(mutex_);
    Instance* instance = find(namespace_, name);
    if (instance == nullptr) return false;
    if (instance->phase == Phase::terminating) {
      // One that takes no requests does not wait.
      if (phase != Phase::ready) {
        std::erase_if(made_, [&](const Made& made) { return &made.instance == instance; });
      }
    } else {
      instance->phase = phase;
      instance->since = clock_.wall();
      instance->message = message;
      instance->restarts += more_restarts;
    }
    settle();
  }
  on_change_();
  return true;
}

Instance* FakeRuntime::find(const std::string& namespace_, const std::string& name) {
  for (Made& made : made_) {
    if (made.instance.namespace_ == namespace_ && made.instance.name == name) return &made.instance;
  }
  return nullptr;
}

// Plans and carries out until there is nothing to do.
void FakeRuntime::settle() {
  for (;;) {
    std::vector<Living> living;
    for (const Made& made : made_) {
      living.push_back({.namespace_ = made.instance.namespace_,
                        .group = made.instance.group,
                        .name = made.instance.name,
                        .pod = &made.pod,
                        .phase = made.instance.phase});
    }
    const Steps steps = plan(wanted_, living);
    if (steps.start.empty() && steps.leave.empty()) return;
    for (const Living* leaving : steps.leave) {
      Instance* instance = find(leaving->namespace_, leaving->name);
      const bool serves = instance->phase == Phase::ready;
      instance->phase = Phase::terminating;
      instance->since = clock_.wall();
      if (!serves) {
        std::erase_if(made_, [&](const Made& made) { return &made.instance == instance; });
      }
    }
    for (const auto& step : steps.start) {
      const Group& group = *step.group;
      const auto address = allocate(1, group.pod.gateway, taken_);
      if (address) taken_.insert(*address);
      made_.push_back({.instance = {.namespace_ = group.namespace_,
                                    .group = group.name,
                                    .name = step.name,
                                    .address = address ? to_string(*address) : "",
                                    .labels = group.pod.labels,
                                    .ports = group.pod.ports,
                                    .phase = ready_at_once_ ? Phase::ready : Phase::starting,
                                    .since = clock_.wall()},
                       .pod = group.pod});
    }
    std::sort(made_.begin(), made_.end(), [](const Made& a, const Made& b) {
      return std::tie(a.instance.namespace_, a.instance.name) <
             std::tie(b.instance.namespace_, b.instance.name);
    });
  }
}

}  // namespace graymesh::workload
