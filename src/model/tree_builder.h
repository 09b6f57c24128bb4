// Grows a Tree from a walk through a document: begin, scalar, alias, end, in the order of the text.
// Keeps the bounds, resolves anchors and merge keys (`<<`), and notices keys given twice.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/tree.h"

namespace graymesh::model {

struct Mark {
  int line = 0;
  int column = 0;
  std::uint32_t offset = 0;
};

class TreeBuilder {
 public:
  explicit TreeBuilder(const TreeLimits& limits);

  // Each is false, and the builder failed, if the document cannot be taken.
  bool begin(Element::Kind kind, const Mark& mark, std::string_view anchor);
  bool end(std::uint32_t offset);
  bool scalar(const Mark& mark, std::uint32_t end, std::string_view text, bool plain, bool block,
              std::string_view anchor);
  bool alias(const Mark& mark, std::string_view anchor);

  bool fail(TreeFault fault);  // always false
  bool failed() const { return tree_.fault.has_value(); }
  Tree take() &&;

 private:
  struct Frame {
    Element* node = nullptr;
    Element* last = nullptr;
    std::string_view key;  // waiting for its value
    int key_line = 0;
    bool has_key = false;
    bool merge = false;  // the waiting key is `<<`
    std::vector<const Element*> merges;
  };

  Element* create(const Mark& mark);
  std::string_view keep(std::string_view text);
  bool count(std::size_t nodes, const Mark& mark);
  bool attach(Element* node, const Mark& mark);
  bool take_merge(Frame& frame, const Element* node, const Mark& mark);
  bool merge_into(Frame& frame);
  void drop_duplicates(Frame& frame);
  static void append(Frame& frame, Element* node);

  TreeLimits limits_;
  Tree tree_;
  std::size_t nodes_ = 0;
  std::vector<Frame> stack_;
  std::unordered_map<std::string_view, const Element*> anchors_;
};

}  // namespace graymesh::model
