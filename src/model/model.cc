#include "model/model.h"

#include <algorithm>

namespace graymesh::model {

std::string full_host(std::string_view host, std::string_view namespace_) {
  std::string full(host);
  if (host.empty() || host.front() == '*' || host.find_first_of(".:") != std::string_view::npos)
    return full;
  // Without a namespace (MeshConfig) there is nothing to complete it with.
  if (!namespace_.empty()) full.append(".").append(namespace_);
  return full.append(".svc.cluster.local");
}

bool host_matches(std::string_view pattern, std::string_view specific) {
  if (!pattern.starts_with('*')) return pattern == specific;
  const std::string_view suffix = pattern.substr(1);
  if (specific.starts_with('*'))
    return specific.size() >= pattern.size() && specific.ends_with(suffix);
  return specific.ends_with(suffix);
}

bool selects(const Labels& selector, const Labels& labels) {
  return std::all_of(selector.begin(), selector.end(), [&](const auto& wanted) {
    const auto found = labels.find(wanted.first);
    return found != labels.end() && found->second == wanted.second;
  });
}

}  // namespace graymesh::model
