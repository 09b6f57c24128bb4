// One document, of a known kind or not.
#pragma once

#include <string_view>
#include <vector>

#include "model/model.h"
#include "model/tree.h"

namespace graymesh::model {

// What the items of a PodList are, as they need not say it themselves; empty if they must.
struct ObjectType {
  std::string_view api_version;
  std::string_view kind;
};

// Reads the object at `root` of `tree`, written as `text`; `place` has its position and byte range.
// One document, but for Endpoints: one for each subset.
std::vector<Document> read_document(const Tree& tree, const Element& root, const ObjectType& type,
                                    std::string_view text, const Document& place);

}  // namespace graymesh::model
