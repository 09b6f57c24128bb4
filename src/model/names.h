// Names of objects as others write them.
#pragma once

#include <string>
#include <string_view>

namespace graymesh::model {

// Of a Gateway, as a VirtualService of `namespace_` names it: "public" in namespace "shop" is
// "shop/public"; "mesh" stays.
std::string gateway_name(std::string_view name, std::string_view namespace_);

}  // namespace graymesh::model
