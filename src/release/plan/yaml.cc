#include "release/plan/yaml.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace graymesh::release {
namespace {

using Json = nlohmann::ordered_json;

// Letters first, so that no number, date or marker looks like one; and not YAML 1.1's booleans.
bool is_plain(std::string_view text) {
  constexpr std::array<std::string_view, 9> other = {"true", "false", "yes", "no", "on",
                                                     "off",  "null",  "y",   "n"};
  if (text.empty() || std::isalpha(static_cast<unsigned char>(text.front())) == 0) return false;
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (std::find(other.begin(), other.end(), lower) != other.end()) return false;
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '/';
  });
}

std::string scalar(const Json& value) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (is_plain(text)) return text;
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return value.dump();
}

bool is_leaf(const Json& value) { return !value.is_structured() || value.empty(); }

void put(std::string& out, const Json& value, std::size_t indent);

// After "key:" or "-": on the same line where it is short.
void put_after(std::string& out, const Json& value, std::size_t indent) {
  if (is_leaf(value)) {
    out.append(" ").append(value.empty() && value.is_structured() ? value.dump() : scalar(value));
    out.push_back('\n');
    return;
  }
  out.push_back('\n');
  put(out, value, indent);
}

void put(std::string& out, const Json& value, std::size_t indent) {
  if (value.is_array()) {
    for (const Json& item : value) {
      out.append(indent, ' ').append("-");
      if (item.is_object() && !item.empty()) {
        std::string inner;
        put(inner, item, indent + 2);
        out.append(" ").append(inner, indent + 2);
      } else {
        put_after(out, item, indent + 2);
      }
    }
    return;
  }
  for (const auto& [key, item] : value.items()) {
    out.append(indent, ' ').append(scalar(Json(key))).append(":");
    put_after(out, item, item.is_array() ? indent : indent + 2);
  }
}

}  // namespace

std::string to_yaml(const Json& value) {
  std::string out;
  put(out, value, 0);
  return out;
}

}  // namespace graymesh::release
