// A child process in a group of its own, which the kernel kills when our main thread dies.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/descriptor.h"
#include "base/result.h"

namespace graymesh::workload {

struct Launch {
  std::string program = {};  // the file; empty: command[0], looked for on PATH
  std::vector<std::string> command = {};
  std::map<std::string, std::string> environment = {};  // over ours
  std::string directory = {};                           // empty: ours
  std::filesystem::path cgroup = {};                    // joined before exec; empty: stays in ours
  std::uint64_t address_space_max = 0;                  // bytes; 0: no limit
  bool quiet = false;                                   // what it prints goes nowhere
};

struct Child {
  pid_t pid = 0;
  Descriptor output;  // what it prints, to be read without waiting; -1 if quiet
};

// A program that cannot be run shows as one that prints why and ends with code 127.
// resource_exhausted: the machine has no room for a process.
Result<Child> start(const Launch& launch);

// "exited with code 1", "was killed by signal 9 (Killed)".
std::string describe_end(int wait_status);

}  // namespace graymesh::workload
