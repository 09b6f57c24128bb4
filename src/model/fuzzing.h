// What must hold for any bytes at all; the fuzz targets and the mutation test try to break it.
// Aborts, as only that is seen by a fuzzer.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "model/model.h"
#include "model/tree.h"

namespace graymesh::model {

inline void must_hold(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

// Small bounds, so that a run is quick and the bounds themselves are tried.
inline void try_read(std::string_view bytes) {
  const ReadLimits limits{
      .documents_max = 50, .nodes_max = 10'000, .depth_max = 16, .object_bytes_max = 1 << 16};
  const auto documents = read(bytes, "f", limits);
  must_hold(documents.size() <= limits.documents_max + 1 + 1000, "documents are bounded");
  for (const Document& document : documents) {
    const int kinds = (document.object != nullptr ? 1 : 0) + (document.errors.empty() ? 0 : 1) +
                      (document.passed_over.empty() ? 0 : 1);
    must_hold(kinds == 1, "a document is an object, or refused, or passed over");
    must_hold(document.begin <= document.end && document.end <= bytes.size(),
              "a document lies in its file");
    must_hold(document.object == nullptr || document.key == document.object->meta.key,
              "an object has its key");
    for (const Problem& problem : document.errors) {
      must_hold(!problem.rule.empty() && problem.position.line > 0,
                "a problem has a rule and a line");
      must_hold(problem.value.size() <= 80, "a problem's value is short");
    }
  }
  (void)read_mesh_config(bytes, "f");
}

inline std::size_t count_nodes(const Element& element) {
  std::size_t count = 1;
  for (const Element* child = element.first; child != nullptr; child = child->next)
    count += count_nodes(*child);
  return count;
}

inline void try_tree(std::string_view bytes) {
  const TreeLimits limits{.nodes_max = 10'000, .depth_max = 16};
  const Tree tree = parse(bytes, 1, limits);
  if (tree.root == nullptr) return;
  must_hold(!tree.fault, "a faulty document has no tree");
  must_hold(count_nodes(*tree.root) <= limits.nodes_max, "nodes are bounded, copies and all");
  must_hold(count_nodes(*tree.root) == tree.root->weight, "a weight counts nodes");
  must_hold(tree.root->height <= limits.depth_max + 1, "depth is bounded");
}

}  // namespace graymesh::model
