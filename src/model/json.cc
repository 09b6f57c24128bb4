#include "model/json.h"

#include <fmt/core.h>

#include <cctype>

#include "model/tree.h"

namespace graymesh::model {
namespace {

void append_string(std::string& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (byte < 0x20) {
          out += fmt::format("\\u{:04x}", byte);
        } else {
          out.push_back(c);
        }
    }
  }
  out.push_back('"');
}

// RFC 8259 6: -? int frac? exp?. What YAML allows beyond it (0x1f, .5, +1) stays a string.
bool is_json_number(std::string_view text) {
  std::size_t at = 0;
  const auto digits = [&] {
    const std::size_t begin = at;
    while (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0) ++at;
    return at > begin;
  };
  if (at < text.size() && text[at] == '-') ++at;
  if (at + 1 < text.size() && text[at] == '0' &&
      std::isdigit(static_cast<unsigned char>(text[at + 1])) != 0) {
    return false;
  }
  if (!digits()) return false;
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (!digits()) return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (!digits()) return false;
  }
  return at == text.size();
}

void append_scalar(std::string& out, const Element& node) {
  if (node.is_null()) {
    out += "null";
  } else if (node.plain &&
             (node.text == "true" || node.text == "false" || is_json_number(node.text))) {
    out += node.text;
  } else {
    append_string(out, node.text);
  }
}

// As deep as the tree, whose depth the reader bounds.
void append(std::string& out, const Element& node) {
  if (node.is_scalar()) return append_scalar(out, node);
  out.push_back(node.is_mapping() ? '{' : '[');
  for (const Element* child = node.first; child != nullptr; child = child->next) {
    if (child != node.first) out.push_back(',');
    if (node.is_mapping()) {
      append_string(out, child->key);
      out.push_back(':');
    }
    append(out, *child);
  }
  out.push_back(node.is_mapping() ? '}' : ']');
}

}  // namespace

Result<std::string> to_json(std::string_view document) {
  const Tree tree = parse(document);
  if (tree.fault) {
    return Error{Code::invalid_argument,
                 fmt::format("line {}: {}", tree.fault->line, tree.fault->rule)};
  }
  std::string out;
  if (tree.root == nullptr) return std::string("null");
  append(out, *tree.root);
  return out;
}

}  // namespace graymesh::model
