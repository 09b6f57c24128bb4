#include "control/xds/refusal.h"

#include <algorithm>
#include <string>

namespace graymesh::xds {
namespace {

// What stands before a name in a list of errors, where it is not the name's own letter.
bool ends_before(char c) {
  constexpr std::string_view separators = " \t\n,;[('\"";
  return separators.find(c) != std::string_view::npos;
}

bool names(std::string_view error, std::string_view name) {
  if (name.empty()) return false;
  const std::string wanted = std::string(name) + ":";
  for (auto at = error.find(wanted); at != std::string_view::npos;
       at = error.find(wanted, at + 1)) {
    if (at == 0 || ends_before(error[at - 1])) return true;
  }
  return false;
}

}  // namespace

std::vector<std::size_t> named_in(std::string_view error, std::span<const std::string_view> list) {
  // The words come from the proxy, and each name is looked for in all of them: bound the product.
  constexpr std::size_t error_bytes_max = 64u << 10;
  error = error.substr(0, error_bytes_max);
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (names(error, list[i])) found.push_back(i);
  }
  return found;
}

}  // namespace graymesh::xds
