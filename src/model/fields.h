// Reading typed values out of a tree, so that each kind reads as a plain list of its fields:
//
//   void read_destination(Fields& f, Destination& out) {
//     f.text("host", out.host, check_wildcard_host);
//     f.text("subset", out.subset, check_dns_label);
//     f.object("port", out.port, read_port_selector);
//   }
//
// Whatever is wrong is noted with its line, path and value, and reading goes on, so that all
// problems of an object are told together. `null` is the same as nothing, as in protojson. In a
// strict object a field that nobody asked for is an error.
#pragma once

#include <initializer_list>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "model/meta.h"
#include "model/tree.h"

namespace graymesh::model {

// The rule a text breaks ("must be a DNS label"), of static storage; empty if it holds.
using Check = std::string_view (*)(std::string_view);

// "" is fine too: for optional fields, where protobuf does not tell empty from absent.
inline constexpr Check any_text = nullptr;

// What is learned about one object while it is read.
struct Reading {
  std::string file;
  std::string object;  // "VirtualService default/orders"
  std::string namespace_;
  const Element* root = nullptr;
  bool strict = true;  // unknown fields are errors
  std::vector<Problem> errors;
  std::vector<Problem> warnings;

  // `field` below `at`, which need not exist; empty for `at` itself.
  void error(const Element& at, std::string_view field, std::string_view rule) {
    note(at, field, rule, Problem::Severity::error);
  }
  void warn(const Element& at, std::string_view field, std::string_view rule) {
    note(at, field, rule, Problem::Severity::warning);
  }
  std::string path(const Element& node) const;

  // One object with every field wrong is told enough by this many of each severity.
  static constexpr std::size_t problems_max = 100;
  bool full() const { return errors.size() >= problems_max; }

 private:
  void note(const Element& at, std::string_view field, std::string_view rule,
            Problem::Severity severity);
};

// A scalar as people wrote it, on one line and at most 64 bytes; empty for composite ones.
std::string shown(const Element& node);

// Bounds of a number; `least`..`most` of the type mean none, and are not told to people.
struct Range {
  std::int64_t least = std::numeric_limits<std::int64_t>::min();
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
};
inline constexpr Range port_range{1, 65535};
inline constexpr Range not_negative{0, std::numeric_limits<std::int64_t>::max()};

enum class DurationRule : std::uint8_t {
  any,           // zero and more
  milliseconds,  // Istio's: at least 1 ms, and whole milliseconds
  zero_or_milliseconds,
};

template <typename T>
using Choices = std::initializer_list<std::pair<std::string_view, T>>;

class Fields {
 public:
  // An error if `node` is not a mapping.
  Fields(Reading& reading, const Element& node);
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;

  Reading& reading() { return reading_; }
  const Element& node() const { return node_; }
  Position position() const { return {reading_.file, node_.line}; }

  // The field's value; null if absent or `null`. Notes that the field is known.
  const Element* find(std::string_view name);
  bool has(std::string_view name) { return find(name) != nullptr; }

  void error(std::string_view field, std::string_view rule) { reading_.error(node_, field, rule); }
  void warn(std::string_view field, std::string_view rule) { reading_.warn(node_, field, rule); }
  bool require(std::string_view field);
  // An error if more than one is there; how many are.
  int at_most_one(std::initializer_list<std::string_view> names);

  void text(std::string_view name, std::string& out, Check check = any_text);
  // As it is, whatever its type: for Kubernetes' IntOrString and for ignored texts.
  void word(std::string_view name, std::string& out);
  void texts(std::string_view name, std::vector<std::string>& out, Check check = any_text);
  void text_map(std::string_view name, Labels& out, Check key = any_text, Check value = any_text);
  void flag(std::string_view name, bool& out);
  void flag(std::string_view name, std::optional<bool>& out);
  template <typename T>
  void number(std::string_view name, T& out, Range range = {});
  template <typename T>
  void number(std::string_view name, std::optional<T>& out, Range range = {});
  void numbers(std::string_view name, std::vector<std::uint32_t>& out, Range range);
  void real(std::string_view name, double& out, double least, double most);
  void real(std::string_view name, std::optional<double>& out, double least, double most);
  void duration(std::string_view name, std::optional<Duration>& out,
                DurationRule rule = DurationRule::milliseconds);
  template <typename T>
  void choice(std::string_view name, T& out, Choices<T> choices);

  // read(Fields&, T&) of the mapping under `name`.
  template <typename T, typename Read>
  void object(std::string_view name, T& out, Read read);
  template <typename T, typename Read>
  void object(std::string_view name, std::optional<T>& out, Read read);
  template <typename T, typename Read>
  void list(std::string_view name, std::vector<T>& out, Read read);
  // read(Fields&) of something that leaves no value.
  template <typename Read>
  void visit(std::string_view name, Read read);
  // read(const Element& value) of each entry of a mapping.
  template <typename Read>
  void entries(std::string_view name, Read read);

  // Known fields of Istio's that do nothing here.
  void without_effect(std::initializer_list<std::string_view> names);
  // Known fields that need no word.
  void known(std::initializer_list<std::string_view> names);

  // Call once at the end: reports fields nobody asked for.
  void close();

  // The pieces of the above, for values in lists and maps.
  bool read_text(const Element& node, std::string& out, Check check);
  std::optional<std::int64_t> read_integer(const Element& node, Range range);

 private:
  const Element* sequence(std::string_view name);
  const Element* mapping(std::string_view name);
  std::optional<double> read_real(const Element& node, double least, double most);
  std::optional<std::size_t> read_choice(const Element& node,
                                         const std::vector<std::string_view>& names);
  template <typename T>
  static Range within_type(Range range);

  Reading& reading_;
  const Element& node_;
  std::vector<std::string_view> known_;
};

// The field of `known` nearest to a misspelt one; empty if none is near.
std::string_view nearest(std::string_view word, const std::vector<std::string_view>& known);

template <typename T>
Range Fields::within_type(Range range) {
  if constexpr (sizeof(T) < sizeof(std::int64_t) || std::is_signed_v<T>) {
    range.least = std::max(range.least, static_cast<std::int64_t>(std::numeric_limits<T>::min()));
    range.most = std::min(range.most, static_cast<std::int64_t>(std::numeric_limits<T>::max()));
  } else {
    range.least = std::max<std::int64_t>(range.least, 0);
  }
  return range;
}

template <typename T>
void Fields::number(std::string_view name, T& out, Range range) {
  if (const Element* value = find(name)) {
    if (const auto number = read_integer(*value, within_type<T>(range)))
      out = static_cast<T>(*number);
  }
}

template <typename T>
void Fields::number(std::string_view name, std::optional<T>& out, Range range) {
  T value{};
  if (!has(name)) return;
  number(name, value, range);
  out = value;
}

template <typename T>
void Fields::choice(std::string_view name, T& out, Choices<T> choices) {
  const Element* value = find(name);
  if (value == nullptr) return;
  std::vector<std::string_view> names;
  for (const auto& [word, meaning] : choices) names.push_back(word);
  if (const auto index = read_choice(*value, names)) out = (choices.begin() + *index)->second;
}

template <typename T, typename Read>
void Fields::object(std::string_view name, T& out, Read read) {
  if (const Element* value = mapping(name)) {
    Fields fields(reading_, *value);
    read(fields, out);
    fields.close();
  }
}

template <typename T, typename Read>
void Fields::object(std::string_view name, std::optional<T>& out, Read read) {
  if (!has(name)) return;
  out = T{};
  object(name, *out, read);
}

template <typename Read>
void Fields::visit(std::string_view name, Read read) {
  if (const Element* value = mapping(name)) {
    Fields fields(reading_, *value);
    read(fields);
    fields.close();
  }
}

template <typename T, typename Read>
void Fields::list(std::string_view name, std::vector<T>& out, Read read) {
  const Element* items = sequence(name);
  if (items == nullptr) return;
  out.reserve(items->size);
  for (const Element* item = items->first; item != nullptr; item = item->next) {
    Fields fields(reading_, *item);
    if (!item->is_mapping()) continue;
    read(fields, out.emplace_back());
    fields.close();
  }
}

template <typename Read>
void Fields::entries(std::string_view name, Read read) {
  const Element* map = mapping(name);
  if (map == nullptr) return;
  for (const Element* value = map->first; value != nullptr; value = value->next) read(*value);
}

}  // namespace graymesh::model
