#include "release/workload/address.h"

#include <arpa/inet.h>
#include <fmt/core.h>

namespace graymesh::workload {

std::string to_string(const Loopback& address) {
  return fmt::format("127.{}.{}.{}", address.block, address.high, address.low);
}

std::optional<Loopback> parse_loopback(std::string_view text) {
  in_addr parsed{};
  if (::inet_pton(AF_INET, std::string(text).c_str(), &parsed) != 1) return std::nullopt;
  const std::uint32_t number = ntohl(parsed.s_addr);
  if (number >> 24 != 127 || (number >> 16 & 0xff) > 63) return std::nullopt;
  return Loopback{static_cast<std::uint8_t>(number >> 16), static_cast<std::uint8_t>(number >> 8),
                  static_cast<std::uint8_t>(number)};
}

Loopback twin(const Loopback& address) {
  return {static_cast<std::uint8_t>(address.block + 64), address.high, address.low};
}

std::optional<Loopback> allocate(std::uint8_t block, bool gateway,
                                 const std::set<Loopback>& taken) {
  // 255 is left out: 127.N.255.254 is how meshes side by side claim a block (tools/demo_mesh.py).
  for (int high = gateway ? 0 : 1; high <= (gateway ? 0 : 254); ++high) {
    for (int low = 1; low <= 254; ++low) {
      const Loopback address{block, static_cast<std::uint8_t>(high),
                             static_cast<std::uint8_t>(low)};
      if (!taken.contains(address)) return address;
    }
  }
  return std::nullopt;
}

}  // namespace graymesh::workload
