#include "cli/durations.h"

#include <fmt/core.h>

#include <cstdint>

namespace graymesh::cli {
namespace {

constexpr std::chrono::seconds seconds_max = std::chrono::hours(8760);  // a year

}  // namespace

Result<std::chrono::seconds> seconds_of(const std::string& text) {
  std::chrono::seconds out{0};
  std::uint64_t number = 0;
  bool digits = false;
  for (const char c : text) {
    if (c >= '0' && c <= '9' && number < 1'000'000'000) {
      number = number * 10 + static_cast<std::uint64_t>(c - '0');
      digits = true;
      continue;
    }
    const int unit = c == 'h' ? 3600 : c == 'm' ? 60 : c == 's' ? 1 : 0;
    if (unit == 0 || !digits)
      return Error{Code::invalid_argument, fmt::format("--timeout {}, must be as 90s or 5m", text)};
    out += std::chrono::seconds(number * static_cast<std::uint64_t>(unit));
    number = 0;
    digits = false;
    if (out > seconds_max) break;
  }
  out += std::chrono::seconds(digits ? number : 0);
  if (out > seconds_max)
    return Error{Code::invalid_argument, fmt::format("--timeout {}, must be at most 8760h", text)};
  return out;
}

}  // namespace graymesh::cli
