#include "bench/ads/connection.h"

#include <fmt/core.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

namespace graymesh::ads {
namespace {

// Envoy's: what may be on its way before it is read.
constexpr std::int32_t stream_window = 16 << 20;
constexpr std::int32_t connection_window = 24 << 20;

nghttp2_nv header(std::string_view name, std::string_view value) {
  // nghttp2 takes pointers to non-const, and copies.
  const auto bytes = [](std::string_view text) {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

Connection& of(void* self) { return *static_cast<Connection*>(self); }

}  // namespace

std::unique_ptr<Connection> Connection::open(const sockaddr_in& server, Proxy& proxy) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0) return nullptr;
  std::unique_ptr<Connection> made(new Connection(socket, proxy));
  const int on = 1;
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&server), sizeof server) != 0 &&
      errno != EINPROGRESS)
    return nullptr;
  return made;
}

Connection::~Connection() {
  nghttp2_session_del(session_);
  ::close(socket_);
}

bool Connection::fail(std::string why) {
  if (why_.empty()) why_ = std::move(why);
  return false;
}

bool Connection::answered() const {
  pollfd it{.fd = socket_, .events = POLLOUT, .revents = 0};
  return ::poll(&it, 1, 0) > 0;
}

bool Connection::begin(std::int64_t now) {
  int fault = 0;
  socklen_t size = sizeof fault;
  (void)::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &fault, &size);
  if (fault != 0) return fail(fmt::format("connect: {}", std::strerror(fault)));
  connected_ = true;
  now_ = now;
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
  nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
  nghttp2_session_client_new(&session_, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);

  const std::array settings = {
      nghttp2_settings_entry{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window},
      nghttp2_settings_entry{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, connection_window);
  const std::string path =
      fmt::format("/envoy.service.discovery.v3.AggregatedDiscoveryService/{}",
                  proxy_->delta() ? "DeltaAggregatedResources" : "StreamAggregatedResources");
  const std::array headers = {header(":method", "POST"),
                              header(":scheme", "http"),
                              header(":path", path),
                              header(":authority", "xds-grpc"),
                              header("te", "trailers"),
                              header("content-type", "application/grpc"),
                              header("user-agent", "graymesh-ads-load")};
  nghttp2_data_provider body{};
  body.read_callback = on_body;
  stream_ = nghttp2_submit_request(session_, nullptr, headers.data(), headers.size(), &body, this);
  proxy_->connected();
  return flush();
}

bool Connection::writable(std::int64_t now) {
  if (!connected_) return begin(now);
  return flush();
}

bool Connection::readable(std::int64_t now, std::size_t bytes_max) {
  if (!connected_ && !begin(now)) return false;
  now_ = now;
  thread_local std::vector<std::uint8_t> buffer(256u << 10);
  for (std::size_t total = 0; total < bytes_max;) {
    const ssize_t count =
        ::recv(socket_, buffer.data(), std::min(buffer.size(), bytes_max - total), 0);
    if (count < 0 && errno == EAGAIN) break;
    if (count < 0) return fail(fmt::format("read: {}", std::strerror(errno)));
    if (count == 0) return fail("closed by the server");
    total += static_cast<std::size_t>(count);
    received_ += static_cast<std::uint64_t>(count);
    const ssize_t used =
        nghttp2_session_mem_recv(session_, buffer.data(), static_cast<std::size_t>(count));
    if (used < 0) return fail(fmt::format("HTTP/2: {}", nghttp2_strerror(static_cast<int>(used))));
    if (!why_.empty()) return false;
    if (static_cast<std::size_t>(count) < buffer.size()) break;
  }
  return flush();
}

bool Connection::flush() {
  if (!proxy_->outbox().empty()) {
    if (to_send_.empty())
      to_send_.swap(proxy_->outbox());
    else
      to_send_ += std::exchange(proxy_->outbox(), {});
    (void)nghttp2_session_resume_data(session_, stream_);  // an error: it was not waiting
  }
  const int sent = nghttp2_session_send(session_);
  if (sent != 0) return fail(fmt::format("write: {}", std::strerror(errno)));
  return why_.empty();
}

bool Connection::ping(std::int64_t now) {
  unanswered_since_ = now;
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
  return flush();
}

bool Connection::wants_write() const {
  return !connected_ || nghttp2_session_want_write(session_) != 0;
}

int Connection::on_data(nghttp2_session*, std::uint8_t, std::int32_t, const std::uint8_t* data,
                        std::size_t size, void* self) {
  Connection& it = of(self);
  if (!it.proxy_->hear({reinterpret_cast<const char*>(data), size}, it.now_))
    it.fail("a response that is none");
  return 0;
}

int Connection::on_header(nghttp2_session*, const nghttp2_frame*, const std::uint8_t* name,
                          std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                          std::uint8_t, void* self) {
  const std::string_view key(reinterpret_cast<const char*>(name), name_size);
  const std::string_view text(reinterpret_cast<const char*>(value), value_size);
  if (key == "grpc-status") of(self).status_ = text;
  if (key == "grpc-message") of(self).message_ = text;
  return 0;
}

int Connection::on_frame(nghttp2_session*, const nghttp2_frame* frame, void* self) {
  Connection& it = of(self);
  if (it.unanswered_since_ != 0) {
    const bool answer = frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
    it.unanswered_since_ = answer ? 0 : it.now_;
  }
  if (frame->hd.type == NGHTTP2_GOAWAY) it.fail("GOAWAY");
  return 0;
}

int Connection::on_close(nghttp2_session*, std::int32_t, std::uint32_t code, void* self) {
  Connection& it = of(self);
  it.fail(it.status_.empty() ? fmt::format("reset, HTTP/2 code {}", code)
                             : fmt::format("status {}: {}", it.status_, it.message_));
  return 0;
}

ssize_t Connection::on_send(nghttp2_session*, const std::uint8_t* data, std::size_t size, int,
                            void* self) {
  const ssize_t sent = ::send(of(self).socket_, data, size, MSG_NOSIGNAL);
  if (sent >= 0) return sent;
  return errno == EAGAIN ? NGHTTP2_ERR_WOULDBLOCK : NGHTTP2_ERR_CALLBACK_FAILURE;
}

ssize_t Connection::on_body(nghttp2_session*, std::int32_t, std::uint8_t* data, std::size_t size,
                            std::uint32_t*, nghttp2_data_source*, void* self) {
  Connection& it = of(self);
  if (it.to_send_.empty()) return NGHTTP2_ERR_DEFERRED;
  const std::size_t part = std::min(size, it.to_send_.size() - it.sent_);
  it.to_send_.copy(reinterpret_cast<char*>(data), part, it.sent_);
  it.sent_ += part;
  if (it.sent_ == it.to_send_.size()) {
    it.to_send_.clear();
    it.sent_ = 0;
  }
  return static_cast<ssize_t>(part);
}

}  // namespace graymesh::ads
