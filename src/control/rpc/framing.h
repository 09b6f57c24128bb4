// Messages in the bytes of a stream: one byte that says whether it is compressed, four of its
// length, the message ("Length-Prefixed-Message" of gRPC's PROTOCOL-HTTP2).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace graymesh::rpc {

inline constexpr std::size_t prefix_bytes = 5;
inline constexpr std::uint8_t not_compressed = 0, compressed = 1;

std::array<char, prefix_bytes> prefix_of(std::size_t message_bytes);

// Collects bytes until a message is whole.
class Framing {
 public:
  void add(std::string_view bytes) { bytes_ += bytes; }

  std::size_t held() const { return bytes_.size(); }
  // Of the first message, when its prefix is here.
  struct Prefix {
    std::uint8_t flag = not_compressed;
    std::size_t bytes = 0;  // of the message, without its prefix
  };
  std::optional<Prefix> prefix() const;
  // The first message, if it is whole.
  std::optional<std::string> take();
  // So many are about to be held.
  void expect(std::size_t bytes) { bytes_.reserve(bytes); }

 private:
  std::string bytes_;
};

}  // namespace graymesh::rpc
