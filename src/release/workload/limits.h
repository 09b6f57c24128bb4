// What one application may use. By a cgroup (version 2) of its own where we may make one, which is
// where graymeshd was given its own ("Delegate=yes" in systemd) or runs as root; else memory by the
// size of the address space (RLIMIT_AS), and CPU not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "release/workload/record.h"

namespace graymesh::workload {

struct Limits {
  std::filesystem::path cgroup = {};    // empty: none; else made, and to be removed
  std::uint64_t address_space_max = 0;  // bytes; 0: no limit
  std::string text = {};                // for people; empty: nothing is limited
};

// Folders of cgroups below which ours may be, best first: beside the cgroup we are in, for one that
// has processes cannot also have children with limits, then in it. From the text of /proc/self's
// `mounts` and `cgroup`.
std::vector<std::filesystem::path> cgroup_parents(std::string_view mounts, std::string_view cgroup);

// Makes the cgroup of `spec` below the first of `parents` that allows it.
Limits limit(const Spec& spec, const std::vector<std::filesystem::path>& parents);
Limits limit(const Spec& spec);

}  // namespace graymesh::workload
