// Protobuf's wire format, field by field: to read a few fields of a message that is whole, and to
// write small ones, without the classes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace graymesh {

struct Field {
  std::uint64_t number = 0;
  std::uint64_t value = 0;   // of a varint
  std::string_view bytes{};  // of what has a length
  std::string_view whole{};  // with tag and length
};

// Takes a number from the front; false if there is none.
inline bool take_number(std::string_view& from, std::uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && !from.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(from.front());
    from.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

// Calls visit(const Field&) for each field. False: at what is no field it ended.
template <typename Visit>
bool each_field(std::string_view message, const Visit& visit) {
  std::uint64_t tag = 0, length = 0;
  while (!message.empty()) {
    const std::string_view from = message;
    if (!take_number(message, tag)) return false;
    Field field{.number = tag >> 3};
    switch (tag & 7) {
      case 0:
        if (!take_number(message, field.value)) return false;
        break;
      case 1:
      case 5:
        length = (tag & 7) == 1 ? 8 : 4;
        if (message.size() < length) return false;
        message.remove_prefix(length);
        break;
      case 2:
        if (!take_number(message, length) || message.size() < length) return false;
        field.bytes = message.substr(0, length);
        message.remove_prefix(length);
        break;
      default:
        return false;
    }
    field.whole = from.substr(0, from.size() - message.size());
    visit(field);
  }
  return true;
}

// The last field of that number, as protobuf has it; empty if there is none.
inline std::string_view field_of(std::string_view message, std::uint64_t number) {
  std::string_view found;
  (void)each_field(message, [&](const Field& field) {
    if (field.number == number) found = field.bytes;
  });
  return found;
}

inline void put_number(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>((value & 0x7f) | 0x80));
  out.push_back(static_cast<char>(value));
}

inline void put_field(std::string& out, std::uint64_t number, std::string_view bytes) {
  put_number(out, number << 3 | 2);
  put_number(out, bytes.size());
  out += bytes;
}

}  // namespace graymesh
