#include "release/workload/attempt.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace graymesh::workload {

void Attempt::begin(const std::string& address, std::chrono::milliseconds timeout) {
  busy_ = true;
  deadline_ = clock_.now() + timeout;
  address_ = address;
  in_.clear();
  body_.clear();
}

void Attempt::http(const std::string& address, std::uint16_t port, const std::string& path,
                   std::chrono::milliseconds timeout) {
  begin(address, timeout);
  http_ = true;
  ports_ = {port};
  const std::string slash = path.starts_with('/') ? "" : "/";
  url_ = fmt::format("http://{}:{}{}{}", address, port, slash, path);
  out_ = fmt::format(
      "GET {}{} HTTP/1.1\r\nHost: {}:{}\r\nUser-Agent: graymesh-probe\r\nAccept: */*\r\n"
      "Connection: close\r\n\r\n",
      slash, path, address, port);
  connect();
}

void Attempt::tcp(const std::string& address, std::vector<std::uint16_t> ports,
                  std::chrono::milliseconds timeout) {
  begin(address, timeout);
  http_ = false;
  ports_ = std::move(ports);
  out_.clear();
  if (!ports_.empty()) connect();
}

void Attempt::cancel() {
  busy_ = false;
  socket_.reset();
}

void Attempt::connect() {
  connected_ = false;
  refused_ = 0;
  socket_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(ports_.back());
  ::inet_pton(AF_INET, address_.c_str(), &address.sin_addr);
  if (!socket_ ||
      (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
       errno != EINPROGRESS)) {
    refused_ = errno;
  }
}

pollfd Attempt::interest() const {
  return {socket_.get(), static_cast<short>(connected_ && out_.empty() ? POLLIN : POLLOUT), 0};
}

Outcome Attempt::end(Outcome outcome) {
  cancel();
  return outcome;
}

std::optional<Outcome> Attempt::advance(short events) {
  if (!busy_) return std::nullopt;
  if (ports_.empty()) return end({.well = true, .answered = true});
  if (refused_ == 0 && events != 0 && !connected_) {
    socklen_t size = sizeof refused_;
    ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &refused_, &size);
    connected_ = refused_ == 0;
  }
  if (refused_ != 0) {
    return end({.what = fmt::format("{}:{} does not accept connections: {}", address_,
                                    ports_.back(), std::strerror(refused_))});
  }
  if (connected_ && http_) {
    if (auto outcome = exchange()) return outcome;
  } else if (connected_) {
    ports_.pop_back();
    if (ports_.empty()) return end({.well = true, .answered = true});
    connect();
  }
  if (clock_.now() < deadline_) return std::nullopt;
  if (auto outcome = read_reply(true)) return outcome;  // headers came, and the body never ended
  return end({.what = http_ ? fmt::format("GET {} timed out", url_)
                            : fmt::format("{}:{} does not accept connections: timed out", address_,
                                          ports_.back())});
}

std::optional<Outcome> Attempt::exchange() {
  if (!out_.empty()) {
    const ssize_t sent = ::send(socket_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
    if (sent > 0) out_.erase(0, static_cast<std::size_t>(sent));
    if (sent >= 0 || errno == EAGAIN) return std::nullopt;
    return end({.what = fmt::format("GET {}: {}", url_, std::strerror(errno))});
  }
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::recv(socket_.get(), buffer, sizeof buffer, 0);
    if (got < 0 && errno == EAGAIN) return read_reply(false);
    if (got > 0) in_.append(buffer, static_cast<std::size_t>(got));
    if (got > 0 && in_.size() < reply_bytes_max) continue;
    if (auto outcome = read_reply(true)) return outcome;
    return end({.what = fmt::format("GET {}: the connection was closed without an answer", url_)});
  }
}

// Null: it is not all there yet, or (`closed`) it is no HTTP.
std::optional<Outcome> Attempt::read_reply(bool closed) {
  const auto head_end = in_.find("\r\n\r\n");
  int status = 0;
  if (head_end == std::string::npos || head_end < 12 || !in_.starts_with("HTTP/1.") ||
      std::from_chars(in_.data() + 9, in_.data() + 12, status).ec != std::errc{}) {
    return std::nullopt;
  }
  std::string head = in_.substr(0, head_end);
  std::transform(head.begin(), head.end(), head.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  body_ = in_.substr(head_end + 4);
  const auto length = head.find("\r\ncontent-length:");
  std::size_t size = in_.size();
  if (length != std::string::npos) {
    const auto digits = head.find_first_not_of(' ', length + 17);
    if (digits != std::string::npos) {
      std::from_chars(head.data() + digits, head.data() + head.size(), size);
    }
  }
  if (!closed && body_.size() < size) return std::nullopt;
  const bool well = status >= 200 && status < 400;
  return end({.well = well,
              .answered = true,
              .what = well ? std::string() : fmt::format("GET {} answered {}", url_, status)});
}

}  // namespace graymesh::workload
