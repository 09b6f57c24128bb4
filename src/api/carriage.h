// What carries a lane on through one application, and where it is lost; only what was measured.
#pragma once

#include "base/json.h"
#include "control/traffic/traffic.h"

namespace graymesh::api {

// Fewer requests than these say nothing about calls that some other request may have caused.
inline constexpr std::uint64_t likely_min = 5;

// Adds "carriedBy" (a word for people) and "traffic" (null if nobody measures) for the version that
// answers. `report` may be null.
//
// Lost "by request id": a call without the lane had the x-request-id of a request in the lane.
// "likely": of likely_min requests in the lane or more no call had the lane, while the same version
// made calls without: they may belong to other requests.
void carriage_json(const traffic::Who& who, const traffic::Report* report, nlohmann::json& out);

}  // namespace graymesh::api
