// A document as JSON, for programs that ask for objects.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace graymesh::model {

// One YAML (or JSON) document as compact JSON: plain null, true, false and numbers become
// themselves (YAML 1.2 core schema), everything else a string. invalid_argument if it cannot be
// read.
Result<std::string> to_json(std::string_view document);

}  // namespace graymesh::model
