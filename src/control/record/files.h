// The folder of a record: one file for each segment, named after the time at which it was begun.
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
  Milliseconds begun = 0;
  std::uint64_t size = 0;
};

// By time. Files of other names are no part of it.
Result<std::vector<File>> files_of(const std::filesystem::path& folder);

std::filesystem::path file_of(const std::filesystem::path& folder, Milliseconds begun);

// Deletes the oldest until all are at most `bytes_max`, and those whose last entry is older than
// `age_max`; never the last one. Answers with what is left.
Result<std::vector<File>> trim(const std::filesystem::path& folder, std::uint64_t bytes_max,
                               std::chrono::milliseconds age_max, Milliseconds now);

// Held for as long as it lives; failed_precondition: another process has it.
class Lock {
 public:
  static Result<Lock> take(const std::filesystem::path& folder);
  Lock(Lock&& other) noexcept;
  Lock& operator=(Lock&&) = delete;
  ~Lock();

 private:
  explicit Lock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace graymesh::record
