// What no good client does, and what it may cost: a call, a connection, never more.
#include <sys/ioctl.h>

#include <set>
#include <thread>

#include "control/rpc/server_fixture.h"

namespace graymesh::rpc {
namespace {

using namespace std::chrono_literals;

class Limits : public RpcServer {
 public:
  // How many bytes of a stream the server takes until it takes no more for a while.
  static std::size_t takes(RawClient& client, std::int32_t stream, std::size_t most) {
    std::size_t sent = 0;
    const std::string bytes(16'384, 'x');
    while (sent < most) {
      const auto now =
          std::min({static_cast<std::size_t>(std::max<std::int64_t>(client.room(stream), 0)),
                    bytes.size(), most - sent});
      if (now > 0 && !client.send(stream, std::string_view(bytes).substr(0, now))) break;
      sent += now;
      if (now == 0 && !client.next(200ms)) break;
    }
    return sent;
  }

  // So that the socket alone holds up what is sent to it.
  static void opens_windows(RawClient& client) {
    client.say(NGHTTP2_SETTINGS, 0, 0,
               big_endian(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 2) + big_endian(1 << 30));
    client.say(NGHTTP2_WINDOW_UPDATE, 0, 0, big_endian(1 << 30));
  }
};

TEST_F(Limits, WhatNobodyAsksForCostsOneWindow) {
  RawClient client(server->port());
  client.call(1, "/t/Held");
  const auto call = held();
  client.send(1, std::string("\0\0\x0f\xff\xff", 5));  // 1 MB
  EXPECT_LE(takes(client, 1, 1 << 20), 65'535u);
}

TEST_F(Limits, AMessageThatIsAskedForHasTheWindowItNeedsAndGivesItBack) {
  constexpr std::size_t size = 1 << 20;
  RawClient client(server->port());
  client.call(1, "/t/Held");
  const auto call = held();
  for (int i = 0; i < 3; ++i) {
    call->read();
    client.send(1, big_endian(0, 1) + big_endian(size));
    EXPECT_EQ(takes(client, 1, size), size);
    EXPECT_EQ(diary->next(), "message of " + std::to_string(size));
  }
  client.send(1, big_endian(0, 1) + big_endian(size));
  EXPECT_LE(takes(client, 1, size), 2 * 65'535u) << "nobody asks for this one";
}

TEST_F(Limits, ManyMessagesKeepTheirWindowOpen) {
  RawClient client(server->port());
  client.call(1, "/t/Held");
  const auto call = held();
  for (int i = 0; i < 100; ++i) {
    call->read();
    const std::size_t size = i % 3 == 0 ? 50'000 : 20'000;
    client.send(1, big_endian(0, 1) + big_endian(static_cast<std::uint32_t>(size)));
    ASSERT_EQ(takes(client, 1, size), size) << i;
    EXPECT_EQ(diary->next(), "message of " + std::to_string(size));
  }
}

TEST_F(Limits, AMessageThatIsTooLongIsRefusedByItsHead) {
  start({.message_bytes_max = 1000});
  RawClient client(server->port());
  client.call(1, "/t/Echo");
  client.send(1, std::string("\0\0\0\x03\xe9", 5));
  const auto heard = client.hears(1);
  EXPECT_EQ(heard.status(), "8");
  EXPECT_EQ(heard.trailers.at("grpc-message"),
            "a message of 1001 bytes; 1000 are the most that is taken");
  client.call(3, "/t/Echo");
  client.send(3, framed(std::string(1000, 'x')), end_stream);
  client.ends_with_trailers = true;
  EXPECT_EQ(client.hears(3).status(), "0");
}

TEST_F(Limits, LongMessagesOfOneConnectionComeInOneAfterTheOther) {
  constexpr std::size_t size = 1 << 20;
  start({.incoming_bytes_max = size + size / 2});
  RawClient client(server->port());
  std::vector<CallPtr> calls;
  for (const std::int32_t stream : {1, 3}) {
    client.call(stream, "/t/Held");
    calls.push_back(held());
    calls.back()->read();
    client.send(stream, big_endian(0, 1) + big_endian(size));
    // The first is opened for, the other has to wait.
    EXPECT_EQ(takes(client, stream, size - 1) == size - 1, stream == 1);
  }
  client.send(1, "x");
  EXPECT_EQ(diary->next(), "message of " + std::to_string(size));
  EXPECT_EQ(takes(client, 3, 100'000), 100'000u);
}

TEST_F(Limits, WhoLeavesAMessageHalfSentIsGivenUp) {
  start({.patience = 600ms});
  RawClient client(server->port());
  client.call(1, "/t/Held");
  held()->read();
  client.send(1, framed("half").substr(0, 6));
  EXPECT_EQ(client.hears(1).reset, NGHTTP2_CANCEL);
  EXPECT_EQ(diary->next(), "done 1");
  client.call(3, "/t/Held");
  held()->read();
  EXPECT_EQ(diary->next(1500ms), "nothing") << "who says nothing may do so for ever";
}

TEST_F(Limits, WhoNeverBeginsToSpeakIsGivenUp) {
  start({.ping_every = 1h, .patience = 600ms});
  RawClient mute(server->port(), false), slow(server->port(), false);
  slow.say(std::string_view(NGHTTP2_CLIENT_MAGIC).substr(0, 10));
  RawClient good(server->port());
  EXPECT_TRUE(mute.is_ended());
  EXPECT_TRUE(slow.is_ended());
  EXPECT_FALSE(good.is_ended(500ms));
}

TEST_F(Limits, SomethingElseThanHttp2IsHungUpOn) {
  for (const std::string_view words :
       {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01 TLS, perhaps, a Client Hello",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nno SETTINGS"}) {
    RawClient client(server->port(), false);
    client.say(words);
    EXPECT_TRUE(client.is_ended()) << words;
  }
}

// It takes 64 kB, and the kernel some: the rest stays where it is, and the call can be ended.
TEST_F(Limits, WhoReadsNothingHoldsUpOneMessage) {
  start({.ping_every = 1h});
  RawClient client(server->port(), true, 4096), other(server->port());
  opens_windows(client);
  client.call(1, "/t/Held");
  const auto call = held();
  const auto body = std::make_shared<std::string>(std::size_t{16} << 20, 'x');
  call->write({.head = {}, .body = {*body, body}});
  EXPECT_EQ(diary->next(500ms), "nothing");
  other.call(1, "/t/Echo", {}, end_stream);
  other.ends_with_trailers = true;
  EXPECT_EQ(other.hears(1).status(), "0") << "others are served meanwhile";
  call->cancel();
  EXPECT_EQ(diary->next(1000ms), "done 1") << "long before the kernel gives it up";
}

TEST_F(Limits, WhoReadsHalfWayThroughGetsTheRest) {
  start({.ping_every = 1h});  // nothing else makes it go on
  RawClient client(server->port(), true, 4096);
  opens_windows(client);
  client.call(1, "/t/Held");
  const auto call = held();
  const auto body = std::make_shared<std::string>(std::size_t{8} << 20, 'x');
  call->write({.head = "y", .body = {*body, body}});
  EXPECT_EQ(diary->next(300ms), "nothing");
  std::jthread ends([&] {
    EXPECT_EQ(diary->next(), "written");
    call->finish({});
  });
  const auto heard = client.hears(1, false);
  ASSERT_EQ(heard.messages.size(), 1u);
  EXPECT_TRUE(heard.messages[0] == "y" + *body);
}

TEST_F(Limits, CallsOfOneConnectionAreBounded) {
  start({.calls_max = 2});
  RawClient client(server->port());
  for (const std::int32_t stream : {1, 3, 5}) client.call(stream, "/t/Held");
  const auto heard = client.hears(5);
  EXPECT_EQ(heard.reset, NGHTTP2_REFUSED_STREAM);
  held()->finish({});
  EXPECT_EQ(client.hears(1).status(), "0");
  client.call(7, "/t/Echo", {}, end_stream);
  client.ends_with_trailers = true;
  EXPECT_EQ(client.hears(7).status(), "0");
}

TEST_F(Limits, HeadersAreBounded) {
  RawClient client(server->port());
  HeaderMap many = {{"cookie", std::string(12'000, 'x')}};
  for (int i = 0; i < 60; ++i) many["header-" + std::to_string(i)] = std::string(50, 'x');
  client.call(1, "/t/Echo", many);
  EXPECT_TRUE(client.hears(1).reset);
  client.call(3, "/t/Echo", {{"cookie", std::string(15'000, 'x')}}, end_stream);
  client.ends_with_trailers = true;
  EXPECT_EQ(client.hears(3).status(), "0");
}

TEST_F(Limits, WhoOpensAndResetsWithoutEndIsSentAway) {
  RawClient client(server->port());
  std::int32_t stream = 1;
  for (int i = 0; i < 10'000; ++i, stream += 2) {
    if (!client.say(
            frame(headers, NGHTTP2_FLAG_END_HEADERS, stream, RawClient::request("/t/Echo")) +
            frame(NGHTTP2_RST_STREAM, 0, stream, big_endian(NGHTTP2_CANCEL))))
      break;
  }
  const auto away = client.next_of(NGHTTP2_GOAWAY);
  ASSERT_TRUE(away || client.hung_up);
  if (away) {
    EXPECT_EQ(away->code(), NGHTTP2_ENHANCE_YOUR_CALM);
    EXPECT_LT(away->number(0), 600u) << "of streams";
  }
  EXPECT_TRUE(client.is_ended());
}

// As by a stream whose windows overflow: the server resets it, and the client opens the next.
TEST_F(Limits, WhoHasUsResetWithoutEndIsSentAway) {
  RawClient client(server->port());
  std::int32_t stream = 1;
  for (int i = 0; i < 10'000; ++i, stream += 2) {
    if (!client.say(
            frame(headers, NGHTTP2_FLAG_END_HEADERS, stream, RawClient::request("/t/Echo")) +
            frame(NGHTTP2_WINDOW_UPDATE, 0, stream, big_endian(0))))
      break;
  }
  EXPECT_TRUE(client.is_ended());
}

TEST_F(Limits, AFewResetsAreNothing) {
  RawClient client(server->port());
  for (std::int32_t stream = 1; stream < 200; stream += 2) {
    client.call(stream, "/t/Echo");
    client.say(NGHTTP2_RST_STREAM, 0, stream, big_endian(NGHTTP2_CANCEL));
  }
  client.call(201, "/t/Echo", {}, end_stream);
  client.ends_with_trailers = true;
  EXPECT_EQ(client.hears(201).status(), "0");
}

// It reads nothing of what it is answered.
TEST_F(Limits, WhoPingsWithoutReadingIsHungUpOn) {
  start({.ping_every = 1h});
  RawClient client(server->port(), true, 4096);
  std::string pings;
  for (int i = 0; i < 1000; ++i) pings += frame(NGHTTP2_PING, 0, 0, "graymesh");
  bool takes_all = true;
  for (int i = 0; i < 3000 && takes_all; ++i) takes_all = client.say(pings);
  EXPECT_FALSE(takes_all);
}

TEST_F(Limits, PingsAreAnsweredAlsoManyAtOnce) {
  RawClient client(server->port());
  std::set<std::string> answers;
  for (int i = 0; i < 500; ++i)
    client.say(NGHTTP2_PING, 0, 0, big_endian(7) + big_endian(static_cast<std::uint32_t>(i)));
  while (answers.size() < 500) {
    const auto found = client.next_of(NGHTTP2_PING);
    ASSERT_TRUE(found) << answers.size();
    if ((found->flags & NGHTTP2_FLAG_ACK) != 0) answers.insert(found->payload);
  }
}

TEST_F(Limits, CallsOfWhoAnswersNoPingAreDoneAsUnavailable) {
  start({.ping_every = 100ms, .ping_timeout = 500ms});
  RawClient client(server->port());
  client.call(1, "/t/Held");
  EXPECT_EQ(diary->next(), "done " + std::to_string(static_cast<int>(Code::unavailable)));
}

TEST_F(Limits, WhoIsQuietIsPingedAndWhoTalksIsNot) {
  start({.ping_every = 700ms});
  RawClient quiet(server->port()), talks(server->port());
  const auto asked = [&](RawClient& client, std::chrono::milliseconds time) {
    int pings = 0;
    const auto until = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < until) {
      const auto found = client.next(100ms);
      pings += found && found->type == NGHTTP2_PING && (found->flags & NGHTTP2_FLAG_ACK) == 0;
      talks.say(NGHTTP2_PING, 0, 0, "graymesh");
    }
    return pings;
  };
  const int of_quiet = asked(quiet, 3000ms);
  EXPECT_GE(of_quiet, 2);
  EXPECT_LE(of_quiet, 5);
  EXPECT_EQ(asked(talks, 1500ms), 0);
}

}  // namespace
}  // namespace graymesh::rpc
