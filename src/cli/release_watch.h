// `release watch`: one live screen on a terminal; in a pipe a line for each change, or JSON, one a
// line.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "cli/command.h"
#include "cli/table.h"

namespace graymesh::cli {

// Until the release is over: then 0. graymeshd may restart meanwhile.
int watch_release(const Common& common, const nlohmann::json& release, Output output);

// What runs of the release's applications, baselines as well, for a screen of it.
Result<nlohmann::json> instances_beside(const Common& common, const nlohmann::json& release);

}  // namespace graymesh::cli
