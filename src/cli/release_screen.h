// One release as one screen: phases with the proxies' ACKs, share of traffic, verdict, and the
// instances of its gray versions and of the baselines beside them. A pure function of JSON.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "cli/screen.h"

namespace graymesh::cli {

// `instances`: as /api/v1/instances tells them; those of other applications are passed over. `now`
// in seconds since 1970.
std::string screen_of(const nlohmann::json& release, const nlohmann::json& instances,
                      const Style& style, std::int64_t now);

// RFC 3339 in UTC as seconds since 1970; 0 for what is none.
std::int64_t seconds_since_1970(const std::string& text);

}  // namespace graymesh::cli
