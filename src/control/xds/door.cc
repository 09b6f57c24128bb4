// One thread polls the listener, the end of every connection, and the bell of close(), and waits
// for nothing else; another one does away with the connections that have ended. A look at each
// connection every half second is what finds peers that are silent, and messages without end; until
// then the connection's quota holds them.
#include "control/xds/door.h"

#include <absl/synchronization/mutex.h>
#include <arpa/inet.h>
#include <fmt/core.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace graymesh::xds {
namespace {

constexpr int tick_ms = 500;
constexpr int backlog = 1024;  // a mesh that reconnects at once

using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Result<Addresses> resolve(const std::string& address) {
  const auto colon = address.rfind(':');
  if (colon == std::string::npos) {
    return Error{Code::invalid_argument, "xDS cannot listen on " + address + ": no HOST:PORT"};
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
                 fmt::format("xDS cannot listen on {}: {}", address, ::gai_strerror(fault))};
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

Result<Descriptor> listen_on(const std::string& address) {
  const auto resolved = TRY(resolve(address));
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
                 fmt::format("xDS cannot listen on {}: {}", address, std::strerror(errno))};
  }
  return listener;
}

void set_options(int socket) {
  const auto set = [&](int level, int option, int value) {
    (void)::setsockopt(socket, level, option, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  // HTTP/2 pings find a peer that is gone in some four seconds (Connection::silent). Below them,
  // for whom no ping is sent to any more: idle for 30 s, five probes 3 s apart; and what is sent
  // and not acknowledged by the peer's kernel ends the connection after 5 s, where Linux would try
  // for a quarter of an hour.
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 30);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 3);
  set(IPPROTO_TCP, TCP_KEEPCNT, 5);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 5'000);
}

}  // namespace

Result<std::unique_ptr<Door>> Door::open(Shared& shared, const std::string& address) {
  // Debian's Abseil is built with its search for deadlocks, which takes 3 % of our time in gRPC.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  Descriptor listener = TRY(listen_on(address));
  const int port = port_of(listener.get());
  std::unique_ptr<Door> door(new Door(shared, std::move(listener), port));
  TRY(door->watch_first());
  return door;
}

Door::Door(Shared& shared, Descriptor listener, int port)
    : shared_(shared),
      listener_(std::move(listener)),
      poll_(::epoll_create1(EPOLL_CLOEXEC)),
      bell_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      port_(port) {}

Status Door::watch_first() {
  if (!poll_ || !bell_ || !watch(bell_.get(), EPOLLIN) || !watch(listener_.get(), EPOLLIN)) {
    return Error{Code::unavailable,
                 fmt::format("xDS cannot wait for proxies: {}", std::strerror(errno))};
  }
  thread_ = std::thread([this] { work(); });
  usher_ = std::thread([this] { see_off(); });
  return {};
}

Door::~Door() {
  close();
  connections_.clear();
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  left_.notify_one();
  if (usher_.joinable()) usher_.join();
}

void Door::close() {
  if (!thread_.joinable()) return;
  (void)::eventfd_write(bell_.get(), 1);
  thread_.join();
  listener_.reset();
}

bool Door::watch(int descriptor, std::uint32_t events) const {
  epoll_event event{.events = events, .data = {.fd = descriptor}};
  return ::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, descriptor, &event) == 0;
}

void Door::work() {
  auto next_look = shared_.clock.now();
  std::array<epoll_event, 64> events;
  for (;;) {
    const int count = ::epoll_wait(poll_.get(), events.data(), events.size(), tick_ms);
    for (int i = 0; i < count; ++i) {
      const int descriptor = events[static_cast<std::size_t>(i)].data.fd;
      if (descriptor == bell_.get()) return;
      if (descriptor == listener_.get())
        accept();
      else
        leave(connections_.find(descriptor));  // both ends of it are gone, or soon will be
    }
    if (const auto now = shared_.clock.now(); now >= next_look) {
      next_look = now + std::chrono::milliseconds(tick_ms);
      look();
    }
  }
}

void Door::accept() {
  for (;;) {
    Descriptor socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) {
      if (errno == ECONNABORTED || errno == EINTR) continue;
      if (errno == EAGAIN) return;
      // Without a free descriptor the listener would be ready for ever.
      pausing_ = ::epoll_ctl(poll_.get(), EPOLL_CTL_DEL, listener_.get(), nullptr) == 0;
      return;
    }
    set_options(socket.get());
    auto connection = Connection::open(shared_, std::move(socket));
    if (!connection || !watch(connection->socket(), EPOLLRDHUP)) continue;
    const int key = connection->socket();
    connections_.emplace(key, std::move(connection));
  }
}

// Its socket stays open for a while, and would be ready all that time.
Door::Connections::iterator Door::leave(Connections::iterator connection) {
  if (connection == connections_.end()) return connection;
  (void)::epoll_ctl(poll_.get(), EPOLL_CTL_DEL, connection->first, nullptr);
  {
    std::lock_guard lock(mutex_);
    leaving_.push_back(std::move(connection->second));
  }
  left_.notify_one();
  return connections_.erase(connection);
}

void Door::see_off() {
  std::unique_lock lock(mutex_);
  for (;;) {
    left_.wait(lock, [this] { return closing_ || !leaving_.empty(); });
    if (leaving_.empty()) return;
    auto connection = std::move(leaving_.front());
    leaving_.pop_front();
    lock.unlock();
    connection.reset();
    lock.lock();
  }
}

void Door::look() {
  if (pausing_) pausing_ = !watch(listener_.get(), EPOLLIN);
  const int silent_looks =
      std::max(1, static_cast<int>(shared_.options.ping_timeout.count() / tick_ms));
  for (auto it = connections_.begin(); it != connections_.end();) {
    Connection& connection = *it->second;
    if (connection.refused) {  // it has had the time to hear why
      it = leave(it);
      continue;
    }
    if (connection.silent(silent_looks)) connection.end();
    if (connection.overflows()) {
      connection.refused = true;
      shared_.refuse(connection.peer());
    }
    ++it;
  }
}

}  // namespace graymesh::xds
