// Which of the resources in a response a proxy means when it refuses it.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace graymesh::xds {

// Positions of the `names` that `error` names. Envoy applies what is good in a CDS or LDS response
// and lists the rest: "Error adding/updating cluster(s) a: why, b: why"; gRPC lists "a: why" too.
// So a name counts where a colon follows and no letter of a name is before it.
std::vector<std::size_t> named_in(std::string_view error, std::span<const std::string_view> names);

}  // namespace graymesh::xds
