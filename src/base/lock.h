// A file that one process holds for as long as it lives, and that tells everybody who it is.
#pragma once

#include <sys/types.h>

#include <filesystem>

#include "base/descriptor.h"
#include "base/result.h"

namespace graymesh {

// Holds `file` until the Descriptor, or the process, ends; exec() keeps it if the Descriptor is
// kept open. failed_precondition names who has it. POSIX's kind of lock, because the kernel tells
// who holds one: open the file nowhere else in this process meanwhile, for closing it there would
// let go.
Result<Descriptor> hold(const std::filesystem::path& file);

// The process that holds `file`; 0 if none.
pid_t holder(const std::filesystem::path& file);

}  // namespace graymesh
