// Loopback addresses for instances: 127.<block>.y.z. Gateways have 127.<block>.0.N, where people
// look for them; everyone else has y from 1. The application of 127.1.2.3 listens at its twin,
// 127.65.2.3, so that it and its sidecar may both have the same port.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace graymesh::workload {

struct Loopback {
  std::uint8_t block = 0;  // 0 to 63; of a twin 64 to 127
  std::uint8_t high = 0;
  std::uint8_t low = 0;

  auto operator<=>(const Loopback&) const = default;
};

std::string to_string(const Loopback& address);

// Null for what is not in 127.0.0.0/10, or not written as to_string() would.
std::optional<Loopback> parse_loopback(std::string_view text);

Loopback twin(const Loopback& address);

// The lowest address of the block that is not in `taken`; null if there is none.
std::optional<Loopback> allocate(std::uint8_t block, bool gateway, const std::set<Loopback>& taken);

}  // namespace graymesh::workload
