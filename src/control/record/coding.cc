#include "control/record/coding.h"

namespace graymesh::record {

void Out::number(std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<char>((value & 0x7f) | 0x80));
  bytes_.push_back(static_cast<char>(value));
}

void Out::difference(std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  number(value < 0 ? ~(bits << 1) : bits << 1);
}

void Out::fixed(std::uint64_t value) {
  for (int i = 0; i < 8; ++i, value >>= 8) bytes_.push_back(static_cast<char>(value & 0xff));
}

void Out::text(std::string_view bytes) {
  number(bytes.size());
  bytes_.append(bytes);
}

std::uint64_t In::number() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  good_ = false;
  return 0;
}

std::int64_t In::difference() {
  const auto bits = number();
  return static_cast<std::int64_t>((bits & 1) != 0 ? ~(bits >> 1) : bits >> 1);
}

std::uint64_t In::fixed() {
  if (rest_.size() < 8) {
    good_ = false;
    rest_ = {};
    return 0;
  }
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i)
    value = value << 8 | static_cast<unsigned char>(rest_[static_cast<std::size_t>(i)]);
  rest_.remove_prefix(8);
  return value;
}

std::string_view In::text() {
  const auto size = count();
  if (!good_) return {};
  const auto text = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return text;
}

std::size_t In::count() {
  const auto count = number();
  if (count > rest_.size()) good_ = false;
  return good_ ? count : 0;
}

std::uint64_t In::below(std::uint64_t end) {
  const auto value = number();
  if (value >= end) good_ = false;
  return good_ ? value : 0;
}

}  // namespace graymesh::record
