// The request of probe.h, in three steps that poll drives: connected, sent, read to the end.
#include "sidecar/probe.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>

#include <cerrno>
#include <charconv>

namespace graymesh::sidecar {

Result<Address> make_address(const std::string& ip, std::uint16_t port) {
  Address address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (::inet_pton(AF_INET, ip.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.size = sizeof *v4;
  } else if (::inet_pton(AF_INET6, ip.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    address.size = sizeof *v6;
  } else {
    return Error{Code::invalid_argument, fmt::format("address {:?}: must be an IP", ip)};
  }
  return address;
}

void Probe::begin(std::string_view method, std::string_view path,
                  std::chrono::milliseconds timeout) {
  deadline_ = clock_.now() + timeout;
  out_ =
      fmt::format("{} {} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
                  method, path);
  in_.clear();
  socket_.reset(::socket(address_.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  // An error shows at the next poll.
  if (socket_) (void)::connect(socket_.get(), address_.get(), address_.size);
}

pollfd Probe::interest() const {
  return {socket_.get(), static_cast<short>(out_.empty() ? POLLIN : POLLOUT), 0};
}

std::optional<Reply> Probe::advance(short events) {
  if (!socket_) return std::nullopt;
  if (events == 0) {
    if (clock_.now() < deadline_) return std::nullopt;
    return give_up();
  }
  if (!out_.empty()) {
    const ssize_t sent = ::send(socket_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN ? std::nullopt : std::optional(give_up());
    out_.erase(0, static_cast<std::size_t>(sent));
    return std::nullopt;
  }
  char buffer[16 * 1024];
  for (;;) {
    const ssize_t got = ::recv(socket_.get(), buffer, sizeof buffer, 0);
    if (got < 0) return errno == EAGAIN ? std::nullopt : std::optional(give_up());
    if (got == 0) return finish();
    in_.append(buffer, static_cast<std::size_t>(got));
    if (in_.size() > reply_bytes_max) return give_up();
  }
}

std::optional<Reply> Probe::finish() {
  socket_.reset();
  return parse_reply(in_).value_or(Reply{});
}

Reply Probe::give_up() {
  socket_.reset();
  return {};
}

namespace {

// The bytes of chunks `size in hex CRLF bytes CRLF ... 0 CRLF CRLF`; null if they break off.
std::optional<std::string> join_chunks(std::string_view bytes) {
  std::string body;
  for (;;) {
    std::size_t size = 0;
    const auto [end, error] = std::from_chars(bytes.data(), bytes.data() + bytes.size(), size, 16);
    if (error != std::errc{}) return std::nullopt;
    const auto line = bytes.find("\r\n", static_cast<std::size_t>(end - bytes.data()));
    if (line == std::string_view::npos) return std::nullopt;
    if (size == 0) return body;
    bytes.remove_prefix(line + 2);
    if (size > bytes.size() || bytes.size() - size < 2) return std::nullopt;
    body.append(bytes.substr(0, size));
    bytes.remove_prefix(size + 2);
  }
}

}  // namespace

std::optional<Reply> parse_reply(std::string_view bytes) {
  const auto head_end = bytes.find("\r\n\r\n");
  if (!bytes.starts_with("HTTP/1.") || head_end == std::string_view::npos || head_end < 12) {
    return std::nullopt;
  }
  Reply reply;
  if (std::from_chars(bytes.data() + 9, bytes.data() + 12, reply.status).ec != std::errc{}) {
    return std::nullopt;
  }
  const std::string_view head = bytes.substr(0, head_end + 2);
  const std::string_view body = bytes.substr(head_end + 4);
  // Envoy writes header names in lower case.
  if (head.find("\r\ntransfer-encoding: chunked\r\n") != std::string_view::npos) {
    auto joined = join_chunks(body);
    if (!joined) return std::nullopt;
    reply.body = *std::move(joined);
  } else {
    reply.body = body;
  }
  return reply;
}

}  // namespace graymesh::sidecar
