#include "cli/none.h"

#include <fmt/core.h>

#include <cstdio>

namespace graymesh::cli {

void tell_none(const std::string& things, const std::string& namespace_, bool all_namespaces) {
  if (all_namespaces) {
    fmt::print(stderr, "there are no {}\n", things);
  } else {
    fmt::print(stderr, "there are no {} in namespace {} (-n names another, -A is all)\n", things,
               namespace_);
  }
}

}  // namespace graymesh::cli
