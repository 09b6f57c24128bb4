// Which objects the resources of proxies name as what they were made from, where one waits for an
// object to be everywhere.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "control/resource/resource.h"
#include "control/snapshot/snapshot.h"
#include "control/xds/xds.h"
#include "model/model.h"

namespace graymesh::api {

using Makers = std::set<std::string>;  // "VirtualService fe-pre/web"

// The object itself; of a Pod, a WorkloadEntry or an EndpointSlice the services whose endpoints it
// is, which may be none. invalid_argument: of its kind proxies hold nothing.
Result<Makers> makers_of(const model::Key& key, const model::Object& object,
                         const snapshot::Snapshot& snapshot);

// Of a proxy's refusals those of what was made from these, as `config`, which the proxy shall have,
// has it now: what was refused before and is mended since is not on them.
std::vector<xds::Refusal> refusals_of(const Makers& makers,
                                      const std::vector<xds::Refusal>& refusals,
                                      const resource::Config& config);

}  // namespace graymesh::api
