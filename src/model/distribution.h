// Kubernetes' words for TrafficDistribution.
#pragma once

#include <optional>
#include <string_view>

#include "model/workload.h"

namespace graymesh::model {

// PreferClose, PreferSameZone, PreferSameNode, in any case; nothing for other words.
std::optional<TrafficDistribution> distribution_named(std::string_view word);

inline constexpr std::string_view unknown_distribution =
    "is not PreferClose, PreferSameZone or PreferSameNode: no endpoint comes first";

}  // namespace graymesh::model
