// Fragments of one host as the one object that Istio wants: istiod keeps only the first
// VirtualService of a host in the mesh. Pure functions of objects as JSON.
#pragma once

#include "base/json.h"

namespace graymesh::cli {

// VirtualServices and DestinationRules of the hosts that the platform writes about, merged: routes
// of a release before a team's before the default's; subsets likewise, other fields by the first
// that has them. What is graymesh's alone (its annotations and labels of metadata) is left out.
nlohmann::json merged_for_istio(const nlohmann::json& virtual_services,
                                const nlohmann::json& destination_rules);

}  // namespace graymesh::cli
