// What the kernel knows of a connected socket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace graymesh::rpc {

// "ipv4:127.0.0.1:41234", "ipv6:[::1]:41234", as gRPC writes it.
std::string peer_name(int socket);

struct Line {
  std::uint64_t received = 0;    // bytes that the peer has sent and the kernel has
  std::int64_t distance_us = 0;  // there and back
};
std::optional<Line> line_of(int socket);

}  // namespace graymesh::rpc
