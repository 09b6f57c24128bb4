// The little of sockets that one sidecar needs: an address.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "base/descriptor.h"
#include "base/result.h"

namespace graymesh::sidecar {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

// `ip` is IPv4 or IPv6 in numbers; invalid_argument otherwise.
Result<Address> make_address(const std::string& ip, std::uint16_t port);

}  // namespace graymesh::sidecar
