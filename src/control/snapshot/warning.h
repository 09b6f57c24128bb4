// How this room words its warnings.
#pragma once

#include <string>

#include "model/model.h"

namespace graymesh::snapshot {

// Of a field of `object`; without a line of its own (position.line 0) the object's counts.
model::Problem warning(const model::Object& object, const model::Position& position,
                       std::string field, std::string value, std::string rule);

// "VirtualService shop/web at web.yaml:12"
std::string place_of(const model::Object& object);

}  // namespace graymesh::snapshot
