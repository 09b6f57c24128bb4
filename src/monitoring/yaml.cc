// YAML 1.2 of a JSON value. A text is plain where no YAML reader could take it for something else,
// a literal block where it has lines, else quoted as in JSON, which YAML reads alike.
#include <algorithm>
#include <cctype>

#include "monitoring/monitoring.h"

namespace graymesh::monitoring {
namespace {

bool is_plain(const std::string& text) {
  if (text.empty() || std::isalpha(static_cast<unsigned char>(text[0])) == 0) return false;
  for (const char* word : {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}) {
    if (std::ranges::equal(text, std::string_view(word), {},
                           [](unsigned char c) { return std::tolower(c); }))
      return false;
  }
  return std::ranges::all_of(text, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '/';
  });
}

// A literal block keeps what it is given only if no line begins or ends with a blank that YAML
// would take for indentation, or drop.
bool is_block(const std::string& text) {
  return text.find('\n') != std::string::npos && text[0] != ' ' && text[0] != '\n' &&
         text.find_first_of("\t\r") == std::string::npos && text.find(" \n") == std::string::npos;
}

std::string scalar(const Json& value, std::size_t indent) {
  if (!value.is_string()) return value.dump();
  const auto& text = value.get_ref<const std::string&>();
  if (is_plain(text)) return text;
  if (!is_block(text)) return value.dump(-1, ' ', false, Json::error_handler_t::replace);
  const std::string blanks(indent, ' ');
  std::string out = text.ends_with("\n\n") ? "|+" : text.ends_with('\n') ? "|" : "|-";
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    out += '\n';
    if (end > at) out += blanks + text.substr(at, end - at);
    at = end + 1;
  }
  return out;
}

void append(std::string& out, const Json& value, std::size_t indent) {
  const std::string blanks(indent, ' ');
  bool first = true;
  const auto lead = [&](const std::string& text) {
    if (!first) out += blanks;
    first = false;
    out += text;
  };
  if (value.is_array()) {
    for (const Json& item : value) {
      lead("- ");
      if (item.is_structured() && !item.empty())
        append(out, item, indent + 2);
      else
        out += scalar(item, indent + 2) + "\n";
    }
    return;
  }
  for (const auto& [key, item] : value.items()) {
    lead(is_plain(key) ? key : Json(key).dump());
    if (item.is_structured() && !item.empty()) {
      out += ":\n" + blanks + "  ";
      append(out, item, indent + 2);
    } else {
      out += ": " + scalar(item, indent + 2) + "\n";
    }
  }
}

}  // namespace

std::string to_yaml(const Json& value) {
  std::string out;
  if (value.is_structured() && !value.empty())
    append(out, value, 0);
  else
    out = scalar(value, 2) + "\n";
  return out;
}

}  // namespace graymesh::monitoring
