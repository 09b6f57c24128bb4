// The part of Envoy's bootstrap that says which statistics it keeps and how they are labelled.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace graymesh::sidecar {

// A StatsConfig; `all`: nothing is left out.
nlohmann::ordered_json bootstrap_stats(bool all);

}  // namespace graymesh::sidecar
