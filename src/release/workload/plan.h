// What to do so that what is becomes what shall be. Pure: from the wanted groups and the living
// instances to which start and which leave. Asked again after each change, it rolls a group:
//
//   wanted 2 of T2, living web-1 web-2 (T1)               -> start web-3, web-4
//   ... web-3 web-4 of T2, not all ready                  -> nothing
//   ... both ready                                        -> web-1, web-2 leave
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "release/workload/workload.h"

namespace graymesh::workload {

// An instance as far as the plan is concerned.
struct Living {
  std::string namespace_;
  std::string group;
  std::string name;
  const Template* pod = nullptr;
  bool outdated = false;  // counts as another template: its sidecar would be started otherwise now
  Instance::Phase phase = Instance::Phase::starting;
};

struct Steps {
  struct Start {
    const Group* group = nullptr;
    std::string name;
  };
  std::vector<Start> start;
  std::vector<const Living*> leave;
};

Steps plan(std::span<const Group> wanted, std::span<const Living> living);

// invalid_argument names everything that cannot be run.
Status check(std::span<const Group> wanted);

}  // namespace graymesh::workload
