// Who may see an object: exportTo (docs/translation.md 7.1).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/snapshot/snapshot.h"

namespace graymesh::snapshot {

// `defaults` are MeshConfig's, used where `export_to` is empty; none at all: everybody.
Visibility visibility_of(const std::vector<std::string>& export_to, std::string_view namespace_,
                         const std::vector<std::string>& defaults);

// "a, b ,c" cut at its commas.
std::vector<std::string> comma_list(std::string_view text);

}  // namespace graymesh::snapshot
