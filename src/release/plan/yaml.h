// Inside the room: JSON values as YAML that people read. Every text is quoted as in JSON, which is
// YAML too, unless it is a plain word.
#pragma once

#include <string>

#include "base/json.h"

namespace graymesh::release {

std::string to_yaml(const nlohmann::ordered_json& value);

}  // namespace graymesh::release
