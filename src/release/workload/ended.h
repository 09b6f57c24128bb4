// Folders of instances that have ended, kept for people to look into: the latest ones. Their
// addresses stay taken meanwhile, so that a late packet for one meets nobody else.
//
//   FOLDER/ended/FE-PRE.WEB-0-<Unix ms>/
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "release/workload/address.h"

namespace graymesh::workload {

class Ended {
 public:
  static constexpr std::size_t max = 50;

  // Of what is in `folder` already; made if missing.
  Status open(const std::filesystem::path& folder);

  // Moves the folder of the instance `key` here. If that cannot be, it is deleted, and the error
  // says why.
  Status add(const std::string& key, const std::filesystem::path& from, const std::string& address,
             Clock::Wall now);

  void add_addresses(std::set<Loopback>& to) const;

 private:
  struct Instance {
    std::filesystem::path folder = {};
    std::int64_t time_ms = 0;
    std::optional<Loopback> address = {};
  };
  void prune();

  std::filesystem::path folder_;
  std::deque<Instance> instances_;  // oldest first
};

}  // namespace graymesh::workload
