// The headers of a call: whether it is one of gRPC, and what they say that matters here.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace graymesh::rpc {

// What a client may send of them, as RFC 9113 6.5.2 counts; gRPC's own bound is 8 KiB, too.
inline constexpr std::size_t header_bytes_max = 16u << 10;

struct Headers {
  std::string method{};  // HTTP's
  std::string path{};
  std::string content_type{};
  std::string te{};
  std::string encoding{};  // of messages; empty: identity
  std::string timeout{};
  std::size_t bytes = 0;

  // False: they are too many by now.
  bool add(std::string_view name, std::string_view value);
};

// Why a call is none of gRPC: an HTTP status other than 200, or gRPC's word.
struct Refusal {
  int http_status = 200;
  Error error{};
};

std::optional<Refusal> refusal_of(const Headers& headers);

// "100m": gRPC's Timeout. Nullopt: it is none. Longer ones than a year are a year.
std::optional<std::chrono::nanoseconds> parse_timeout(std::string_view text);

// As grpc-message has it: bytes other than printable ASCII, and "%", as "%XX". What is longer than
// 4 KiB is cut, as clients refuse long headers.
std::string percent_encoded(std::string_view message);

}  // namespace graymesh::rpc
