// What a lead asks for: how often, how gray, how fast, how often back, by namespace and by team.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "base/clock.h"
#include "release/plan/plan.h"
#include "release/store/store.h"

namespace graymesh::api {

struct Span {
  Clock::Wall from{}, to{};
};

// {"from", "to", "all": {...}, "namespaces": {"fe-pre": {...}}, "teams": {"shop": {...}}}, each
// with releases, releasesPerDay, promoted, rolledBack, baselineChanges, grayShare, rollbackRate,
// leadTimeMedianSeconds (started to promoted), rollbackMedianSeconds (asked to the last proxy's
// ACK). A figure of nothing is null. Releases count when they are over; superseded ones do not:
// their successor does.
nlohmann::json figures(const release::World& world, const std::vector<release::Act>& acts,
                       const Span& span);

}  // namespace graymesh::api
