// The folder of a record: one file for each segment, named after the time at which it was begun, or
// a later one where the clock was set back: names are in the order in which they were written.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "control/record/entries.h"

namespace graymesh::record {

struct File {
  std::filesystem::path path;
  Milliseconds key = 0;  // of its name
  std::uint64_t size = 0;
};

// By key. Files of other names are no part of it.
Result<std::vector<File>> files_of(const std::filesystem::path& folder);

std::filesystem::path file_of(const std::filesystem::path& folder, Milliseconds key);

// Deletes the oldest until all are at most `bytes_max`, and those whose last entry is older than
// `age_max`; never the last one. Answers with what is left.
Result<std::vector<File>> trim(const std::filesystem::path& folder, std::uint64_t bytes_max,
                               std::chrono::milliseconds age_max, Milliseconds now);

}  // namespace graymesh::record
