// Hosts and wildcards by name, to find one that covers a host without comparing each with each: a
// VirtualService may have some hundred thousand of them before it is too large.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "model/rules.h"

namespace graymesh::model {

class HostIndex {
 public:
  static constexpr std::size_t nowhere = static_cast<std::size_t>(-1);

  // The first of equal hosts is kept.
  void add(std::string_view host, std::size_t place) { places_.emplace(host, place); }

  // Where a host or wildcard stands that covers all of `host`, not counting `except`.
  std::optional<std::size_t> covering(std::string_view host, std::size_t except = nowhere) const {
    if (const auto place = find(std::string(host), except)) return place;
    for (std::size_t at = is_wildcard(host) ? 1 : 0; at <= host.size(); ++at) {
      std::string wildcard = "*";
      if (const auto place = find(wildcard.append(host.substr(at)), except)) return place;
    }
    return std::nullopt;
  }

 private:
  std::optional<std::size_t> find(const std::string& host, std::size_t except) const {
    const auto found = places_.find(host);
    if (found == places_.end() || found->second == except) return std::nullopt;
    return found->second;
  }

  std::unordered_map<std::string, std::size_t> places_;
};

}  // namespace graymesh::model
