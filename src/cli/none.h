// What lists say that have nothing to show.
#pragma once

#include <string>

namespace graymesh::cli {

// For people who see a table without a line: that there are no `things`, and where not.
void tell_none(const std::string& things, const std::string& namespace_, bool all_namespaces);

}  // namespace graymesh::cli
