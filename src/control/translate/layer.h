// Inside the room: what one scope gives, type by type, and how much of it is still the same after
// the next Snapshot.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "base/pieces.h"
#include "control/resource/resource.h"
#include "control/translate/answers.h"
#include "control/translate/memo.h"

namespace graymesh::translate {

// The parts of a Snapshot that a Layer was made from. Equal addresses mean an equal result.
using Inputs = std::vector<std::shared_ptr<const void>>;

struct Layer {
  Inputs inputs;
  resource::ResourceSetPtr set;  // null: this scope has nothing of this type
  // Keep alive what it was made from. Made as a whole: the resources in the order in which they
  // were made, and the memo.
  Memo::Resources made;
  std::shared_ptr<const Memo> memo;
  // Made service by service (endpoints): for whom, and what each gave.
  AnswersPtr answers;
  Pieces<BundlePtr> bundles;
};
using LayerPtr = std::shared_ptr<const Layer>;

struct Part {
  std::array<LayerPtr, resource::type_count> layers;

  const LayerPtr& of(resource::Type type) const { return layers[static_cast<std::size_t>(type)]; }
  LayerPtr& of(resource::Type type) { return layers[static_cast<std::size_t>(type)]; }
};
using PartPtr = std::shared_ptr<const Part>;

struct Counts {
  std::atomic<std::size_t> made{0}, reused{0};
};

// `old` (may be null) itself if it was made from the same inputs. Else what `compute` gives, with
// the help of a memo that shares `root`'s table; resources, and the whole set, whose bytes came out
// as they were in `old` stay the very same objects.
LayerPtr make_layer(const LayerPtr& old, Inputs inputs, const Memo& root,
                    const std::function<Memo::Resources(Memo&)>& compute, Counts& counts);

// The same, service by service: `compute` gives those of one of `answers`. Of an `old` one with the
// same inputs and services only those are asked for whose endpoints moved.
using ComputeOne =
    std::function<BundlePtr(const snapshot::SeenService&, const snapshot::EndpointsPtr&, Memo&)>;
LayerPtr make_layer(const LayerPtr& old, Inputs inputs, const AnswersPtr& answers, const Memo& root,
                    const ComputeOne& compute, Counts& counts);

}  // namespace graymesh::translate
