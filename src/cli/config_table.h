// A proxy's configuration as tables, in the columns that istioctl's users know.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace graymesh::cli {

// `dump` is Envoy's config_dump: {"configs": [{"@type": ...}, ...]}. One table for each type in it.
std::string config_tables(const nlohmann::json& dump);

}  // namespace graymesh::cli
