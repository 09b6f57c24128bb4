// Lanes that nobody uses. A request counts when it ends; what is not measured is not held against a
// lane.
#include <fmt/core.h>

#include <algorithm>

#include "release/engine/core.h"

namespace graymesh::release {

// The last requests go into the World, seldom, so that they are known after a restart.
bool Engine::Core::note_used() {
  std::erase_if(blind_at_, [&](const auto& entry) { return !world_.lanes.contains(entry.first); });
  if (parts_.usage == nullptr || world_.lanes.empty()) return false;
  wake_at(parts_.clock.wall() + used_every);
  std::map<Name, Clock::Wall> used;
  for (const auto& [name, lane] : world_.lanes) {
    const auto last = parts_.usage->last(name);
    if (last && *last >= lane.used + used_every) used.emplace(name, *last);
  }
  if (used.empty()) return false;
  World next = world_;
  for (const auto& [name, last] : used) next.lanes.at(name).used = last;
  return keep(std::move(next), {});
}

std::optional<model::Duration> Engine::Core::idle_max(const Lane& lane) const {
  if (lane.spec.idle) return lane.spec.idle;
  const model::Environment* policy = environment(lane.name.namespace_);
  return policy == nullptr ? std::nullopt : policy->lane_idle;
}

// Why nobody would know of a request of the lane; empty if somebody does.
std::string Engine::Core::unmeasured(const Lane& lane) const {
  if (parts_.usage == nullptr)
    return "idle is not counted: no proxy tells of requests (GRAYMESH_LANE_LOG is off)";
  for (const auto& instance : instances_) {
    const auto tag = instance.labels.find(lane_header);
    if (instance.namespace_ != lane.name.namespace_ || tag == instance.labels.end() ||
        tag->second != lane.name.name || instance.phase != workload::Instance::Phase::ready)
      continue;
    const auto proxy = std::find_if(proxies_.begin(), proxies_.end(),
                                    [&](const auto& it) { return it.address == instance.address; });
    if (proxy == proxies_.end())
      return fmt::format("idle is not counted: the sidecar of {} is not connected", instance.name);
    if (!proxy->tells)
      return fmt::format(
          "idle is not counted: the sidecar of {} was started by an older graymesh, which does not "
          "tell of requests",
          instance.name);
  }
  return {};
}

// A release on its way needs its lane, and one with a share gets requests that name none.
std::optional<Clock::Wall> Engine::Core::idle_since(const Lane& lane) {
  if (std::string why = unmeasured(lane); !why.empty()) {
    unmeasured_[lane.name] = std::move(why);
    blind_at_[lane.name] = parts_.clock.wall();
    return std::nullopt;
  }
  auto since = std::max({lane.created, lane.used, parts_.usage->since()});
  if (const auto last = parts_.usage->last(lane.name)) since = std::max(since, *last);
  if (const auto blind = blind_at_.find(lane.name); blind != blind_at_.end())
    since = std::max(since, blind->second);
  for (const auto& [id, release] : world_.releases) {
    if (ended(release.phase) || release.spec.tag != lane.name.name ||
        release.name.namespace_ != lane.name.namespace_)
      continue;
    if (rolling_back(release.phase)) continue;
    const bool promotes = release.promote_asked || release.spec.promote;
    if (release.phase != Phase::gray || shape(release).weight > 0 || promotes) return std::nullopt;
    since = std::max(since, release.since);
  }
  return since;
}

}  // namespace graymesh::release
