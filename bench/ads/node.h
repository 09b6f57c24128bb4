// Who a stream says it is: a file of JSON lines, each a sidecar (tools/gen_mesh.py writes it beside
// a mesh): {"ip":"10.128.0.1","ns":"ns-00","svc":"svc-0000","name":"svc-0000-prod-0","labels":{..}}
// and perhaps "metadata": what its node shall carry beside, or instead.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace graymesh::ads {

struct Node {
  std::string id{};    // "sidecar~IP~NAME.NAMESPACE~NAMESPACE.svc.cluster.local"
  std::string wire{};  // envoy.config.core.v3.Node, serialised
};

Result<std::vector<Node>> read_nodes(const std::string& file, std::size_t count);

}  // namespace graymesh::ads
