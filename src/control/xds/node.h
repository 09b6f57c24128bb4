// Who connects: Envoy's Node message to resource::Node, in Istio's way of writing it.
#pragma once

#include "base/result.h"
#include "control/resource/node.h"

namespace envoy::config::core::v3 {
class Node;
}

namespace graymesh::xds {

// invalid_argument, naming what is wrong, if an id that begins with "sidecar~" or "router~" isn't
// `kind~IP~name.namespace~domain`, or if there is no id at all. Other ids are free: Kind::other.
Result<resource::Node> read_node(const envoy::config::core::v3::Node& message);

}  // namespace graymesh::xds
