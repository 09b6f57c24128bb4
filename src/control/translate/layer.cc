#include "control/translate/layer.h"

namespace graymesh::translate {
namespace {

using resource::ResourceSet;
using resource::ResourceSetPtr;
using Resources = Memo::Resources;

// The same content as before is the same object as before.
ResourceSetPtr share_with(const ResourceSetPtr& before, const Resources& made) {
  auto set = std::make_shared<ResourceSet>(made);
  if (!before) return set;
  Resources shared;
  shared.reserve(set->size());
  bool equal = set->size() == before->size();
  auto old = before->all().begin();
  const auto end = before->all().end();
  for (const auto& resource : set->all()) {
    while (old != end && (*old)->name() < resource->name()) ++old;
    const bool same = old != end && (*old)->name() == resource->name() &&
                      (*old)->version() == resource->version();
    shared.push_back(same ? *old : resource);
    equal = equal && same;
  }
  return equal ? before : std::make_shared<ResourceSet>(std::move(shared));
}

}  // namespace

Layer make_layer(const Layer* old, Inputs inputs, const Memo& root,
                 const std::function<Resources(Memo&)>& compute, Counts& counts) {
  if (old && old->set && old->inputs == inputs) {
    counts.reused.fetch_add(old->set->size(), std::memory_order_relaxed);
    return *old;
  }
  const auto memo = std::make_shared<Memo>(&root);
  Layer out;
  out.inputs = std::move(inputs);
  out.made = compute(*memo);
  const bool same = old && old->set && old->made == out.made;
  out.set = same ? old->set : share_with(old ? old->set : nullptr, out.made);
  out.memo = memo;
  counts.made.fetch_add(memo->made(), std::memory_order_relaxed);
  counts.reused.fetch_add(memo->reused(), std::memory_order_relaxed);
  return out;
}

}  // namespace graymesh::translate
