// Spans of time as people write them in --timeout.
#pragma once

#include <chrono>
#include <string>

#include "base/result.h"

namespace graymesh::cli {

// "90s", "5m", "1h30m" in seconds; a bare number is seconds. A year at most.
Result<std::chrono::seconds> seconds_of(const std::string& text);

}  // namespace graymesh::cli
