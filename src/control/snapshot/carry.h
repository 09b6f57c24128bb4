// Equal values keep their address from one Snapshot to the next: so that "the same pointer" means
// "nothing to do" for whoever comes after.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

namespace graymesh::snapshot {

// `made`, or the one before if it is equal.
template <typename T>
std::shared_ptr<const T> carry(const std::shared_ptr<const T>& before, T made) {
  if (before && *before == made) return before;
  return std::make_shared<const T>(std::move(made));
}

// So that a map by std::string can be asked with a std::string_view.
struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept {
    return std::hash<std::string_view>{}(text);
  }
};

}  // namespace graymesh::snapshot
