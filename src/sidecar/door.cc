// The guests of door.h: read to the empty line, answer, close.
#include "sidecar/door.h"

#include <fmt/core.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace graymesh::sidecar {

Result<Door> Door::open(const Clock& clock, const std::string& ip, std::uint16_t port,
                        Answer answer) {
  Address address = TRY(make_address(ip, port));
  const auto fault = [&](const char* what) {
    return Error{Code::unavailable, fmt::format("readiness {}:{}: cannot {}: {}", ip, port, what,
                                                std::strerror(errno))};
  };
  Descriptor listener(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener) return fault("make a socket");
  const int on = 1;
  (void)::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(listener.get(), address.get(), address.size) != 0) return fault("bind");
  if (::listen(listener.get(), 64) != 0) return fault("listen");
  (void)::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address.storage), &address.size);
  const in_port_t real = address.family() == AF_INET6
                             ? reinterpret_cast<const sockaddr_in6*>(address.get())->sin6_port
                             : reinterpret_cast<const sockaddr_in*>(address.get())->sin_port;
  return Door(clock, std::move(listener), ntohs(real), std::move(answer));
}

void Door::interest(std::vector<pollfd>& polled) const {
  const bool room = guests_.size() < guests_max;
  polled.push_back({listener_.get(), static_cast<short>(room ? POLLIN : 0), 0});
  for (const Guest& guest : guests_) {
    polled.push_back(
        {guest.socket.get(), static_cast<short>(guest.out.empty() ? POLLIN : POLLOUT), 0});
  }
}

void Door::advance(const pollfd* first) {
  const pollfd* polled = first + 1;
  std::erase_if(guests_, [&](Guest& guest) { return !serve(guest, (polled++)->revents); });
  if (first->revents != 0) accept();
}

Clock::Steady Door::deadline() const {
  auto deadline = Clock::Steady::max();
  for (const Guest& guest : guests_) deadline = std::min(deadline, guest.deadline);
  return deadline;
}

void Door::accept() {
  while (guests_.size() < guests_max) {
    Descriptor socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) return;
    guests_.push_back({std::move(socket), clock_->now() + patience, {}, {}});
  }
}

bool Door::serve(Guest& guest, short events) {
  if (events == 0) return clock_->now() < guest.deadline;
  if (guest.out.empty()) {
    char buffer[4096];
    const ssize_t got = ::recv(guest.socket.get(), buffer, sizeof buffer, 0);
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    guest.in.append(buffer, static_cast<std::size_t>(got));
    const auto end = guest.in.find("\r\n\r\n");
    if (end == std::string::npos) return guest.in.size() < request_bytes_max;
    guest.out = answer_to(std::string_view(guest.in).substr(0, end + 4), answer_);
  }
  const ssize_t sent = ::send(guest.socket.get(), guest.out.data(), guest.out.size(), MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN;
  guest.out.erase(0, static_cast<std::size_t>(sent));
  return !guest.out.empty();
}

namespace {

std::string_view phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 503:
      return "Service Unavailable";
    default:
      return "Bad Request";
  }
}

}  // namespace

std::string answer_to(std::string_view head, const Door::Answer& answer) {
  const std::string_view line = head.substr(0, head.find("\r\n"));
  const auto method_end = line.find(' ');
  const auto path_end = line.rfind(' ');
  Reply reply{400, "not a request\n"};
  const std::string_view method = line.substr(0, method_end);
  if (method_end != std::string_view::npos && path_end > method_end &&
      line.substr(path_end + 1).starts_with("HTTP/1.")) {
    std::string_view path = line.substr(method_end + 1, path_end - method_end - 1);
    path = path.substr(0, path.find('?'));
    reply = method == "GET" || method == "HEAD" ? answer(path) : Reply{405, "GET or HEAD only\n"};
  }
  return fmt::format(
      "HTTP/1.1 {} {}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: "
      "close\r\n\r\n{}",
      reply.status, phrase(reply.status), reply.body.size(),
      method == "HEAD" ? std::string_view{} : std::string_view(reply.body));
}

}  // namespace graymesh::sidecar
