// The folder of one instance, as the keeper and the Runtime share it, and what of it still runs
// though its keeper has died.
//
//   FE-PRE.WEB-1/   spec.json  status.json  lock  app.log[.1]  sidecar.log[.1]  keeper.log
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "base/lock.h"

namespace graymesh::workload {

// Every process of an instance has this in its environment, with the folder as its value.
inline constexpr const char* folder_variable = "GRAYMESH_INSTANCE_FOLDER";

// Beyond drain and stop; then a keeper itself is stuck.
inline constexpr std::chrono::milliseconds keeper_stops{20'000};

// Kills what a dead keeper's application has left: the kernel took its children along, but not
// theirs. Returns when they are gone, or after a second.
void kill_leftovers(const std::filesystem::path& folder);

}  // namespace graymesh::workload
