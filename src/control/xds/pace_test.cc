// How a proxy's time is learnt, and what follows from it.
#include "control/xds/pace.h"

#include <gtest/gtest.h>

#include "control/xds/fake_proxy.h"

namespace graymesh::xds {
namespace {

using resource::Type;
using std::chrono::milliseconds;

class PaceOf : public testing::Test {
 public:
  // A response of clusters and the endpoints behind it, which are answered after `took`.
  void push(milliseconds took, std::size_t resources, milliseconds distance = {},
            bool telling = true) {
    pace.sent(++number, Type::cluster, resources, clock.now());
    pace.sent(++number, Type::endpoints, resources, clock.now());
    clock.advance(took);
    pace.answered(number, {.at = clock.now(), .distance = distance, .telling = telling});
  }
  std::size_t chunk() const { return pace.chunk(Type::cluster); }

  FakeClock clock;
  Pace pace{{.chunk_max = 200, .hold_max = milliseconds(250)}};
  std::uint64_t number = 0;
};

TEST_F(PaceOf, FastProxyIsSentTheLargestChunks) {
  for (int i = 0; i < 5; ++i) push(milliseconds(160), chunk());
  EXPECT_EQ(chunk(), 200u);
  EXPECT_EQ(pace.each(Type::cluster), std::chrono::microseconds(800));
  EXPECT_EQ(pace.each(Type::endpoints).count(), 0) << "part of the clusters' time";
}

TEST_F(PaceOf, SlowProxyIsSentWhatItTakesInTime) {
  push(milliseconds(700), 200);
  EXPECT_EQ(chunk(), 50u) << "200 took 700 ms, 50 should take 175";
  EXPECT_EQ(pace.chunk(Type::endpoints), 200u);
  push(milliseconds(175), 50);
  EXPECT_EQ(chunk(), 50u);
}

TEST_F(PaceOf, NoChunkIsCutBelowAnEighth) {
  for (int i = 0; i < 5; ++i) push(milliseconds(60'000), chunk());
  EXPECT_EQ(chunk(), 25u);
}

TEST_F(PaceOf, ProxyThatRecoversIsSentMoreAgainStepByStep) {
  push(milliseconds(700), 200);
  push(milliseconds(40), 50);
  EXPECT_EQ(chunk(), 50u) << "once may be luck";
  push(milliseconds(40), 50);
  EXPECT_EQ(chunk(), 100u);
  for (int i = 0; i < 2; ++i) push(milliseconds(40), 100);
  EXPECT_EQ(chunk(), 200u);
}

TEST_F(PaceOf, SmallResponsesTellNothingOfLargeOnes) {
  push(milliseconds(700), 200);
  for (int i = 0; i < 10; ++i) push(milliseconds(1), 1);
  EXPECT_EQ(chunk(), 50u);
}

TEST_F(PaceOf, OneResourceThatTakesLongCutsNoChunk) {
  push(milliseconds(2000), 1);
  EXPECT_EQ(chunk(), 200u);
}

TEST_F(PaceOf, TheWayThereAndBackIsNotTheProxysTime) {
  push(milliseconds(400), 200, milliseconds(300));
  EXPECT_EQ(chunk(), 200u);
  push(milliseconds(100), 200, milliseconds(300));
  EXPECT_EQ(chunk(), 200u);
}

TEST_F(PaceOf, WhileManyArePushedToTimeTellsOfUs) {
  push(milliseconds(3000), 200, {}, false);
  EXPECT_EQ(chunk(), 200u);
}

TEST_F(PaceOf, TimeBeginsWhenAllHasLeft) {
  pace.sent(1, Type::route, 200, clock.now());
  clock.advance(milliseconds(5000));
  pace.written(1, clock.now());
  clock.advance(milliseconds(100));
  pace.answered(1, {.at = clock.now()});
  EXPECT_EQ(pace.each(Type::route), std::chrono::microseconds(500));
  EXPECT_EQ(pace.chunk(Type::route), 200u);
}

TEST_F(PaceOf, WhatWaitedBehindAnotherIsCountedFromThatOnesEnd) {
  pace.sent(1, Type::cluster, 200, clock.now());
  pace.sent(2, Type::route, 10, clock.now());
  clock.advance(milliseconds(200));
  pace.answered(1, {.at = clock.now()});
  clock.advance(milliseconds(20));
  pace.answered(2, {.at = clock.now()});
  EXPECT_EQ(pace.each(Type::route), milliseconds(2));
}

TEST_F(PaceOf, AnswersThatNeverComeAreForgotten) {
  for (int i = 0; i < 1000; ++i) pace.sent(++number, Type::cluster, 1, clock.now());
  pace.answered(number, {.at = clock.now()});
  pace.answered(number, {.at = clock.now()});
  EXPECT_EQ(chunk(), 200u);
}

// Through a Session: ACKs of clusters are held back while they warm, and that is not its time.
TEST(PaceOfSession, ChunksFollowTheProxy) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.clusters = many(1000, "1"), .endpoints = many(1000, "1")});
  proxy.starts(many(1000));
  (void)proxy.runs({.clusters = many(1000, "2"), .endpoints = many(1000, "2")});
  proxy.hears();
  const auto in_flight = [&](Type type) {
    return proxy.session().channel(type).flight()->sent.size();
  };
  EXPECT_EQ(in_flight(Type::cluster), 200u);
  proxy.clock.advance(milliseconds(400));
  (void)proxy.acks(Type::endpoints);
  proxy.hears();
  proxy.clock.advance(milliseconds(60'000));
  (void)proxy.acks(Type::cluster);
  proxy.hears();
  EXPECT_EQ(in_flight(Type::cluster), 100u) << "200 clusters took 400 ms, not a minute";
}

TEST(PaceOfSession, ChunksAreBoundedInBytes) {
  FakeProxy proxy(FakeProxy::delta, {.chunk_bytes_max = 1000});
  (void)proxy.runs({.listeners = many(10, std::string(300, 'x'))});
  (void)proxy.asks(Type::listener);
  proxy.hears();
  EXPECT_EQ(proxy.session().channel(Type::listener).flight()->sent.size(), 2u);
  EXPECT_LE(proxy.session().bytes_in_flight(), 1000u);
  proxy.settles();
  EXPECT_EQ(proxy.status(Type::listener).resources, 10u);
}

TEST(PaceOfSession, OneResourceGoesAloneHoweverLarge) {
  FakeProxy proxy(FakeProxy::delta, {.chunk_bytes_max = 1000});
  (void)proxy.runs({.listeners = {"large=" + std::string(5000, 'x'), "small=x"}});
  (void)proxy.asks(Type::listener);
  proxy.hears();
  EXPECT_EQ(proxy.session().channel(Type::listener).flight()->sent.size(), 1u);
  proxy.settles();
  EXPECT_EQ(proxy.status(Type::listener).resources, 2u);
}

}  // namespace
}  // namespace graymesh::xds
