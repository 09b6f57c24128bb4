// The folder of one instance, as the keeper and the Runtime share it: who holds its lock, and what
// of it still runs though its keeper has died.
//
//   FE-PRE.WEB-1/   spec.json  status.json  lock  app.log[.1]  sidecar.log[.1]  keeper.log
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "base/descriptor.h"
#include "base/result.h"

namespace graymesh::workload {

// Every process of an instance has this in its environment, with the folder as its value.
inline constexpr const char* folder_variable = "GRAYMESH_INSTANCE_FOLDER";

// Holds `file` until the Descriptor, or the process, ends. failed_precondition names who has it.
// POSIX's kind of lock, because the kernel tells who holds one: open the file nowhere else in this
// process meanwhile, for closing it there would let go.
Result<Descriptor> hold(const std::filesystem::path& file);

// The process that holds `file`; 0 if none.
pid_t holder(const std::filesystem::path& file);

// Kills what a dead keeper's application has left: the kernel took its children along, but not
// theirs. Returns when they are gone, or after a second.
void kill_leftovers(const std::filesystem::path& folder);

}  // namespace graymesh::workload
