// Accepting, serving and stopping of server.h.
#include "server.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <thread>

namespace graymesh::shop {
namespace {

using namespace std::chrono_literals;

// Longer than any idle timeout in front of us, so that it is never we who close a connection just
// as the sidecar puts a request on it.
constexpr auto patience = 24h;
constexpr auto request_patience = 30s;
constexpr auto stop_patience = 10s;

int listen_at(const std::string& where) {
  const auto colon = where.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  std::uint16_t port = 0;
  if (colon != std::string::npos)
    std::from_chars(where.data() + colon + 1, where.data() + where.size(), port);
  address.sin_port = htons(port);
  if (::inet_pton(AF_INET, where.substr(0, colon).c_str(), &address.sin_addr) != 1) {
    errno = EINVAL;
    return -1;
  }
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int on = 1;
  (void)::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd, 1024) != 0) {
    ::close(fd);
    return -1;
  }
  return fd;
}

class Server {
 public:
  Server(const ServerOptions& options, const Handler& handler)
      : options_(options), handler_(handler), stop_(::eventfd(0, EFD_CLOEXEC)) {}
  ~Server() { ::close(stop_); }

  void accept(int listener) {
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const int fd = ::accept4(listener, reinterpret_cast<sockaddr*>(&from), &size, SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    char peer[INET_ADDRSTRLEN] = "";
    ::inet_ntop(AF_INET, &from.sin_addr, peer, sizeof peer);
    ++open_;
    std::thread([this, connection = Connection(fd, peer)]() mutable {
      attend(connection);
      connection = Connection(-1);
      --open_;
    }).detach();
  }

  bool full() const { return open_ >= options_.connections_max; }

  // Waits for the requests in flight; false if some would not end.
  bool finish() {
    stopping_ = true;
    const std::uint64_t one = 1;
    (void)!::write(stop_, &one, sizeof one);  // stays readable: every thread sees it
    const auto deadline = std::chrono::steady_clock::now() + stop_patience;
    while (open_ > 0 && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(2ms);
    return open_ == 0;
  }

 private:
  void attend(Connection& connection) {
    Client client(options_.proxy);
    while (connection.has_bytes() || next_request_comes(connection.fd())) {
      const auto request = connection.read_request(request_patience);
      if (!request) return;
      const Response response = handler_(*request, client);
      const auto wish = request->headers.find("connection");
      const bool last = stopping_ || (wish != request->headers.end() && wish->second == "close");
      if (!connection.write(response, last) || last) return;
    }
  }

  bool next_request_comes(int fd) const {
    pollfd polled[] = {{fd, POLLIN, 0}, {stop_, POLLIN, 0}};
    while (::poll(polled, 2, static_cast<int>(std::chrono::milliseconds(patience).count())) < 0) {
      if (errno != EINTR) return false;
    }
    return polled[0].revents != 0;
  }

  const ServerOptions& options_;
  const Handler& handler_;
  int stop_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::size_t> open_{0};
};

}  // namespace

int serve(const ServerOptions& options, const Handler& handler) {
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGTERM);
  sigaddset(&wanted, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &wanted, nullptr);  // before any thread, which inherit it
  const int signals = ::signalfd(-1, &wanted, SFD_CLOEXEC);
  const int listener = listen_at(options.listen);
  if (listener < 0) {
    fmt::print(stderr, "shop: cannot listen at {}: {}\n", options.listen, std::strerror(errno));
    return 1;
  }
  Server server(options, handler);
  for (;;) {
    pollfd polled[] = {{signals, POLLIN, 0},
                       {listener, static_cast<short>(server.full() ? 0 : POLLIN), 0}};
    ::poll(polled, 2, server.full() ? 10 : -1);
    if (polled[0].revents != 0) break;
    if (polled[1].revents != 0) server.accept(listener);
  }
  ::close(listener);
  if (server.finish()) return 0;
  fmt::print(stderr, "shop: requests still in flight after {} s are cut off\n",
             stop_patience.count());
  // The threads still use `server`: no destructors.
  std::fflush(nullptr);
  ::_exit(1);
}

}  // namespace graymesh::shop
