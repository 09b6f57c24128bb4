#include "control/snapshot/visibility.h"

#include <algorithm>

namespace graymesh::snapshot {

bool Visibility::to(std::string_view namespace_) const {
  return everywhere || std::ranges::binary_search(namespaces, namespace_);
}

Visibility visibility_of(const std::vector<std::string>& export_to, std::string_view namespace_,
                         const std::vector<std::string>& defaults) {
  const auto& given = export_to.empty() ? defaults : export_to;
  if (given.empty() || std::ranges::count(given, "*") != 0) return {};

  Visibility result{.everywhere = false, .namespaces = {}};
  if (std::ranges::count(given, "~") != 0) return result;
  for (const auto& name : given) {
    result.namespaces.push_back(name == "." ? std::string(namespace_) : name);
  }
  auto& names = result.namespaces;
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return result;
}

std::vector<std::string> comma_list(std::string_view text) {
  std::vector<std::string> result;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    std::string_view word = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    while (!word.empty() && word.front() == ' ') word.remove_prefix(1);
    while (!word.empty() && word.back() == ' ') word.remove_suffix(1);
    if (!word.empty()) result.emplace_back(word);
  }
  return result;
}

}  // namespace graymesh::snapshot
