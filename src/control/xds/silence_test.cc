// Peers that say nothing, by sockets of our own: no HTTP/2 library would keep so still.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <atomic>
#include <chrono>
#include <initializer_list>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "base/descriptor.h"
#include "control/xds/server_fixture.h"

namespace graymesh::xds {
namespace {

using namespace std::chrono_literals;

// Begins an HTTP/2 connection, and answers nothing.
class Mute {
 public:
  explicit Mute(int port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{.sin_family = AF_INET,
                        .sin_port = htons(static_cast<std::uint16_t>(port)),
                        .sin_addr = {htonl(INADDR_LOOPBACK)},
                        .sin_zero = {}};
    EXPECT_EQ(::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    using namespace std::string_view_literals;
    say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"sv);
    say("\0\0\0\4\0\0\0\0\0"sv);  // SETTINGS, empty
  }

  // Three bytes of length, type, flags, four of stream, eight to be sent back (RFC 9113 6.7).
  void pings() const { say(std::string_view("\0\0\10\6\0\0\0\0\0graymesh", 17)); }

  // Opens a stream of the ADS, and says `message` on it.
  void asks(const std::string& message) const {
    using namespace std::string_view_literals;
    std::string block;  // RFC 7541 6.2.2: each by name, not indexed
    for (const auto& [name, value] :
         std::initializer_list<std::pair<std::string_view, std::string_view>>{
             {":method", "POST"},
             {":scheme", "http"},
             {":path",
              "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"},
             {":authority", "x"},
             {"content-type", "application/grpc"},
             {"te", "trailers"}}) {
      block += '\0';
      for (const auto text : {name, value}) block.append(1, static_cast<char>(text.size())) += text;
    }
    const auto frame = [&](char type, char flags, std::string_view payload) {
      std::string bytes = {0, 0, static_cast<char>(payload.size()), type, flags, 0, 0, 0, 1};
      say(bytes += payload);
    };
    frame(1, 4, block);
    // Not compressed, four bytes of length (PROTOCOL-HTTP2 of gRPC).
    frame(0, 0, std::string(4, '\0') + static_cast<char>(message.size()) + message);
  }

  // Until the server ends the connection; false if it does not within `time`.
  bool is_ended(std::chrono::milliseconds time) const {
    const auto end = std::chrono::steady_clock::now() + time;
    const timeval step{.tv_sec = 0, .tv_usec = 100'000};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &step, sizeof step);
    char bytes[4096];
    while (std::chrono::steady_clock::now() < end) {
      const auto count = ::recv(socket_.get(), bytes, sizeof bytes, 0);
      if (count == 0 || (count < 0 && errno != EAGAIN)) return true;
    }
    return false;
  }

 private:
  void say(std::string_view bytes) const {
    EXPECT_EQ(::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  const Descriptor socket_;
};

class Silence : public XdsServer {
 public:
  void SetUp() override { start({.write_max = 60s, .ping_every = 100ms, .ping_timeout = 1000ms}); }
};

TEST_F(Silence, EndsTheConnectionOfWhoAnswersNoPing) {
  const Mute mute(server->port());
  EXPECT_TRUE(mute.is_ended(patience));
}

// A process that is stopped, a host that is gone: it reads nothing, and answers no ping.
TEST_F(Silence, OfAProxyIsTheReasonWhyItsStreamIsEnded) {
  std::atomic<int> told = 0;
  start({.write_max = 60s,
         .ping_every = 100ms,
         .ping_timeout = 1000ms,
         .on_drop = [&](const Dropped&) { ++told; }});
  serve({.clusters = {"a=" + std::string(std::size_t{1} << 20, 'x')}});
  const Mute mute(server->port());
  mute.asks(first(Type::cluster, "hangs").SerializeAsString());
  ASSERT_TRUE(eventually([&] { return told == 1; }));
  const auto all = server->dropped();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].node_id, "hangs");
  EXPECT_EQ(all[0].reason, "silent");
  EXPECT_EQ(all[0].text, "it has not answered a ping for 1 s");
  const auto& counter =
      registry.counter("graymesh_xds_streams_dropped_total", "", {{"reason", "silent"}});
  EXPECT_EQ(counter.value(), 1u);
}

// What counts is that something comes: the answer may be behind it, or not be read yet.
TEST_F(Silence, IsNoneWhileAnythingComes) {
  const Mute quiet(server->port()), talks(server->port());
  std::jthread talking([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      talks.pings();
      std::this_thread::sleep_for(50ms);
    }
  });
  EXPECT_TRUE(quiet.is_ended(patience));
  EXPECT_FALSE(talks.is_ended(2000ms));
}

}  // namespace
}  // namespace graymesh::xds
