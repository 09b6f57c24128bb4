#include "main/usage.h"

namespace graymesh {

void TrafficUsage::follow(const release::World& world) {
  traffic::Known known;
  for (const auto& [name, lane] : world.lanes) known.lanes.emplace(name.namespace_, name.name);
  for (const auto& [name, app] : world.applications)
    known.applications.emplace(name.namespace_, name.name);
  table_.know(std::move(known));
}

std::optional<Clock::Wall> TrafficUsage::last(const release::Name& lane) const {
  return table_.last({lane.namespace_, lane.name});
}

}  // namespace graymesh
