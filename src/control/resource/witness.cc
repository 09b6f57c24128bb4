#include "control/resource/witness.h"

#include <unordered_set>

namespace graymesh::resource {

Possession::All Possession::all() const {
  All all;
  const auto add = [&all](const ResourcePtr& resource, bool is_claimed) {
    if (is_claimed)
      all.claimed.push_back(resource->name());
    else
      all.held.push_back(resource);
  };
  std::unordered_set<std::uint64_t> differs;
  for (const auto& exception : exceptions) differs.insert(exception.name_hash);
  for (const auto& layer : layers) {
    for (const auto& resource : layer.set->all()) {
      if (!differs.contains(resource->name_hash())) add(resource, layer.claimed);
    }
  }
  for (const auto& exception : exceptions) {
    if (exception.held) add(exception.held, exception.claimed);
  }
  return all;
}

}  // namespace graymesh::resource
