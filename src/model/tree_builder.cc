#include "model/tree_builder.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <unordered_set>
#include <utility>

namespace graymesh::model {

TreeBuilder::TreeBuilder(const TreeLimits& limits) : limits_(limits) {
  limits_.depth_max =
      std::min<std::size_t>(limits.depth_max, std::numeric_limits<std::uint8_t>::max());
  tree_.arena = std::make_unique<std::pmr::monotonic_buffer_resource>(4096);
}

bool TreeBuilder::fail(TreeFault fault) {
  if (!tree_.fault) tree_.fault = std::move(fault);
  return false;
}

Tree TreeBuilder::take() && {
  if (tree_.fault) tree_.root = nullptr;
  std::stable_sort(tree_.duplicates.begin(), tree_.duplicates.end(),
                   [](const Element* a, const Element* b) { return a->begin < b->begin; });
  return std::move(tree_);
}

Element* TreeBuilder::create(const Mark& mark) {
  Element* node = new (tree_.arena->allocate(sizeof(Element), alignof(Element))) Element;
  node->line = node->value_line = mark.line;
  node->column = mark.column;
  node->begin = mark.offset;
  return node;
}

std::string_view TreeBuilder::keep(std::string_view text) {
  if (text.empty()) return {};
  char* copy = static_cast<char*>(tree_.arena->allocate(text.size(), 1));
  std::memcpy(copy, text.data(), text.size());
  return {copy, text.size()};
}

bool TreeBuilder::count(std::size_t nodes, const Mark& mark) {
  nodes_ += nodes;
  if (nodes_ <= limits_.nodes_max) return true;
  return fail({mark.line, fmt::format("has more than {} nodes, aliases counted as copies",
                                      limits_.nodes_max)});
}

void TreeBuilder::append(Frame& frame, Element* node) {
  node->parent = frame.node;
  node->next = nullptr;
  (frame.last != nullptr ? frame.last->next : frame.node->first) = node;
  frame.last = node;
  ++frame.node->size;
}

// Puts a value where the walk stands: the root, the next of a sequence, or under the waiting key.
bool TreeBuilder::attach(Element* node, const Mark& mark) {
  if (stack_.empty()) {
    tree_.root = node;
    return true;
  }
  Frame& frame = stack_.back();
  if (frame.node->is_sequence()) {
    append(frame, node);
    return true;
  }
  if (!frame.has_key)
    return fail({mark.line, "has a key that is a mapping or a sequence, must be text"});
  frame.has_key = false;
  if (frame.merge) return take_merge(frame, node, mark);
  node->key = frame.key;
  node->line = frame.key_line;
  append(frame, node);
  return true;
}

bool TreeBuilder::begin(Element::Kind kind, const Mark& mark, std::string_view anchor) {
  if (stack_.size() >= limits_.depth_max) {
    return fail({mark.line, fmt::format("is nested deeper than {} levels", limits_.depth_max)});
  }
  if (!count(1, mark)) return false;
  Element* node = create(mark);
  node->kind = kind;
  node->plain = false;
  node->open = true;
  if (!anchor.empty()) anchors_[keep(anchor)] = node;
  // A merge is taken when its mapping is complete.
  const bool merge = !stack_.empty() && stack_.back().node->is_mapping() && stack_.back().merge &&
                     stack_.back().has_key;
  if (!merge && !attach(node, mark)) return false;
  stack_.push_back({.node = node,
                    .last = nullptr,
                    .key = {},
                    .key_line = 0,
                    .has_key = false,
                    .merge = false,
                    .merges = {}});
  return true;
}

bool TreeBuilder::end(std::uint32_t offset) {
  Frame frame = std::move(stack_.back());
  stack_.pop_back();
  Element* node = frame.node;
  node->open = false;
  node->end = offset;
  const Mark mark{node->value_line, node->column, node->begin};
  if (node->is_mapping()) {
    drop_duplicates(frame);
    if (!frame.merges.empty() && !merge_into(frame)) return false;
  }
  std::uint64_t weight = 1;
  std::uint8_t height = 0;
  for (const Element* child = node->first; child != nullptr; child = child->next) {
    weight += child->weight;
    height = std::max(height, child->height);
  }
  node->weight = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(weight, std::numeric_limits<std::uint32_t>::max()));
  node->height = static_cast<std::uint8_t>(height + 1);
  if (!stack_.empty() && stack_.back().merge && stack_.back().has_key) return attach(node, mark);
  return true;
}

bool TreeBuilder::scalar(const Mark& mark, std::uint32_t end, std::string_view text, bool plain,
                         bool block, std::string_view anchor) {
  if (!stack_.empty() && stack_.back().node->is_mapping() && !stack_.back().has_key) {
    Frame& frame = stack_.back();
    frame.has_key = true;
    frame.merge = plain && text == "<<";
    frame.key = keep(text);
    frame.key_line = mark.line;
    return true;
  }
  if (!count(1, mark)) return false;
  Element* node = create(mark);
  node->text = keep(text);
  node->plain = plain;
  node->block = block;
  node->end = end;
  if (!anchor.empty()) anchors_[keep(anchor)] = node;
  return attach(node, mark);
}

bool TreeBuilder::alias(const Mark& mark, std::string_view anchor) {
  const auto found = anchors_.find(anchor);
  if (found == anchors_.end())
    return fail({mark.line, fmt::format("alias *{} has no anchor &{} before it", anchor, anchor)});
  const Element* target = found->second;
  if (target->open)
    return fail({mark.line, fmt::format("alias *{} stands inside its own anchor", anchor)});
  if (!stack_.empty() && stack_.back().node->is_mapping() && !stack_.back().has_key) {
    if (!target->is_scalar())
      return fail({mark.line, "has a key that is a mapping or a sequence, must be text"});
    return scalar(mark, mark.offset, target->text, false, false, {});
  }
  if (!count(target->weight, mark)) return false;
  if (stack_.size() + target->height > limits_.depth_max) {
    return fail({mark.line, fmt::format("is nested deeper than {} levels", limits_.depth_max)});
  }
  Element* node = create(mark);
  *node = *target;
  node->line = mark.line;
  node->key = {};
  node->next = nullptr;
  return attach(node, mark);
}

bool TreeBuilder::take_merge(Frame& frame, const Element* node, const Mark& mark) {
  frame.merge = false;
  constexpr std::string_view rule = "merge key << must have a mapping, or a sequence of mappings";
  if (node->is_mapping()) {
    frame.merges.push_back(node);
    return true;
  }
  if (!node->is_sequence()) return fail({mark.line, std::string(rule)});
  for (const Element* item = node->first; item != nullptr; item = item->next) {
    if (!item->is_mapping()) return fail({mark.line, std::string(rule)});
    frame.merges.push_back(item);
  }
  return true;
}

// YAML 1.1: a mapping's own keys win over merged ones, earlier merges over later ones.
bool TreeBuilder::merge_into(Frame& frame) {
  std::unordered_set<std::string_view> keys;
  for (const Element* child = frame.node->first; child != nullptr; child = child->next)
    keys.insert(child->key);
  for (const Element* merged : frame.merges) {
    for (const Element* child = merged->first; child != nullptr; child = child->next) {
      const Mark mark{child->line, child->column, child->begin};
      if (!count(child->weight, mark)) return false;
      if (!keys.insert(child->key).second) continue;
      Element* copy = create(mark);
      *copy = *child;
      append(frame, copy);
    }
  }
  return true;
}

void TreeBuilder::drop_duplicates(Frame& frame) {
  constexpr std::uint32_t few = 16;  // below it, comparing each with each is faster than hashing
  std::unordered_set<std::string_view> seen;
  const bool hash = frame.node->size > few;
  Element* previous = nullptr;
  for (Element* child = frame.node->first; child != nullptr;) {
    bool twice = false;
    if (hash) {
      twice = !seen.insert(child->key).second;
    } else {
      for (const Element* other = frame.node->first; other != child && !twice;
           other = other->next) {
        twice = other->key == child->key;
      }
    }
    Element* next = child->next;
    if (twice) {
      tree_.duplicates.push_back(child);
      previous->next = next;
      if (frame.last == child) frame.last = previous;
      --frame.node->size;
    } else {
      previous = child;
    }
    child = next;
  }
}

}  // namespace graymesh::model
