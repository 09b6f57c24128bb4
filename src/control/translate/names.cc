// Cluster names are Istio's, four parts by `|` (docs/translation.md 2.1): dashboards, statistics
// tags and people read them.
#include <string>

#include "control/translate/parts.h"

namespace graymesh::translate {

std::string outbound_cluster_name(std::uint32_t port, std::string_view subset,
                                  std::string_view host) {
  std::string name = "outbound|" + std::to_string(port);
  name.append("|").append(subset).append("|").append(host);
  return name;
}

std::string inbound_cluster_name(std::uint32_t port) {
  return "inbound|" + std::to_string(port) + "||";
}

}  // namespace graymesh::translate
