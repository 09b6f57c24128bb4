// Reading and writing of http.h, and the client's way through the sidecar.
#include "http.h"

#include <fmt/core.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace graymesh::shop {
namespace {

using Deadline = std::chrono::steady_clock::time_point;

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// The lines after the first of a head.
Headers parse_headers(std::string_view head) {
  Headers headers;
  for (auto end = head.find("\r\n"); end != std::string_view::npos; end = head.find("\r\n")) {
    head.remove_prefix(end + 2);
    const auto line = head.substr(0, head.find("\r\n"));
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    std::string& value = headers[lower(line.substr(0, colon))];
    if (!value.empty()) value += ", ";
    value += trim(line.substr(colon + 1));
  }
  return headers;
}

std::string to_text(const Headers& headers) {
  std::string text;
  for (const auto& [name, value] : headers) text += fmt::format("{}: {}\r\n", name, value);
  return text;
}

// -1 and a sentence in `error`.
int connect_to(const std::string& authority, std::string& error) {
  const auto colon = authority.rfind(':');
  const std::string host = authority.substr(0, colon);
  const std::string port = colon == std::string::npos ? "80" : authority.substr(colon + 1);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int code = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); code != 0) {
    error = fmt::format("{}: {}", authority, ::gai_strerror(code));
    return -1;
  }
  int fd = -1;
  for (const addrinfo* at = found; at != nullptr && fd < 0; at = at->ai_next) {
    fd = ::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && ::connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
      error = fmt::format("{}: {}", authority, std::strerror(errno));
      ::close(std::exchange(fd, -1));
    }
  }
  ::freeaddrinfo(found);
  const int on = 1;
  if (fd >= 0) (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

}  // namespace

std::string query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto end = query.find('&');
    const auto pair = query.substr(0, end);
    const auto equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name) {
      return std::string(pair.substr(equals + 1));
    }
    query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
  }
  return {};
}

Connection::~Connection() {
  if (fd_ >= 0) ::close(fd_);
}

Connection::Connection(Connection&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), peer_(std::move(other.peer_)), in_(std::move(other.in_)) {}

Connection& Connection::operator=(Connection&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(peer_, other.peer_);
  std::swap(in_, other.in_);
  return *this;
}

bool Connection::fill(Deadline deadline) {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd polled{fd_, POLLIN, 0};
    const int ready = ::poll(&polled, 1, static_cast<int>(std::max<long>(left.count(), 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    char buffer[16 * 1024];
    const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    in_.append(buffer, static_cast<std::size_t>(got));
    return true;
  }
}

std::optional<std::string> Connection::read_head(Deadline deadline) {
  std::size_t end = 0;
  while ((end = in_.find("\r\n\r\n")) == std::string::npos) {
    if (in_.size() > head_bytes_max || !fill(deadline)) return std::nullopt;
  }
  std::string head = in_.substr(0, end + 2);
  in_.erase(0, end + 4);
  return head;
}

std::optional<std::string> Connection::take(std::size_t size, Deadline deadline) {
  if (size > body_bytes_max) return std::nullopt;
  while (in_.size() < size) {
    if (!fill(deadline)) return std::nullopt;
  }
  std::string bytes = in_.substr(0, size);
  in_.erase(0, size);
  return bytes;
}

std::optional<std::string> Connection::take_line(Deadline deadline) {
  std::size_t end = 0;
  while ((end = in_.find("\r\n")) == std::string::npos) {
    if (in_.size() > head_bytes_max || !fill(deadline)) return std::nullopt;
  }
  std::string line = in_.substr(0, end);
  in_.erase(0, end + 2);
  return line;
}

std::optional<std::string> Connection::read_chunks(Deadline deadline) {
  std::string body;
  for (;;) {
    const auto line = take_line(deadline);
    if (!line) return std::nullopt;
    std::size_t size = 0;
    if (std::from_chars(line->data(), line->data() + line->size(), size, 16).ec != std::errc{}) {
      return std::nullopt;
    }
    if (size == 0) break;
    if (size > body_bytes_max || body.size() + size > body_bytes_max) return std::nullopt;
    const auto chunk = take(size + 2, deadline);
    if (!chunk) return std::nullopt;
    body.append(*chunk, 0, size);
  }
  for (;;) {  // trailers, up to the empty line
    const auto line = take_line(deadline);
    if (!line) return std::nullopt;
    if (line->empty()) return body;
  }
}

std::optional<std::string> Connection::read_body(const Headers& headers, bool until_end,
                                                 Deadline deadline) {
  if (const auto found = headers.find("transfer-encoding"); found != headers.end()) {
    return lower(found->second) == "chunked" ? read_chunks(deadline) : std::nullopt;
  }
  if (const auto found = headers.find("content-length"); found != headers.end()) {
    std::size_t size = 0;
    const std::string& text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return take(size, deadline);
  }
  if (!until_end) return std::string{};
  while (in_.size() <= body_bytes_max && fill(deadline)) {
  }
  return std::exchange(in_, {});
}

std::optional<Request> Connection::read_request(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  const auto head = read_head(deadline);
  if (!head) return std::nullopt;
  const std::string_view line = std::string_view(*head).substr(0, head->find("\r\n"));
  const auto first = line.find(' ');
  const auto second = line.rfind(' ');
  if (first == std::string_view::npos || second <= first ||
      !line.substr(second + 1).starts_with("HTTP/1.")) {
    return std::nullopt;
  }
  Request request;
  request.method = line.substr(0, first);
  const auto target = line.substr(first + 1, second - first - 1);
  const auto mark = target.find('?');
  request.path = target.substr(0, mark);
  if (mark != std::string_view::npos) request.query = target.substr(mark + 1);
  request.headers = parse_headers(*head);
  request.peer = peer_;
  auto body = read_body(request.headers, false, deadline);
  if (!body) return std::nullopt;
  request.body = *std::move(body);
  return request;
}

std::optional<Response> Connection::read_response(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  const auto head = read_head(deadline);
  if (!head || !head->starts_with("HTTP/1.") || head->size() < 12) return std::nullopt;
  Response response;
  if (std::from_chars(head->data() + 9, head->data() + 12, response.status).ec != std::errc{}) {
    return std::nullopt;
  }
  response.headers = parse_headers(*head);
  auto body = read_body(response.headers, true, deadline);
  if (!body) return std::nullopt;
  response.body = *std::move(body);
  return response;
}

bool Connection::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool Connection::write(const Response& response, bool last) {
  return write(fmt::format("HTTP/1.1 {} {}\r\n{}content-length: {}\r\n{}\r\n{}", response.status,
                           response.status < 400 ? "OK" : "Error", to_text(response.headers),
                           response.body.size(), last ? "connection: close\r\n" : "",
                           response.body));
}

Client::Outcome Client::get(const std::string& url, const Headers& headers,
                            std::chrono::milliseconds patience) {
  constexpr std::string_view scheme = "http://";
  if (!url.starts_with(scheme)) return {std::nullopt, url + ": only http:// is called"};
  const auto slash = url.find('/', scheme.size());
  const std::string authority = url.substr(scheme.size(), slash - scheme.size());
  const std::string path = slash == std::string::npos ? "/" : url.substr(slash);
  const std::string& peer = proxy_.empty() ? authority : proxy_;
  const std::string request = fmt::format("GET {} HTTP/1.1\r\nhost: {}\r\n{}\r\n",
                                          proxy_.empty() ? path : url, authority, to_text(headers));
  std::string error;
  // A kept connection may have been closed by the peer meanwhile: then once more on a new one.
  for (const bool again : {true, false}) {
    auto kept = kept_.find(peer);
    const bool used = kept != kept_.end();
    if (!used) {
      const int fd = connect_to(peer, error);
      if (fd < 0) return {std::nullopt, error};
      kept = kept_.emplace(peer, Connection(fd)).first;
    }
    if (kept->second.write(request)) {
      if (auto response = kept->second.read_response(patience)) {
        const auto connection = response->headers.find("connection");
        const bool last =
            connection != response->headers.end() && lower(connection->second) == "close";
        if (last || (!response->headers.contains("content-length") &&
                     !response->headers.contains("transfer-encoding"))) {
          kept_.erase(kept);
        }
        return {std::move(response), ""};
      }
    }
    const bool broke_off = kept->second.has_bytes();
    kept_.erase(kept);
    if (!used || broke_off || !again) break;
  }
  return {std::nullopt, fmt::format("{}: no answer within {} ms", peer, patience.count())};
}

}  // namespace graymesh::shop
