// The end of all instances of a folder without a Runtime, for `graymesh down`.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace graymesh::workload {

// Instances below `folder` (of ProcessOptions) whose keeper lives: "NAMESPACE.NAME", sorted.
std::vector<std::string> living_instances(const std::filesystem::path& folder);

// Ends all instances below `folder`, also where graymeshd died: gateways first, so that nothing
// comes in any more, then the others, each as Runtime::release() would; one that does not end in
// its time is killed, and so is what a dead keeper left. Their folders stay. `told` hears of each
// that has ended, and how many are left. failed_precondition while a Runtime has the folder.
struct EndedInstances {
  std::size_t ended = 0;
  std::size_t killed = 0;  // of them, the hard way
};
Result<EndedInstances> end_instances(
    const std::filesystem::path& folder,
    const std::function<void(const std::string& name, std::size_t left)>& told);

}  // namespace graymesh::workload
