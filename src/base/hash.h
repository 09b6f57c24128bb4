// Content hashes: the same on every machine and in every run, so that two replicas and a restarted
// one agree on them. XXH3; not for secrets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace graymesh {

std::uint64_t hash64(std::string_view bytes, std::uint64_t seed = 0);

// 16 lower-case hexadecimal digits.
std::string to_hex(std::uint64_t value);

}  // namespace graymesh
