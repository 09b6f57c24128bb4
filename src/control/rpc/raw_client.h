// A client for tests that says what no library would: HTTP/2 frame by frame, on a socket of its
// own.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/descriptor.h"
#include "control/rpc/framing.h"

namespace graymesh::rpc {

inline constexpr std::chrono::milliseconds patience{20'000};
inline constexpr std::uint8_t data = NGHTTP2_DATA, headers = NGHTTP2_HEADERS;
inline constexpr std::uint8_t end_stream = NGHTTP2_FLAG_END_STREAM;

using HeaderMap = std::map<std::string, std::string>;

// Of a gRPC message, with its prefix.
inline std::string framed(std::string_view message) {
  const auto prefix = prefix_of(message.size());
  return std::string(prefix.data(), prefix.size()) + std::string(message);
}

inline std::string big_endian(std::uint32_t value, int bytes = 4) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i) & 0xff);
  return out;
}

// RFC 9113 4.1.
inline std::string frame(std::uint8_t type, std::uint8_t flags, std::int32_t stream,
                         std::string_view payload) {
  return big_endian(static_cast<std::uint32_t>(payload.size()), 3) + static_cast<char>(type) +
         static_cast<char>(flags) + big_endian(static_cast<std::uint32_t>(stream)) +
         std::string(payload);
}

// Without tables and Huffman: RFC 7541 6.2.2.
inline std::string header_block(const std::vector<std::pair<std::string, std::string>>& all) {
  std::string block;
  const auto text = [&](const std::string& it) {
    const std::size_t size = it.size();
    if (size < 127) {
      block += static_cast<char>(size);
    } else {
      block += '\x7f';
      std::size_t rest = size - 127;
      for (; rest >= 128; rest >>= 7) block += static_cast<char>((rest & 0x7f) | 0x80);
      block += static_cast<char>(rest);
    }
    block += it;
  };
  for (const auto& [name, value] : all) {
    block += '\0';
    text(name);
    text(value);
  }
  return block;
}

class RawClient {
 public:
  // `greets`: it begins to speak HTTP/2 at once. `receive_bytes`: of the kernel's buffer, for who
  // takes little; 0: as usual.
  explicit RawClient(int port, bool greets = true, int receive_bytes = 0)
      : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_bytes > 0) {
      ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    }
    sockaddr_in address{.sin_family = AF_INET,
                        .sin_port = htons(static_cast<std::uint16_t>(port)),
                        .sin_addr = {htonl(INADDR_LOOPBACK)},
                        .sin_zero = {}};
    EXPECT_EQ(::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    nghttp2_hd_inflate_new(&inflater_);
    if (greets) say(std::string(NGHTTP2_CLIENT_MAGIC) + frame(NGHTTP2_SETTINGS, 0, 0, ""));
  }
  ~RawClient() { nghttp2_hd_inflate_del(inflater_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  // False: the server has hung up, or takes nothing for a second.
  bool say(std::string_view bytes) {
    while (!bytes.empty()) {
      pollfd ready{socket_.get(), POLLOUT, 0};
      if (::poll(&ready, 1, 1000) != 1) return false;
      const auto sent =
          ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  bool say(std::uint8_t type, std::uint8_t flags, std::int32_t stream, std::string_view payload) {
    return say(frame(type, flags, stream, payload));
  }

  static std::string request(const std::string& path, const HeaderMap& other = {}) {
    HeaderMap all = {{":method", "POST"},
                     {":scheme", "http"},
                     {":path", path},
                     {":authority", "x"},
                     {"content-type", "application/grpc"},
                     {"te", "trailers"}};
    for (const auto& [name, value] : other) all[name] = value;
    std::vector<std::pair<std::string, std::string>> sorted;  // ":" sorts before letters
    for (const auto& [name, value] : all) {
      if (!value.empty()) sorted.emplace_back(name, value);
    }
    return header_block(sorted);
  }
  // `other`: headers beside the usual or instead of them; empty: not sent.
  void call(std::int32_t stream, const std::string& path, const HeaderMap& other = {},
            std::uint8_t flags = 0) {
    say(headers, static_cast<std::uint8_t>(NGHTTP2_FLAG_END_HEADERS | flags), stream,
        request(path, other));
  }
  // In frames that no server refuses.
  bool send(std::int32_t stream, std::string_view bytes, std::uint8_t flags = 0) {
    constexpr std::size_t most = 16'384;
    for (const std::int32_t id : {0, stream}) given_[id] -= static_cast<std::int64_t>(bytes.size());
    for (; bytes.size() > most; bytes.remove_prefix(most)) {
      if (!say(data, 0, stream, bytes.substr(0, most))) return false;
    }
    return say(data, flags, stream, bytes);
  }

  // How many bytes the server takes now, by its windows.
  std::int64_t room(std::int32_t stream) {
    return NGHTTP2_INITIAL_WINDOW_SIZE + std::min(given_[0], given_[stream]);
  }

  struct Frame {
    std::uint8_t type = 0, flags = 0;
    std::int32_t stream = 0;
    std::string payload{};
    HeaderMap headers{};  // decoded
    std::uint32_t code() const { return number(type == NGHTTP2_GOAWAY ? 4 : 0); }
    std::uint32_t number(std::size_t at) const {
      std::uint32_t value = 0;
      for (std::size_t i = at; i < at + 4 && i < payload.size(); ++i)
        value = value << 8 | static_cast<std::uint8_t>(payload[i]);
      return value;
    }
  };
  // The next frame; SETTINGS and PINGs are answered. None: the server has hung up, or nothing came.
  std::optional<Frame> next(std::chrono::milliseconds time = patience) {
    constexpr std::size_t head_bytes = 9;
    const auto size = [&] {
      return head_bytes + (static_cast<std::size_t>(static_cast<std::uint8_t>(in_[0])) << 16 |
                           static_cast<std::size_t>(static_cast<std::uint8_t>(in_[1])) << 8 |
                           static_cast<std::uint8_t>(in_[2]));
    };
    while (in_.size() < head_bytes || in_.size() < size()) {
      pollfd ready{socket_.get(), POLLIN, 0};
      if (::poll(&ready, 1, static_cast<int>(time.count())) != 1) return std::nullopt;
      char bytes[16'384];
      const auto count = ::recv(socket_.get(), bytes, sizeof bytes, 0);
      if (count <= 0) {
        hung_up = true;
        return std::nullopt;
      }
      in_.append(bytes, static_cast<std::size_t>(count));
    }
    Frame found{.type = static_cast<std::uint8_t>(in_[3]),
                .flags = static_cast<std::uint8_t>(in_[4]),
                .payload = in_.substr(head_bytes, size() - head_bytes)};
    for (std::size_t i = 5; i < head_bytes; ++i)
      found.stream = found.stream << 8 | static_cast<std::uint8_t>(in_[i]);
    in_.erase(0, size());
    if (found.type == headers) inflate(found);
    if (found.type == NGHTTP2_WINDOW_UPDATE) given_[found.stream] += found.number(0);
    const bool asks = found.type == NGHTTP2_SETTINGS || found.type == NGHTTP2_PING;
    if (asks && (found.flags & NGHTTP2_FLAG_ACK) == 0 && answers) {
      say(found.type, NGHTTP2_FLAG_ACK, 0, found.type == NGHTTP2_PING ? found.payload : "");
    }
    return found;
  }
  // The next one of a kind, whatever comes before it.
  std::optional<Frame> next_of(std::uint8_t type) {
    for (;;) {
      auto found = next();
      if (!found || found->type == type) return found;
    }
  }

  // All of a stream until its end.
  struct Heard {
    HeaderMap headers{}, trailers{};
    std::vector<std::string> messages{};
    std::optional<std::uint32_t> reset{};
    std::string status() const {
      const auto found = trailers.find("grpc-status");
      return found == trailers.end() ? "none" : found->second;
    }
  };
  // `windows`: gives what it hears back to the server.
  Heard hears(std::int32_t stream, bool windows = true) {
    Heard heard;
    std::string bytes;
    while (auto found = next()) {
      if (found->stream != stream) continue;
      if (found->type == data) bytes += found->payload;
      if (found->type == data && windows && !found->payload.empty()) {
        const auto size = big_endian(static_cast<std::uint32_t>(found->payload.size()));
        say(NGHTTP2_WINDOW_UPDATE, 0, 0, size);
        say(NGHTTP2_WINDOW_UPDATE, 0, stream, size);
      }
      if (found->type == headers) {
        const bool last = (found->flags & end_stream) != 0;
        if (heard.headers.empty()) heard.headers = found->headers;
        if (last) heard.trailers = found->headers;
        if (last && ends_with_trailers) break;
      }
      if (found->type == NGHTTP2_RST_STREAM) {
        heard.reset = found->code();
        break;
      }
    }
    while (bytes.size() >= prefix_bytes) {
      const auto size = Frame{.payload = bytes}.number(1);
      heard.messages.push_back(bytes.substr(prefix_bytes, size));
      bytes.erase(0, prefix_bytes + size);
    }
    return heard;
  }

  // Until the server hangs up; false: it does not within `time`.
  bool is_ended(std::chrono::milliseconds time = patience) {
    const auto until = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < until && !hung_up)
      (void)next(std::chrono::milliseconds(100));
    return hung_up;
  }

  int socket() const { return socket_.get(); }
  bool hung_up = false;
  bool answers = true;              // SETTINGS and PINGs
  bool ends_with_trailers = false;  // hears() waits for no RST_STREAM behind them

 private:
  void inflate(Frame& found) {
    std::string_view block = found.payload;
    for (bool more = true; more;) {
      nghttp2_nv nv{};
      int flags = 0;
      const auto used = nghttp2_hd_inflate_hd2(inflater_, &nv, &flags,
                                               reinterpret_cast<const std::uint8_t*>(block.data()),
                                               block.size(), 1);
      if (used < 0) {
        ADD_FAILURE() << "headers that are none";
        return;
      }
      block.remove_prefix(static_cast<std::size_t>(used));
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
        found.headers[std::string(reinterpret_cast<const char*>(nv.name), nv.namelen)] =
            std::string(reinterpret_cast<const char*>(nv.value), nv.valuelen);
      }
      more = (flags & NGHTTP2_HD_INFLATE_FINAL) == 0;
    }
    nghttp2_hd_inflate_end_headers(inflater_);
  }

  const Descriptor socket_;
  nghttp2_hd_inflater* inflater_ = nullptr;
  std::string in_;
  std::map<std::int32_t, std::int64_t> given_;  // by the server, less what was sent; 0: of all
};

}  // namespace graymesh::rpc
