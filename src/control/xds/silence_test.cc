// Peers that say nothing, by sockets of our own: no HTTP/2 library would keep so still.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <chrono>
#include <string>
#include <string_view>
#include <thread>

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
