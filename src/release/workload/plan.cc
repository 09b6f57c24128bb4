#include "release/workload/plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

namespace graymesh::workload {
namespace {

using Phase = Instance::Phase;

bool leaving(const Living& instance) {
  return instance.phase == Phase::terminating || instance.phase == Phase::stopping;
}

// Ready ones first, then by how near they are to it.
int distance(const Living& instance) {
  switch (instance.phase) {
    case Phase::ready:
      return 0;
    case Phase::unready:
      return 1;
    case Phase::starting:
      return 2;
    default:
      return 3;
  }
}

// Of instances that may all be kept the best `count`; the others leave.
void keep_best(std::vector<const Living*> instances, std::size_t count, Steps& steps) {
  if (instances.size() <= count) return;
  std::sort(instances.begin(), instances.end(), [](const Living* a, const Living* b) {
    // The longer the name, the higher its number.
    return std::tuple(distance(*a), a->name.size(), a->name) <
           std::tuple(distance(*b), b->name.size(), b->name);
  });
  steps.leave.insert(steps.leave.end(), instances.begin() + static_cast<std::ptrdiff_t>(count),
                     instances.end());
}

void plan_group(const Group& group, std::span<const Living> living, Steps& steps) {
  std::vector<const Living*> equal;
  std::vector<const Living*> others;
  std::set<std::string> names;
  for (const Living& instance : living) {
    if (instance.namespace_ != group.namespace_) continue;
    names.insert(instance.name);
    if (instance.group != group.name || leaving(instance)) continue;
    (!instance.outdated && *instance.pod == group.pod ? equal : others).push_back(&instance);
  }
  const auto replicas = static_cast<std::size_t>(group.replicas);
  int number = 1;
  for (std::size_t have = equal.size(); have < replicas; ++have) {
    std::string name;
    do name = fmt::format("{}-{}", group.name, number++);
    while (names.contains(name));
    steps.start.push_back({&group, std::move(name)});
  }
  const auto ready = static_cast<std::size_t>(
      std::count_if(equal.begin(), equal.end(),
                    [](const Living* instance) { return instance->phase == Phase::ready; }));
  keep_best(std::move(equal), replicas, steps);
  // Until the new ones serve the old ones do; more of them than serve a full group, none needs.
  keep_best(std::move(others), ready >= replicas ? 0 : replicas, steps);
}

bool is_label(std::string_view text, std::size_t size_max) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= size_max && plain(text.front()) && plain(text.back()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return plain(c) || c == '-'; });
}

using Fault = std::function<void(std::string)>;

void check_probe(std::string_view what, const Probe& probe, const Template& pod,
                 const Fault& fault) {
  if (probe.kind == Probe::Kind::none) return;
  if (probe.kind == Probe::Kind::command && probe.command.empty()) {
    fault(fmt::format("{}.command must be there", what));
  }
  if (probe.kind != Probe::Kind::command && probe.port == 0 && pod.ports.empty()) {
    fault(fmt::format("{}.port must be there, for the template has no ports", what));
  }
  if (probe.period.count() < 10) fault(fmt::format("{}.period must be at least 10 ms", what));
  if (probe.timeout.count() < 1) fault(fmt::format("{}.timeout must be at least 1 ms", what));
  if (probe.initial_delay.count() < 0)
    fault(fmt::format("{}.initial_delay must be 0 or more", what));
  if (probe.failures_max < 1) fault(fmt::format("{}.failures_max must be at least 1", what));
  if (probe.successes_min < 1) fault(fmt::format("{}.successes_min must be at least 1", what));
}

void check_template(const Template& pod, const Fault& fault) {
  if (pod.command.empty() && !pod.sidecar) {
    fault("command must be there, for there is no sidecar either");
  }
  if (!pod.command.empty() && pod.command[0].empty()) fault("command[0] must be a program");
  std::set<std::string> names;
  for (const Port& port : pod.ports) {
    if (port.number == 0) fault(fmt::format("port {:?} must be 1 to 65535", port.name));
    if (!names.insert(port.name).second) fault(fmt::format("port {:?} is there twice", port.name));
  }
  check_probe("readiness", pod.readiness, pod, fault);
  check_probe("liveness", pod.liveness, pod, fault);
  check_probe("startup", pod.startup, pod, fault);
  for (const auto& [name, value] : pod.environment) {
    if (name.empty() || name.find('=') != std::string::npos) {
      fault(fmt::format("environment {:?} cannot be the name of a variable", name));
    }
  }
  if (pod.drain.count() < 0 || pod.drain > std::chrono::hours(1)) {
    fault("drain must be 0 to 3600 s");
  }
  if (pod.stop.count() < 0) fault("stop must be 0 or more");
  if (!(pod.cpus_max >= 0) || std::isinf(pod.cpus_max)) fault("cpus_max must be 0 or more");
}

}  // namespace

Steps plan(std::span<const Group> wanted, std::span<const Living> living) {
  Steps steps;
  std::set<std::pair<std::string_view, std::string_view>> groups;
  for (const Group& group : wanted) {
    groups.insert({group.namespace_, group.name});
    plan_group(group, living, steps);
  }
  for (const Living& instance : living) {
    if (!leaving(instance) && !groups.contains({instance.namespace_, instance.group})) {
      steps.leave.push_back(&instance);
    }
  }
  return steps;
}

Status check(std::span<const Group> wanted) {
  std::string message;
  std::set<std::pair<std::string_view, std::string_view>> groups;
  for (const Group& group : wanted) {
    const Fault fault = [&](const std::string& rule) {
      message += fmt::format("{}group {}/{}: {}", message.empty() ? "" : "\n", group.namespace_,
                             group.name, rule);
    };
    // With a number behind it, and in the name of a folder, it still fits where names must.
    if (!is_label(group.namespace_, 63)) fault("namespace must be a DNS label");
    if (!is_label(group.name, 58)) fault("name must be a DNS label of at most 58 bytes");
    if (group.replicas < 0 || group.replicas > 1000) fault("replicas must be 0 to 1000");
    if (!groups.insert({group.namespace_, group.name}).second) fault("is there twice");
    check_template(group.pod, fault);
  }
  if (message.empty()) return {};
  return Error{Code::invalid_argument, std::move(message)};
}

}  // namespace graymesh::workload
