#include "control/rpc/headers.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>

namespace graymesh::rpc {
namespace {

constexpr std::size_t entry_bytes = 32;      // RFC 9113 6.5.2: what each counts beside its bytes
constexpr std::size_t message_bytes = 4096;  // of grpc-message
constexpr std::string_view grpc_type = "application/grpc";

bool is_grpc(std::string_view type) {
  if (!type.starts_with(grpc_type)) return false;
  type.remove_prefix(grpc_type.size());
  return type.empty() || type.front() == '+' || type.front() == ';';
}

}  // namespace

bool Headers::add(std::string_view name, std::string_view value) {
  bytes += name.size() + value.size() + entry_bytes;
  if (bytes > header_bytes_max) return false;
  if (name == ":method") method = value;
  if (name == ":path") path = value;
  if (name == "content-type") content_type = value;
  if (name == "te") te = value;
  if (name == "grpc-encoding") encoding = value;
  if (name == "grpc-timeout") timeout = value;
  return true;
}

std::optional<Refusal> refusal_of(const Headers& headers) {
  if (headers.method != "POST")
    return Refusal{405, {Code::internal, "gRPC's method is POST, not " + headers.method}};
  if (!is_grpc(headers.content_type)) {
    return Refusal{415,
                   {Code::internal, "gRPC's content-type is application/grpc, not \"" +
                                        headers.content_type + "\""}};
  }
  // Says that whoever is between passes trailers on.
  if (headers.te != "trailers")
    return Refusal{400, {Code::internal, "gRPC needs the header te: trailers"}};
  if (!headers.timeout.empty() && !parse_timeout(headers.timeout)) {
    return Refusal{200, {Code::internal, "grpc-timeout \"" + headers.timeout + "\" is no time"}};
  }
  return std::nullopt;
}

std::optional<std::chrono::nanoseconds> parse_timeout(std::string_view text) {
  constexpr std::size_t digits_max = 8;
  constexpr std::uint64_t second = 1'000'000'000;
  constexpr std::uint64_t year = second * 365 * 24 * 3600;
  if (text.size() < 2 || text.size() > digits_max + 1) return std::nullopt;
  std::uint64_t count = 0;
  const char* unit = text.data() + text.size() - 1;
  const auto [at, error] = std::from_chars(text.data(), unit, count);
  if (error != std::errc() || at != unit) return std::nullopt;
  std::uint64_t each = 0;
  switch (*unit) {
    case 'H':
      each = 3600 * second;
      break;
    case 'M':
      each = 60 * second;
      break;
    case 'S':
      each = second;
      break;
    case 'm':
      each = second / 1000;
      break;
    case 'u':
      each = 1000;
      break;
    case 'n':
      each = 1;
      break;
    default:
      return std::nullopt;
  }
  return std::chrono::nanoseconds(count > year / each ? year : count * each);
}

std::string percent_encoded(std::string_view message) {
  constexpr std::string_view hex = "0123456789ABCDEF";
  std::string out;
  out.reserve(std::min(message.size(), message_bytes));
  for (const char c : message) {
    if (out.size() + 3 > message_bytes) break;
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte <= 0x7e && c != '%') {
      out += c;
      continue;
    }
    out += '%';
    out += hex[byte >> 4];
    out += hex[byte & 0xf];
  }
  return out;
}

}  // namespace graymesh::rpc
