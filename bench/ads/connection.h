// One HTTP/2 connection with one ADS stream on it: a socket, nghttp2, and the Proxy whose bytes it
// carries. It does nothing by itself: the Fleet tells it when its socket is ready or a ping is due.
#pragma once

#include <netinet/in.h>
#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <memory>
#include <string>

#include "bench/ads/proxy.h"

namespace graymesh::ads {

class Connection {
 public:
  // Begins to connect. Null, and errno: it could not.
  static std::unique_ptr<Connection> open(const sockaddr_in& server, Proxy& proxy);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int socket() const { return socket_; }
  bool connected() const { return connected_; }

  // Whether the server has accepted or refused it, which writable() finds.
  bool answered() const;
  // Each answers false when the connection has ended; why() says how.
  bool writable(std::int64_t now);
  bool readable(std::int64_t now, std::size_t bytes_max);
  bool flush();
  bool ping(std::int64_t now);
  bool wants_write() const;
  const std::string& why() const { return why_; }
  void end(std::string why) { why_ = std::move(why); }

  // Since when a ping waits for its answer; 0: none does. Every frame that comes begins the wait
  // anew, as in Envoy: the answer may be behind a long response.
  std::int64_t unanswered_since() const { return unanswered_since_; }
  std::uint64_t received() const { return received_; }

 private:
  Connection(int socket, Proxy& proxy) : socket_(socket), proxy_(&proxy) {}
  bool begin(std::int64_t now);
  bool fail(std::string why);

  static int on_data(nghttp2_session*, std::uint8_t, std::int32_t, const std::uint8_t* data,
                     std::size_t size, void* self);
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                       std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                       std::uint8_t, void* self);
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int on_close(nghttp2_session*, std::int32_t, std::uint32_t code, void* self);
  static ssize_t on_send(nghttp2_session*, const std::uint8_t* data, std::size_t size, int,
                         void* self);
  static ssize_t on_body(nghttp2_session*, std::int32_t, std::uint8_t* data, std::size_t size,
                         std::uint32_t* flags, nghttp2_data_source*, void* self);

  int socket_;
  Proxy* proxy_;
  nghttp2_session* session_ = nullptr;
  std::int32_t stream_ = 0;
  bool connected_ = false;
  std::int64_t now_ = 0, unanswered_since_ = 0;
  std::uint64_t received_ = 0;
  std::string to_send_, status_, message_, why_;
  std::size_t sent_ = 0;  // of to_send_, which may be megabytes: cut off when all of it is
};

}  // namespace graymesh::ads
