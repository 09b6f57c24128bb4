#include "control/rpc/listener.h"

#include <fmt/core.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace graymesh::rpc {
namespace {

// A mesh that reconnects at once. The kernel takes no more than net.core.somaxconn of it, 4,096
// most often; whoever comes beyond that is not refused, but tries again a second later.
constexpr int backlog = 65'535;
// Without a free descriptor the listener would be ready for ever: it is left alone for so long.
constexpr int pause_ms = 500;

using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Result<Addresses> resolve(const std::string& name, const std::string& address) {
  const auto colon = address.rfind(':');
  if (colon == std::string::npos) {
    return Error{Code::invalid_argument, name + " cannot listen on " + address + ": no HOST:PORT"};
  }
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int fault = ::getaddrinfo(host.empty() ? nullptr : host.c_str(),
                                  address.substr(colon + 1).c_str(), &hints, &found);
  if (fault != 0) {
    return Error{Code::unavailable,
                 fmt::format("{} cannot listen on {}: {}", name, address, ::gai_strerror(fault))};
  }
  return Addresses(found, &::freeaddrinfo);
}

int port_of(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  (void)::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port
                   : reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

Result<Descriptor> listen_on(const std::string& name, const std::string& address) {
  const auto resolved = TRY(resolve(name, address));
  Descriptor listener(::socket(resolved->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1, off = 0;
  if (listener) {
    (void)::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (resolved->ai_family == AF_INET6)
      (void)::setsockopt(listener.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  }
  if (!listener || ::bind(listener.get(), resolved->ai_addr, resolved->ai_addrlen) != 0 ||
      ::listen(listener.get(), backlog) != 0) {
    return Error{Code::unavailable,
                 fmt::format("{} cannot listen on {}: {}", name, address, std::strerror(errno))};
  }
  return listener;
}

void set_options(int socket) {
  const auto set = [&](int level, int option, int value) {
    (void)::setsockopt(socket, level, option, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  // HTTP/2 pings find a peer that is gone in some four seconds (Connection::look). Below them, for
  // whom no ping is sent to any more: idle for 30 s, five probes 3 s apart; and what is sent and
  // not acknowledged by the peer's kernel ends the connection after 5 s, where Linux would try for
  // a quarter of an hour.
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 30);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 3);
  set(IPPROTO_TCP, TCP_KEEPCNT, 5);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 5'000);
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::open(const std::string& name,
                                                 const std::string& address,
                                                 std::function<void(Descriptor)> take) {
  Descriptor socket = TRY(listen_on(name, address));
  std::unique_ptr<Listener> listener(new Listener(std::move(socket), std::move(take)));
  if (!listener->bell_) {
    return Error{Code::unavailable,
                 fmt::format("{} cannot wait for connections: {}", name, std::strerror(errno))};
  }
  listener->thread_ = std::thread([it = listener.get()] { it->work(); });
  return listener;
}

Listener::Listener(Descriptor socket, std::function<void(Descriptor)> take)
    : socket_(std::move(socket)),
      bell_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      take_(std::move(take)),
      port_(port_of(socket_.get())) {}

Listener::~Listener() { close(); }

void Listener::close() {
  if (!thread_.joinable()) return;
  (void)::eventfd_write(bell_.get(), 1);
  thread_.join();
  socket_.reset();
}

void Listener::work() {
  bool pausing = false;
  for (;;) {
    std::array<pollfd, 2> polled = {pollfd{bell_.get(), POLLIN, 0},
                                    pollfd{socket_.get(), POLLIN, 0}};
    (void)::poll(polled.data(), pausing ? 1 : 2, pausing ? pause_ms : -1);
    if (polled[0].revents != 0) return;
    pausing = !accept();
  }
}

// All that have come. False: there is no descriptor for the next one.
bool Listener::accept() {
  for (;;) {
    Descriptor socket(::accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) {
      if (errno == ECONNABORTED || errno == EINTR) continue;
      return errno == EAGAIN;
    }
    set_options(socket.get());
    take_(std::move(socket));
  }
}

}  // namespace graymesh::rpc
