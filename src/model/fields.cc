#include "model/fields.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

#include "model/scalars.h"

namespace graymesh::model {
namespace {

constexpr std::size_t value_bytes_max = 64;

bool is_simple(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    if (line.size() >= value_bytes_max) {
      // Not in the middle of a character.
      while (!line.empty() && (line.back() & 0xC0) == 0x80) line.pop_back();
      if (!line.empty() && (line.back() & 0x80) != 0) line.pop_back();
      return line + "...";
    }
    if (c == '\n')
      line += "\\n";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
      line += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      line.push_back(c);
  }
  return line;
}

void append_step(std::string& path, std::string_view key) {
  if (is_simple(key)) {
    if (!path.empty()) path += '.';
    path += key;
  } else {
    path += fmt::format("[{}]", one_line(key));
  }
}

int index_of(const Element& node) {
  int index = 0;
  for (const Element* other = node.parent->first; other != nullptr && other != &node;
       other = other->next)
    ++index;
  return index;
}

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t above = row[j + 1];
      row[j + 1] = std::min({above + 1, row[j] + 1, diagonal + (a[i] == b[j] ? 0u : 1u)});
      diagonal = above;
    }
  }
  return row.back();
}

// "export_to" and "ExportTo" to "exportto".
std::string flat(std::string_view word) {
  std::string result;
  for (const char c : word) {
    if (c == '_' || c == '-') continue;
    result.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  }
  return result;
}

}  // namespace

std::string shown(const Element& node) {
  if (!node.is_scalar()) return {};
  const std::string line = one_line(node.text);
  return node.plain || node.block ? line : fmt::format("\"{}\"", line);
}

std::string_view nearest(std::string_view word, const std::vector<std::string_view>& known) {
  constexpr std::size_t word_bytes_max = 64;
  if (word.size() > word_bytes_max) return {};
  const std::string wanted = flat(word);
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(word.size() / 3, 1) + 1;
  for (const std::string_view candidate : known) {
    const std::size_t d = distance(wanted, flat(candidate));
    if (d < best_distance) {
      best_distance = d;
      best = candidate;
    }
  }
  return best;
}

std::string Reading::path(const Element& node) const {
  std::vector<const Element*> steps;
  for (const Element* step = &node; step != root && step->parent != nullptr; step = step->parent)
    steps.push_back(step);
  // The spec is what an object is about: its fields are named without it.
  if (steps.size() > 1 && steps.back()->key == "spec") steps.pop_back();
  std::string path;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    if ((*step)->parent->is_sequence())
      path += fmt::format("[{}]", index_of(**step));
    else
      append_step(path, (*step)->key);
  }
  return path;
}

void Reading::note(const Element& at, std::string_view field, std::string_view rule,
                   Problem::Severity severity) {
  auto& problems = severity == Problem::Severity::error ? errors : warnings;
  if (problems.size() >= problems_max) return;
  const Element* value = field.empty() ? &at : at.find(field);
  std::string where = path(value != nullptr ? *value : at);
  if (value == nullptr) {
    if (where == "spec") where.clear();
    append_step(where, field);
  }
  problems.push_back({.severity = severity,
                      .position = {file, value != nullptr ? value->line : at.line},
                      .object = object,
                      .field = std::move(where),
                      .value = value != nullptr && value != root ? shown(*value) : std::string(),
                      .rule = std::string(rule)});
}

Fields::Fields(Reading& reading, const Element& node) : reading_(reading), node_(node) {
  if (!node.is_mapping())
    reading_.error(node, {}, node.is_null() ? "must not be null" : "must be a mapping");
}

const Element* Fields::find(std::string_view name) {
  if (std::find(known_.begin(), known_.end(), name) == known_.end()) known_.push_back(name);
  const Element* value = node_.find(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

bool Fields::require(std::string_view field) {
  if (has(field)) return true;
  error(field, "is required");
  return false;
}

int Fields::at_most_one(std::initializer_list<std::string_view> names) {
  std::string all;
  int count = 0;
  for (const std::string_view name : names) {
    if (!has(name)) continue;
    all += fmt::format("{}{}", count == 0 ? "" : " and ", name);
    ++count;
  }
  if (count > 1) error({}, fmt::format("must not have {} together", all));
  return count;
}

const Element* Fields::sequence(std::string_view name) {
  const Element* value = find(name);
  if (value == nullptr || value->is_sequence()) return value;
  reading_.error(*value, {}, "must be a list");
  return nullptr;
}

const Element* Fields::mapping(std::string_view name) {
  const Element* value = find(name);
  if (value == nullptr || value->is_mapping()) return value;
  reading_.error(*value, {}, "must be a mapping");
  return nullptr;
}

bool Fields::read_text(const Element& node, std::string& out, Check check) {
  if (!node.is_scalar()) {
    reading_.error(node, {}, "must be text");
    return false;
  }
  if (node.plain && is_other_than_text(node.text)) {
    reading_.error(node, {}, "must be text; put it in quotes");
    return false;
  }
  out = node.text;
  const std::string_view rule = check == nullptr ? std::string_view() : check(node.text);
  if (!rule.empty()) reading_.error(node, {}, rule);
  return rule.empty();
}

void Fields::text(std::string_view name, std::string& out, Check check) {
  if (const Element* value = find(name)) read_text(*value, out, check);
}

void Fields::word(std::string_view name, std::string& out) {
  const Element* value = find(name);
  if (value == nullptr) return;
  if (value->is_scalar())
    out = value->text;
  else
    reading_.error(*value, {}, "must be text");
}

void Fields::texts(std::string_view name, std::vector<std::string>& out, Check check) {
  const Element* items = sequence(name);
  if (items == nullptr) return;
  out.reserve(items->size);
  for (const Element* item = items->first; item != nullptr; item = item->next)
    read_text(*item, out.emplace_back(), check);
}

void Fields::numbers(std::string_view name, std::vector<std::uint32_t>& out, Range range) {
  const Element* items = sequence(name);
  if (items == nullptr) return;
  for (const Element* item = items->first; item != nullptr; item = item->next) {
    if (const auto number = read_integer(*item, within_type<std::uint32_t>(range)))
      out.push_back(static_cast<std::uint32_t>(*number));
  }
}

void Fields::text_map(std::string_view name, Labels& out, Check key, Check value) {
  entries(name, [&](const Element& entry) {
    const std::string_view rule = key == nullptr ? std::string_view() : key(entry.key);
    if (!rule.empty()) reading_.error(entry, {}, rule);
    read_text(entry, out[std::string(entry.key)], value);
  });
}

void Fields::flag(std::string_view name, bool& out) {
  const Element* value = find(name);
  if (value == nullptr) return;
  const auto flag = value->is_scalar() && value->plain ? to_bool(value->text) : std::nullopt;
  if (flag)
    out = *flag;
  else
    reading_.error(*value, {}, "must be true or false");
}

void Fields::flag(std::string_view name, std::optional<bool>& out) {
  if (has(name)) flag(name, out.emplace());
}

std::optional<std::int64_t> Fields::read_integer(const Element& node, Range range) {
  const auto number = node.is_scalar() ? to_integer(node.text) : std::nullopt;
  if (!number) {
    reading_.error(node, {}, "must be a whole number");
    return std::nullopt;
  }
  if (!node.plain) {
    reading_.error(node, {}, "must be a number; remove the quotes");
    return std::nullopt;
  }
  if (*number >= range.least && *number <= range.most) return number;
  constexpr std::int64_t many = std::numeric_limits<std::int32_t>::max();
  if (range.least == 0 && range.most >= many)
    reading_.error(node, {}, *number < 0 ? "must not be negative" : "is too large");
  else
    reading_.error(node, {}, fmt::format("must be {} to {}", range.least, range.most));
  return std::nullopt;
}

std::optional<double> Fields::read_real(const Element& node, double least, double most) {
  const auto number = node.is_scalar() && node.plain ? to_number(node.text) : std::nullopt;
  if (!number)
    reading_.error(node, {}, "must be a number");
  else if (*number < least || *number > most) {
    reading_.error(node, {},
                   most >= std::numeric_limits<double>::max()
                       ? fmt::format("must be at least {}", least)
                       : fmt::format("must be {} to {}", least, most));
  } else
    return number;
  return std::nullopt;
}

void Fields::real(std::string_view name, double& out, double least, double most) {
  if (const Element* value = find(name)) out = read_real(*value, least, most).value_or(out);
}

void Fields::real(std::string_view name, std::optional<double>& out, double least, double most) {
  if (const Element* value = find(name)) out = read_real(*value, least, most);
}

void Fields::duration(std::string_view name, std::optional<Duration>& out, DurationRule rule) {
  const Element* value = find(name);
  if (value == nullptr) return;
  const auto duration = value->is_scalar() ? to_duration(value->text) : std::nullopt;
  if (!duration || (value->plain && is_other_than_text(value->text))) {
    reading_.error(*value, {}, "must be a duration such as 1.5s, 100ms or 1m30s");
    return;
  }
  out = *duration;
  if (rule == DurationRule::any ||
      (rule == DurationRule::zero_or_milliseconds && *duration == Duration::zero()))
    return;
  if (*duration < std::chrono::milliseconds(1))
    reading_.error(*value, {}, "must be at least 1ms");
  else if (*duration % std::chrono::milliseconds(1) != Duration::zero())
    reading_.error(*value, {}, "must be whole milliseconds");
}

std::optional<std::size_t> Fields::read_choice(const Element& node,
                                               const std::vector<std::string_view>& names) {
  if (node.is_scalar()) {
    const auto found = std::find(names.begin(), names.end(), node.text);
    if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  }
  std::string all;
  for (const std::string_view name : names)
    all += fmt::format("{}{}", all.empty() ? "" : ", ", name);
  reading_.error(node, {}, fmt::format("must be one of {}", all));
  return std::nullopt;
}

void Fields::without_effect(std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (const Element* value = find(name))
      reading_.warn(*value, {}, "is accepted but not supported yet: no effect");
  }
}

void Fields::known(std::initializer_list<std::string_view> names) {
  known_.insert(known_.end(), names.begin(), names.end());
}

void Fields::close() {
  if (!reading_.strict) return;
  for (const Element* value = node_.is_mapping() ? node_.first : nullptr; value != nullptr;
       value = value->next) {
    if (reading_.full()) return;
    if (std::find(known_.begin(), known_.end(), value->key) != known_.end()) continue;
    const std::string_view near = nearest(value->key, known_);
    reading_.error(*value, {},
                   near.empty() ? std::string("is not a known field")
                                : fmt::format("is not a known field; did you mean {}?", near));
  }
}

}  // namespace graymesh::model
