// What `-f` means: a file, a folder (recursively), or - for standard input.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace graymesh::cli {

struct Input {
  std::string name;  // the file's path; "-" for standard input
  std::string text;
};

// In the order given; the files of a folder (*.yaml, *.yml, *.json; no dot files) sorted by path.
// An input that names nothing is an error: a typo must not look like success.
Result<std::vector<Input>> read_inputs(const std::vector<std::string>& names);

}  // namespace graymesh::cli
