// One document of YAML or JSON as a tree, each node knowing the line it stands on.
//
// Built from libyaml's events (JSON: by a reader of our own) into an arena that goes away as a
// whole. A node of a mapping carries its key; children are a chain. An alias is a second header
// over the same children: reading goes through it as through a copy, and it is counted as one
// against `nodes_max`, so that a billion laughs is refused by arithmetic, before it costs memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace graymesh::model {

struct Element {
  enum class Kind : std::uint8_t { scalar, sequence, mapping };
  Kind kind = Kind::scalar;
  bool plain = true;         // a scalar without quotes, `|` or `>`: may be a number, bool or null
  bool block = false;        // a scalar written with `|` or `>`
  bool open = false;         // while it is being built
  std::uint8_t height = 1;   // levels of nodes from here down
  int line = 0;              // 1-based, of the node in a sequence, of the key in a mapping
  int value_line = 0;        // of the value itself
  int column = 0;            // 0-based, of the value's first character
  std::uint32_t size = 0;    // children
  std::uint32_t weight = 1;  // nodes from here down, with copies; saturates
  std::uint32_t begin = 0;   // of the value in the text given to parse, in bytes;
  std::uint32_t end = 0;     // block collections end where the next token begins
  std::string_view key;      // in a mapping
  std::string_view text;     // of a scalar
  const Element* parent = nullptr;
  Element* first = nullptr;
  Element* next = nullptr;

  bool is_mapping() const { return kind == Kind::mapping; }
  bool is_sequence() const { return kind == Kind::sequence; }
  bool is_scalar() const { return kind == Kind::scalar; }
  bool is_null() const;  // `null`, `~` or nothing at all

  // The value of `name` in a mapping; null if there is none.
  const Element* find(std::string_view name) const;
};

struct TreeLimits {
  std::size_t nodes_max = 4'000'000;  // with copies; at some 100 bytes each
  std::size_t depth_max = 64;
};

// Why there is no tree.
struct TreeFault {
  int line = 0;
  std::string rule;  // "is not YAML: did not find expected key"
};

struct Tree {
  std::unique_ptr<std::pmr::monotonic_buffer_resource> arena;
  const Element* root = nullptr;  // null if the text holds nothing but blanks and comments
  // Values whose key stood in the same mapping before; the tree keeps only the first.
  // In the order of the text.
  std::vector<const Element*> duplicates;
  std::optional<TreeFault> fault;
};

// Reads one document. Its first line counts as line `first_line`. `text` must outlive the tree.
Tree parse(std::string_view text, int first_line = 1, const TreeLimits& limits = {});

// A document as a part of a stream.
struct Piece {
  std::size_t begin = 0;  // bytes [begin, end) of the stream, without `---` and `...` lines
  std::size_t end = 0;
  int line = 1;  // of its first byte
};

// Cuts a stream at its `---` and `...` lines, which YAML allows nowhere else at the start of a
// line, so that a syntax error costs one document and not the rest. Leaves out empty pieces and
// directives. Stops after `pieces_max` + 1 pieces.
std::vector<Piece> split(std::string_view stream, std::size_t pieces_max);

}  // namespace graymesh::model
