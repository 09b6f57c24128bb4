// Whole files in and out.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace graymesh {

// The bytes of a regular file of at most `size_max` bytes. not_found, permission_denied,
// resource_exhausted (too large), failed_precondition (a folder, socket, ...), internal.
Result<std::string> read_file(const std::filesystem::path& file,
                              std::size_t size_max = std::size_t{64} << 20);

// Writes beside `file` and renames into place, so that a reader sees the old or the new, never
// half.
Status write_file(const std::filesystem::path& file, std::string_view bytes);

}  // namespace graymesh
