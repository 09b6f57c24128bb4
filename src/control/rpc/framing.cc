#include "control/rpc/framing.h"

#include <utility>

namespace graymesh::rpc {
namespace {

// To copy so much is cheaper than to let go of the memory that the next message comes to.
constexpr std::size_t copied_max = 4096;

}  // namespace

std::array<char, prefix_bytes> prefix_of(std::size_t message_bytes) {
  const auto byte = [&](int shift) { return static_cast<char>(message_bytes >> shift & 0xff); };
  return {not_compressed, byte(24), byte(16), byte(8), byte(0)};
}

std::optional<Framing::Prefix> Framing::prefix() const {
  if (bytes_.size() < prefix_bytes) return std::nullopt;
  const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(bytes_[at]); };
  const std::uint32_t length = std::uint32_t{byte(1)} << 24 | std::uint32_t{byte(2)} << 16 |
                               std::uint32_t{byte(3)} << 8 | std::uint32_t{byte(4)};
  return Prefix{.flag = byte(0), .bytes = length};
}

std::optional<std::string> Framing::take() {
  const auto first = prefix();
  if (!first || bytes_.size() < prefix_bytes + first->bytes) return std::nullopt;
  const std::size_t end = prefix_bytes + first->bytes;
  if (first->bytes <= copied_max) {
    std::string message = bytes_.substr(prefix_bytes, first->bytes);
    bytes_.erase(0, end);
    return message;
  }
  std::string rest = bytes_.substr(end);
  bytes_.resize(end);
  bytes_.erase(0, prefix_bytes);
  return std::exchange(bytes_, std::move(rest));
}

}  // namespace graymesh::rpc
