// JSON into a TreeBuilder.
#pragma once

#include <string_view>

#include "model/tree_builder.h"

namespace graymesh::model {

// True if the first character that is not blank is `{` or `[`.
bool looks_like_json(std::string_view text);

// False if `text` is not JSON, or the builder failed (which says why).
bool read_json(std::string_view text, int first_line, TreeBuilder& builder);

}  // namespace graymesh::model
