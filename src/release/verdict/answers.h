// What a Prometheus answers. Foreign bytes, read to plain counts; what is not a finite number is no
// evidence, never a zero.
#pragma once

#include <optional>
#include <string_view>

#include "release/verdict/verdict.h"

namespace graymesh::verdict {

// The one number of an instant query. None: no series, NaN or infinite. invalid_argument: an error
// in Prometheus' words, several series, or no such answer.
Result<std::optional<double>> read_prometheus(std::string_view json);

// Of a histogram's buckets by their label `le` in milliseconds, each with those below it: how long
// so many took, as exactly as the bounds are close. None: no series, or one that is no number.
Result<std::optional<Latencies>> read_prometheus_latencies(std::string_view json);

}  // namespace graymesh::verdict
