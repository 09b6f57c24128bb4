// Waiting until an object is everywhere, for `wait` and `apply --wait`.
#pragma once

#include <chrono>
#include <string>

#include "cli/command.h"
#include "cli/table.h"

namespace graymesh::cli {

struct Awaited {
  std::string kind, namespace_, name;  // of cluster-wide kinds: no namespace
  bool one_of_many = false;            // passed over if nobody can wait for its kind
};

// Prints the receipt, and answers with an exit code.
int wait_for(const Common& common, const Awaited& object, std::chrono::seconds timeout,
             Output output);

}  // namespace graymesh::cli
