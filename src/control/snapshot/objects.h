// The objects of a mesh, sorted into namespaces and kinds.
//
// Nearly everything is derived within a namespace: a Service's endpoints, a DestinationRule's
// merge. So a namespace in which no object changed keeps its NamespaceObjects, by address, and with
// it all that was derived from them. Objects that did not change keep their ObjectPtr between
// builds; that is how a change is found, without reading the objects.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/model.h"

namespace graymesh::snapshot {

struct NamespaceObjects {
  static constexpr std::size_t kinds = std::variant_size_v<model::Spec>;
  std::array<std::vector<model::ObjectPtr>, kinds> by_kind;  // each sorted by name

  const std::vector<model::ObjectPtr>& of(model::Kind kind) const {
    return by_kind[static_cast<std::size_t>(kind)];
  }
  model::ObjectPtr find(model::Kind kind, std::string_view name) const;  // null if there is none
  bool empty() const;
};
using NamespaceObjectsPtr = std::shared_ptr<const NamespaceObjects>;

struct Objects {
  std::vector<model::ObjectPtr> given;
  // By namespace; those of the whole cluster (Node, Namespace) under "".
  std::map<std::string, NamespaceObjectsPtr, std::less<>> namespaces;

  model::ObjectPtr find(const model::Key& key) const;  // null if there is none
};

// `previous` may be null. Of two objects with one key, the later counts.
Objects arrange(std::span<const model::ObjectPtr> objects, const Objects* previous);

// True if both hold the same objects of this kind. Either may be null: no objects.
bool same_objects(const NamespaceObjects* a, const NamespaceObjects* b, model::Kind kind);

}  // namespace graymesh::snapshot
