// What a Prometheus answers. Foreign bytes, read to plain counts; what is not a finite number is no
// evidence, never a zero.
#pragma once

#include <optional>
#include <string_view>

#include "base/result.h"

namespace graymesh::verdict {

// The one number of an instant query. None: no series, NaN or infinite. invalid_argument: an error
// in Prometheus' words, several series, or no such answer.
Result<std::optional<double>> read_prometheus(std::string_view json);

}  // namespace graymesh::verdict
