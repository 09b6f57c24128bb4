// The objects of a mesh, sorted into namespaces and kinds.
//
// Nearly everything is derived within a namespace: a Service's endpoints, a DestinationRule's
// merge. So a namespace in which no object changed keeps its NamespaceObjects, by address, and with
// it all that was derived from them; so does each kind's list in a namespace that changed.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/snapshot/snapshot.h"
#include "model/model.h"

namespace graymesh::snapshot {

struct NamespaceObjects {
  static constexpr std::size_t kinds = std::variant_size_v<model::Spec>;
  using List = std::vector<model::ObjectPtr>;              // sorted by name
  std::array<std::shared_ptr<const List>, kinds> by_kind;  // null: none

  const List& of(model::Kind kind) const;
  model::ObjectPtr find(model::Kind kind, std::string_view name) const;  // null if there is none
  bool empty() const;
};
using NamespaceObjectsPtr = std::shared_ptr<const NamespaceObjects>;

struct Objects {
  // By namespace; those of the whole cluster (Node, Namespace) under "".
  std::map<std::string, NamespaceObjectsPtr, std::less<>> namespaces;

  model::ObjectPtr find(const model::Key& key) const;  // null if there is none
};

// Of two objects with one key, the later counts.
Objects arrange(std::span<const model::ObjectPtr> objects);
// What leads from `previous` to these objects.
Changes changes_to(std::span<const model::ObjectPtr> objects, const Objects& previous);
// Costs what the lists cost that change, and not what all objects do.
Objects arrange(const Changes& changes, const Objects& previous);

// True if both hold the same objects of this kind. Either may be null: no objects.
bool same_objects(const NamespaceObjects* a, const NamespaceObjects* b, model::Kind kind);

}  // namespace graymesh::snapshot
