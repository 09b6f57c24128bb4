// The two ends of small HTTP: our question to the admin, our answer to who asks for readiness.
#include "sidecar/probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sidecar/door.h"

namespace graymesh::sidecar {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using namespace std::chrono_literals;

TEST(ParseReply, ReadsPlainAndChunkedBodies) {
  EXPECT_EQ(parse_reply("HTTP/1.1 200 OK\r\nx: y\r\n\r\nLIVE\n")->body, "LIVE\n");
  const auto chunked = parse_reply(
      "HTTP/1.1 503 Service Unavailable\r\ntransfer-encoding: "
      "chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n");
  ASSERT_TRUE(chunked);
  EXPECT_EQ(chunked->status, 503);
  EXPECT_EQ(chunked->body, "abcde");
}

TEST(ParseReply, RefusesWhatBreaksOff) {
  for (const char* bytes :
       {"", "HTTP/1.1 200 OK\r\n", "SSH-2.0-x\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nab"}) {
    EXPECT_FALSE(parse_reply(bytes)) << bytes;
  }
}

TEST(AnswerTo, KnowsRequestsFromNoise) {
  const auto answer = [](std::string_view path) { return Reply{200, std::string(path)}; };
  EXPECT_THAT(answer_to("GET /a?b=c HTTP/1.1\r\n\r\n", answer), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(answer_to("GET /a?b=c HTTP/1.1\r\n\r\n", answer), HasSubstr("\r\n\r\n/a"));
  EXPECT_THAT(answer_to("HEAD /a HTTP/1.1\r\n\r\n", answer), testing::EndsWith("\r\n\r\n"));
  EXPECT_THAT(answer_to("POST / HTTP/1.1\r\n\r\n", answer), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(answer_to("\x16\x03\x01\r\n\r\n", answer), StartsWith("HTTP/1.1 400 "));
}

// A door and a probe turned by hand until the probe is done.
class DoorAndProbe : public testing::Test {
 protected:
  DoorAndProbe()
      : door_(*Door::open(clock_, "127.0.0.1", 0, [](std::string_view path) {
          return Reply{path == "/yes" ? 200 : 503, "said\n"};
        })) {}

  std::optional<Reply> turn(Probe& probe) {
    std::vector<pollfd> polled = {probe.interest()};
    door_.interest(polled);
    ::poll(polled.data(), polled.size(), 50);
    door_.advance(polled.data() + 1);
    return probe.advance(polled[0].revents);
  }

  FakeClock clock_;
  Door door_;
};

TEST_F(DoorAndProbe, UnderstandEachOther) {
  Probe probe(clock_, *make_address("127.0.0.1", door_.port()));
  probe.begin("GET", "/yes", 1s);
  std::optional<Reply> reply;
  for (int i = 0; i < 20 && !reply; ++i) reply = turn(probe);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->body, "said\n");
  EXPECT_FALSE(probe.busy());
}

TEST_F(DoorAndProbe, AProbeOfAClosedPortComesBackEmpty) {
  Probe probe(clock_, *make_address("127.0.0.1", 1));
  probe.begin("GET", "/", 1s);
  std::optional<Reply> reply;
  for (int i = 0; i < 20 && !reply; ++i) reply = turn(probe);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 0);
}

TEST_F(DoorAndProbe, AProbeThatIsNotAnsweredEndsInTime) {
  Probe probe(clock_, *make_address("127.0.0.1", door_.port()));
  probe.begin("GET", "/yes", 2s);
  EXPECT_FALSE(probe.advance(0)) << "the door is not turned";
  clock_.advance(2s);
  EXPECT_EQ(probe.advance(0)->status, 0);
}

TEST_F(DoorAndProbe, GuestsWhoSayNothingAreSentAway) {
  std::vector<Descriptor> silent;
  const Address address = *make_address("127.0.0.1", door_.port());
  for (std::size_t i = 0; i < Door::guests_max + 4; ++i) {
    silent.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(silent.back().get(), address.get(), address.size), 0);
  }
  Probe probe(clock_, address);
  probe.begin("GET", "/yes", 10s);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(turn(probe)) << "all places are taken";
  clock_.advance(Door::patience);
  std::optional<Reply> reply;
  for (int i = 0; i < 20 && !reply; ++i) reply = turn(probe);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
}

TEST(Door, ATakenPortIsNamed) {
  SystemClock clock;
  const auto first = Door::open(clock, "127.0.0.1", 0, {});
  ASSERT_TRUE(first);
  const auto second = Door::open(clock, "127.0.0.1", first->port(), {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::unavailable);
  EXPECT_THAT(second.error().message, HasSubstr(std::to_string(first->port())));
}

}  // namespace
}  // namespace graymesh::sidecar
