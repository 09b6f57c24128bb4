// Inside the room: what one scope gives, type by type, and how much of it is still the same after
// the next Snapshot.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "control/resource/resource.h"
#include "control/translate/memo.h"

namespace graymesh::translate {

// The parts of a Snapshot that a Layer was made from. Equal addresses mean an equal result.
using Inputs = std::vector<std::shared_ptr<const void>>;

struct Layer {
  Inputs inputs;
  Memo::Resources made;              // in the order in which they were made
  resource::ResourceSetPtr set;      // null: this scope has nothing of this type
  std::shared_ptr<const Memo> memo;  // keeps alive what it was made from
};

struct Part {
  std::array<Layer, resource::type_count> layers;

  const Layer& of(resource::Type type) const { return layers[static_cast<std::size_t>(type)]; }
  Layer& of(resource::Type type) { return layers[static_cast<std::size_t>(type)]; }
};
using PartPtr = std::shared_ptr<const Part>;

struct Counts {
  std::atomic<std::size_t> made{0}, reused{0};
};

// `old` (may be null) itself if it was made from the same inputs. Else what `compute` gives, with
// the help of a memo that shares `root`'s table; resources, and the whole set, whose bytes came out
// as they were in `old` stay the very same objects.
Layer make_layer(const Layer* old, Inputs inputs, const Memo& root,
                 const std::function<Memo::Resources(Memo&)>& compute, Counts& counts);

}  // namespace graymesh::translate
