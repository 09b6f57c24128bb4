#include "model/tree.h"

#include <fmt/core.h>
#include <simdjson.h>
#include <yaml.h>

#include <algorithm>
#include <limits>
#include <new>
#include <utility>

#include "model/tree_builder.h"
#include "model/tree_json.h"

namespace graymesh::model {

bool Element::is_null() const {
  return is_scalar() && plain &&
         (text.empty() || text == "null" || text == "~" || text == "Null" || text == "NULL");
}

const Element* Element::find(std::string_view name) const {
  if (!is_mapping()) return nullptr;
  for (const Element* child = first; child != nullptr; child = child->next) {
    if (child->key == name) return child;
  }
  return nullptr;
}

namespace {

// libyaml's parser with its event, freed on every way out.
class Parser {
 public:
  explicit Parser(std::string_view text) {
    if (yaml_parser_initialize(&parser_) == 0) throw std::bad_alloc();
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    if (text.data() == nullptr) text = "";  // libyaml asks for an address
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
  }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;
  ~Parser() {
    drop();
    yaml_parser_delete(&parser_);
  }

  // The next event, valid until the next call; null on a syntax error.
  const yaml_event_t* next() {
    drop();
    full_ = yaml_parser_parse(&parser_, &event_) != 0;
    return full_ ? &event_ : nullptr;
  }

  TreeFault fault(int first_line) const {
    const char* problem = parser_.problem != nullptr ? parser_.problem : "unknown error";
    std::string rule = fmt::format("is not YAML: {}", problem);
    if (parser_.context != nullptr) rule += fmt::format(" {}", parser_.context);
    // libyaml's one difference from the other YAML libraries: `[::1]`, `{a: b:}`.
    if (rule.find("unexpected ':'") != std::string::npos) rule += "; put it in quotes";
    return {
        first_line + static_cast<int>(std::min<std::size_t>(parser_.problem_mark.line, 1u << 30)),
        std::move(rule)};
  }

 private:
  void drop() {
    if (full_) yaml_event_delete(&event_);
    full_ = false;
  }

  yaml_parser_t parser_{};
  yaml_event_t event_{};
  bool full_ = false;
};

std::string_view view(const yaml_char_t* text) {
  return text == nullptr ? std::string_view() : reinterpret_cast<const char*>(text);
}

// libyaml counts characters; this turns its marks into bytes, going forward through the text.
class Offsets {
 public:
  explicit Offsets(std::string_view text)
      : text_(text),
        ascii_(std::none_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; })) {}

  std::uint32_t at(std::size_t character) {
    if (ascii_) return static_cast<std::uint32_t>(std::min(character, text_.size()));
    if (character < character_) character_ = byte_ = 0;
    while (character_ < character && byte_ < text_.size()) {
      ++byte_;
      while (byte_ < text_.size() && (text_[byte_] & 0xC0) == 0x80) ++byte_;
      ++character_;
    }
    return static_cast<std::uint32_t>(byte_);
  }

 private:
  std::string_view text_;
  bool ascii_;
  std::size_t character_ = 0;
  std::size_t byte_ = 0;
};

enum class Tag : std::uint8_t { none, string, other_standard, unknown };

Tag tag_of(std::string_view tag) {
  constexpr std::string_view standard = "tag:yaml.org,2002:";
  if (tag.empty()) return Tag::none;
  if (tag == "!") return Tag::string;
  if (!tag.starts_with(standard)) return Tag::unknown;
  tag.remove_prefix(standard.size());
  if (tag == "str") return Tag::string;
  for (const auto known : {"int", "float", "bool", "null", "map", "seq"}) {
    if (tag == known) return Tag::other_standard;
  }
  return Tag::unknown;
}

// Takes events to a TreeBuilder; false when there is no more to do.
class EventReader {
 public:
  EventReader(std::string_view text, int first_line, TreeBuilder& builder)
      : parser_(text), offsets_(text), first_line_(first_line), builder_(builder) {}

  void run() {
    while (const yaml_event_t* event = parser_.next()) {
      if (!take(*event) || builder_.failed()) return;
    }
    builder_.fail(parser_.fault(first_line_));
  }

 private:
  int line(const yaml_mark_t& mark) const { return first_line_ + static_cast<int>(mark.line); }

  Mark mark(const yaml_event_t& event) {
    return {line(event.start_mark), static_cast<int>(event.start_mark.column),
            offsets_.at(event.start_mark.index)};
  }

  bool take(const yaml_event_t& event) {
    switch (event.type) {
      case YAML_STREAM_END_EVENT:
        return false;
      case YAML_DOCUMENT_START_EVENT:
        if (++documents_ > 1) {
          builder_.fail({line(event.start_mark),
                         "is not YAML: a second document starts without a line `---` before it"});
        }
        return true;
      case YAML_SCALAR_EVENT:
        return scalar(event);
      case YAML_SEQUENCE_START_EVENT:
        return tagged(event.data.sequence_start.tag, event) &&
               builder_.begin(Element::Kind::sequence, mark(event),
                              view(event.data.sequence_start.anchor));
      case YAML_MAPPING_START_EVENT:
        return tagged(event.data.mapping_start.tag, event) &&
               builder_.begin(Element::Kind::mapping, mark(event),
                              view(event.data.mapping_start.anchor));
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT:
        return builder_.end(offsets_.at(event.end_mark.index));
      case YAML_ALIAS_EVENT:
        return builder_.alias(mark(event), view(event.data.alias.anchor));
      default:
        return true;
    }
  }

  bool tagged(const yaml_char_t* tag, const yaml_event_t& event) {
    if (tag_of(view(tag)) != Tag::unknown) return true;
    return builder_.fail(
        {line(event.start_mark), fmt::format("tag {} is not known here", view(tag))});
  }

  bool scalar(const yaml_event_t& event) {
    const auto& data = event.data.scalar;
    if (!tagged(data.tag, event)) return false;
    const bool block =
        data.style == YAML_LITERAL_SCALAR_STYLE || data.style == YAML_FOLDED_SCALAR_STYLE;
    const bool plain =
        data.style == YAML_PLAIN_SCALAR_STYLE && tag_of(view(data.tag)) != Tag::string;
    return builder_.scalar(mark(event), offsets_.at(event.end_mark.index),
                           {reinterpret_cast<const char*>(data.value), data.length}, plain, block,
                           view(data.anchor));
  }

  Parser parser_;
  Offsets offsets_;
  int first_line_;
  int documents_ = 0;
  TreeBuilder& builder_;
};

std::optional<TreeFault> unreadable(std::string_view text, int first_line) {
  const auto line_of = [&](std::size_t offset) {
    return first_line +
           static_cast<int>(
               std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n'));
  };
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
    return TreeFault{first_line, "is UTF-16, must be UTF-8"};
  }
  if (const auto nul = text.find('\0'); nul != std::string_view::npos) {
    return TreeFault{line_of(nul), "is binary (it has a zero byte), must be YAML or JSON"};
  }
  if (!simdjson::validate_utf8(text.data(), text.size())) {
    return TreeFault{first_line, "is not UTF-8, must be YAML or JSON in UTF-8"};
  }
  if (text.size() > std::numeric_limits<std::uint32_t>::max()) {
    return TreeFault{first_line, "is larger than 4 GiB"};
  }
  return std::nullopt;
}

}  // namespace

Tree parse(std::string_view text, int first_line, const TreeLimits& limits) {
  Tree tree;
  if (auto fault = unreadable(text, first_line)) {
    tree.fault = std::move(fault);
    return tree;
  }
  if (looks_like_json(text)) {
    TreeBuilder builder(limits);
    if (read_json(text, first_line, builder) || builder.failed()) return std::move(builder).take();
  }
  TreeBuilder builder(limits);
  EventReader(text, first_line, builder).run();
  return std::move(builder).take();
}

}  // namespace graymesh::model
