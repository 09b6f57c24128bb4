// As much HTTP/1.1 as a small shop needs: requests and responses on a blocking socket, in and out.
// Plain and bounded; the mesh around it is what is on show.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace graymesh::shop {

// Names in lower case; of a repeated header the values are joined by ", ".
using Headers = std::map<std::string, std::string>;

struct Request {
  std::string method;
  std::string path;   // decoded by nobody: as it stands in the request line, without the query
  std::string query;  // after '?'
  Headers headers;
  std::string body;
  std::string peer;  // the client's IP
};

struct Response {
  int status = 200;
  std::string body;
  Headers headers = {};
};

// `value` of `name=value` in a query; empty if it is not there.
std::string query_value(std::string_view query, std::string_view name);

// One TCP connection and the bytes read from it too early. Closes itself.
class Connection {
 public:
  static constexpr std::size_t head_bytes_max = 64 * 1024;
  static constexpr std::size_t body_bytes_max = 4 * 1024 * 1024;

  explicit Connection(int fd, std::string peer = "") : fd_(fd), peer_(std::move(peer)) {}
  ~Connection();
  Connection(Connection&& other) noexcept;
  Connection& operator=(Connection&& other) noexcept;

  // Empty if the peer closed, broke off, stalled for `patience`, or does not speak HTTP/1.
  std::optional<Request> read_request(std::chrono::milliseconds patience);
  std::optional<Response> read_response(std::chrono::milliseconds patience);
  bool write(const Response& response, bool last);
  bool write(std::string_view bytes);

  int fd() const { return fd_; }
  bool has_bytes() const { return !in_.empty(); }

 private:
  bool fill(std::chrono::steady_clock::time_point deadline);
  std::optional<std::string> read_head(std::chrono::steady_clock::time_point deadline);
  std::optional<std::string> read_body(const Headers& headers, bool until_end,
                                       std::chrono::steady_clock::time_point deadline);
  std::optional<std::string> read_chunks(std::chrono::steady_clock::time_point deadline);
  std::optional<std::string> take(std::size_t size, std::chrono::steady_clock::time_point deadline);
  std::optional<std::string> take_line(std::chrono::steady_clock::time_point deadline);

  int fd_;
  std::string peer_;
  std::string in_;
};

// Calls `host:port` of a URL, through an explicit HTTP proxy if there is one, and keeps the
// connection for the next call. One thread at a time.
class Client {
 public:
  explicit Client(std::string proxy) : proxy_(std::move(proxy)) {}

  // The error is a sentence for people.
  struct Outcome {
    std::optional<Response> response;
    std::string error;
  };
  Outcome get(const std::string& url, const Headers& headers, std::chrono::milliseconds patience);

 private:
  std::string proxy_;  // host:port; empty: straight to the URL's
  std::map<std::string, Connection> kept_;
};

}  // namespace graymesh::shop
