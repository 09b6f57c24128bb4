#include "control/translate/layer.h"

#include <algorithm>

namespace graymesh::translate {
namespace {

using resource::ResourcePtr;
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

// Adds to `changes` where `after` differs from what is in the set, which came from `before`. False:
// they are not the same names, or the set has one of them from somewhere else.
bool compare(const ResourceSet& set, const BundlePtr& before, const BundlePtr& after,
             Resources& changes) {
  if (!before || !after || before->size() != after->size()) return before == after;
  for (std::size_t i = 0; i < after->size(); ++i) {
    const ResourcePtr &was = (*before)[i], &is = (*after)[i];
    if (was->name() != is->name()) return false;
    if (was->version() == is->version()) continue;
    const auto* held = set.find(is->name());
    if (!held || (*held)->version() != was->version()) return false;
    changes.push_back(is);
  }
  return true;
}

// Of the same services under the same rules: `old`, but for those whose endpoints moved. Null: that
// is not all that changed.
std::shared_ptr<Layer> patched(const Layer& old, const AnswersPtr& answers, Memo& memo,
                               const ComputeOne& compute) {
  Resources changes;
  std::vector<Pieces<BundlePtr>::Change> moved;
  const auto &now = answers->endpoints, &then = old.answers->endpoints;
  const bool same_names = now.each_apart(then, [&](std::size_t i) {
    if (now[i] == then[i]) return true;
    auto bundle = compute((*answers->services)[i], now[i], memo);
    if (!compare(*old.set, old.bundles[i], bundle, changes)) return false;
    moved.emplace_back(i, std::move(bundle));
    return true;
  });
  if (!same_names) return nullptr;
  auto next = std::make_shared<Layer>();
  next->answers = answers;
  next->bundles = old.bundles.with(moved);
  next->set = changes.empty() ? old.set : old.set->with(changes);
  return next;
}

std::shared_ptr<Layer> from_all(const Layer* old, const AnswersPtr& answers, Memo& memo,
                                const ComputeOne& compute) {
  Resources all;
  std::vector<BundlePtr> bundles;
  bundles.reserve(answers->endpoints.size());
  for (std::size_t i = 0; i < answers->endpoints.size(); ++i) {
    auto bundle = compute((*answers->services)[i], answers->endpoints[i], memo);
    if (bundle) all.insert(all.end(), bundle->begin(), bundle->end());
    bundles.push_back(std::move(bundle));
  }
  auto next = std::make_shared<Layer>();
  next->answers = answers;
  next->bundles = Pieces<BundlePtr>(std::move(bundles));
  next->set = share_with(old ? old->set : nullptr, all);
  return next;
}

bool same_services(const Answers& a, const Answers& b) {
  return a.services == b.services || *a.services == *b.services;
}

}  // namespace

LayerPtr make_layer(const LayerPtr& old, Inputs inputs, const Memo& root,
                    const std::function<Resources(Memo&)>& compute, Counts& counts) {
  if (old && old->set && old->inputs == inputs) {
    counts.reused.fetch_add(old->set->size(), std::memory_order_relaxed);
    return old;
  }
  const auto memo = std::make_shared<Memo>(&root);
  auto out = std::make_shared<Layer>();
  out->inputs = std::move(inputs);
  out->made = compute(*memo);
  const bool same = old && old->set && old->made == out->made;
  out->set = same ? old->set : share_with(old ? old->set : nullptr, out->made);
  out->memo = memo;
  counts.made.fetch_add(memo->made(), std::memory_order_relaxed);
  counts.reused.fetch_add(memo->reused(), std::memory_order_relaxed);
  return out;
}

LayerPtr make_layer(const LayerPtr& old, Inputs inputs, const AnswersPtr& answers, const Memo& root,
                    const ComputeOne& compute, Counts& counts) {
  const bool same_inputs = old && old->set && old->answers && old->inputs == inputs;
  if (same_inputs && old->answers == answers) {
    counts.reused.fetch_add(old->set->size(), std::memory_order_relaxed);
    return old;
  }
  Memo memo(&root);
  std::shared_ptr<Layer> out;
  if (same_inputs && same_services(*old->answers, *answers))
    out = patched(*old, answers, memo, compute);
  if (!out) out = from_all(old.get(), answers, memo, compute);
  out->inputs = std::move(inputs);
  counts.made.fetch_add(memo.made(), std::memory_order_relaxed);
  counts.reused.fetch_add(out->set->size() - std::min(out->set->size(), memo.made()),
                          std::memory_order_relaxed);
  return out;
}

}  // namespace graymesh::translate
