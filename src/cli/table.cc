#include "cli/table.h"

#include <algorithm>
#include <cctype>

#include "base/json.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

// Columns on a screen, not bytes: continuation bytes of UTF-8 take none.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// Plain scalars only where no reader could take them for something else.
std::string yaml_string(const std::string& text) {
  static const std::vector<std::string> words = {"null", "true", "false", "yes",
                                                 "no",   "on",   "off",   "~"};
  std::string lower = text;
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const bool plain =
      !text.empty() && std::isalpha(static_cast<unsigned char>(text[0])) != 0 &&
      std::ranges::all_of(text,
                          [](char c) {
                            return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' ||
                                   c == '_' || c == '.' || c == '/';
                          }) &&
      std::ranges::find(words, lower) == words.end();
  return plain ? text : json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

void append_yaml(std::string& out, const json& value, std::size_t indent);

void append_children(std::string& out, const json& value, std::size_t indent) {
  const std::string blanks(indent, ' ');
  bool first = true;
  const auto child = [&](const std::string& lead, const json& inner) {
    if (!first) out += blanks;
    first = false;
    out += lead;
    const bool composite = inner.is_structured() && !inner.empty();
    if (composite && inner.is_array() && value.is_object()) {
      out += "\n" + blanks;
      append_yaml(out, inner, indent);
    } else if (composite && value.is_object()) {
      out += "\n" + blanks + "  ";
      append_yaml(out, inner, indent + 2);
    } else {
      out += value.is_object() ? " " : "";
      append_yaml(out, inner, indent + 2);
    }
  };
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) child(yaml_string(key) + ":", inner);
  } else {
    for (const auto& inner : value) child("- ", inner);
  }
}

void append_yaml(std::string& out, const json& value, std::size_t indent) {
  if (value.is_structured() && !value.empty()) return append_children(out, value, indent);
  if (value.is_string()) {
    out += yaml_string(value.get_ref<const std::string&>());
  } else {
    out += value.dump();
  }
  out += '\n';
}

}  // namespace

std::string table(const Row& head, const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& cell : head) widths.push_back(width(cell));
  for (const auto& row : rows) {
    for (std::size_t at = 0; at < row.size() && at < widths.size(); ++at) {
      widths[at] = std::max(widths[at], width(row[at]));
    }
  }
  std::string out;
  const auto line = [&](const Row& row) {
    std::string text;
    for (std::size_t at = 0; at < row.size() && at < widths.size(); ++at) {
      text += row[at];
      text.append(widths[at] - width(row[at]) + 3, ' ');
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + '\n';
  };
  line(head);
  for (const auto& row : rows) line(row);
  return out;
}

std::string to_text(const json& page, Output output) {
  if (output == Output::json)
    return page.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
  std::string out;
  append_yaml(out, page, 0);
  return out;
}

}  // namespace graymesh::cli
