#include "control/rpc/peer.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace graymesh::rpc {

std::string peer_name(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "unknown";
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET6) {
    const auto* of_6 = reinterpret_cast<const sockaddr_in6*>(&address);
    (void)::inet_ntop(AF_INET6, &of_6->sin6_addr, text, sizeof text);
    return fmt::format("ipv6:[{}]:{}", text, ntohs(of_6->sin6_port));
  }
  const auto* of_4 = reinterpret_cast<const sockaddr_in*>(&address);
  (void)::inet_ntop(AF_INET, &of_4->sin_addr, text, sizeof text);
  return fmt::format("ipv4:{}:{}", text, ntohs(of_4->sin_port));
}

std::optional<Line> line_of(int socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  return Line{.received = info.tcpi_bytes_received, .distance_us = info.tcpi_rtt};
}

}  // namespace graymesh::rpc
