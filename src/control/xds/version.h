// The version of a state-of-the-world response: a hash of what is in it, so that it is the same on
// every replica, and a proxy that comes back with it need not be sent the same again.
#pragma once

#include <string>
#include <vector>

#include "base/hash.h"
#include "control/resource/resource.h"

namespace graymesh::xds {

// Order counts: give them as they are sent.
inline std::string version_of(const std::vector<const resource::ResourcePtr*>& resources) {
  std::uint64_t hash = resources.size();
  for (const auto& resource : resources)
    hash = hash64((*resource)->name(), hash ^ (*resource)->version());
  return to_hex(hash);
}

}  // namespace graymesh::xds
