#include "control/xds/chain.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace graymesh::xds {
namespace {

using std::chrono::milliseconds;

class AChange : public testing::Test {
 public:
  AChange() {
    for (auto& stream : streams) stream.join(changes);
  }
  void write(std::uint64_t snapshot) { changes.write(snapshot, clock.now()); }
  void reach(std::size_t i, std::uint64_t snapshot) { streams.at(i).reach(snapshot, clock.now()); }

  FakeClock clock;
  metrics::Histogram seconds{metrics::duration_bounds()};
  metrics::Gauge under_way;
  Chain changes{{seconds, under_way}};
  std::array<Awaited, 3> streams;
};

TEST_F(AChange, TakesUntilTheLastAck) {
  write(1);
  EXPECT_EQ(under_way.value(), 1);
  for (auto& stream : streams) stream.told();
  clock.advance(milliseconds(10));
  reach(1, 1);
  clock.advance(milliseconds(20));
  reach(0, 1);
  EXPECT_EQ(seconds.count(), 0u);
  clock.advance(milliseconds(40));
  reach(2, 1);
  EXPECT_EQ(seconds.count(), 1u);
  EXPECT_DOUBLE_EQ(seconds.sum(), 0.07);
  EXPECT_EQ(under_way.value(), 0);
}

TEST_F(AChange, IsNotThatOfWhoWasToldNothing) {
  write(1);
  streams[0].told();
  clock.advance(milliseconds(10));
  reach(0, 1);
  clock.advance(milliseconds(20));
  reach(1, 1);
  reach(2, 1);
  EXPECT_DOUBLE_EQ(seconds.sum(), 0.01);
  write(2);  // nobody is told of it
  for (std::size_t i = 0; i < streams.size(); ++i) reach(i, 2);
  EXPECT_EQ(seconds.count(), 1u);
  EXPECT_EQ(under_way.value(), 0);
}

TEST_F(AChange, WhatWasSentBeforeTellsOfNoChange) {
  streams[0].told();
  write(1);
  for (std::size_t i = 0; i < streams.size(); ++i) reach(i, 1);
  EXPECT_EQ(seconds.count(), 0u);
}

TEST_F(AChange, OfManyFoldedEachTakesItsOwnTime) {
  write(1);
  streams[0].told();
  clock.advance(milliseconds(10));
  write(2);
  clock.advance(milliseconds(10));
  for (std::size_t i = 0; i < streams.size(); ++i) reach(i, 2);
  EXPECT_EQ(seconds.count(), 2u);
  EXPECT_DOUBLE_EQ(seconds.sum(), 0.03);
}

TEST_F(AChange, OneAfterTheOtherWaitsForItsOwnAck) {
  write(1);
  write(2);
  streams[0].told();
  for (std::size_t i = 0; i < streams.size(); ++i) reach(i, 1);
  EXPECT_EQ(seconds.count(), 1u);
  clock.advance(milliseconds(10));
  for (std::size_t i = 0; i < streams.size(); ++i) reach(i, 2);
  EXPECT_EQ(seconds.count(), 2u);
  EXPECT_DOUBLE_EQ(seconds.sum(), 0.01);
}

TEST_F(AChange, WaitsNoLongerForWhoLeft) {
  write(1);
  for (auto& stream : streams) stream.told();
  clock.advance(milliseconds(10));
  reach(0, 1);
  reach(1, 1);
  EXPECT_EQ(under_way.value(), 1);
  clock.advance(std::chrono::seconds(300));
  streams[2].leave();
  EXPECT_EQ(under_way.value(), 0);
  EXPECT_DOUBLE_EQ(seconds.sum(), 0.01) << "it has answered nothing";
}

TEST_F(AChange, DoesNotWaitForWhoComesLater) {
  write(1);
  Awaited late;
  late.join(changes);
  streams[0].told();
  for (std::size_t i = 0; i < streams.size(); ++i) reach(i, 1);
  EXPECT_EQ(seconds.count(), 1u);
}

TEST_F(AChange, IsWrittenWhileStreamsComeAndGo) {
  for (auto& stream : streams) stream.leave();
  std::atomic<std::uint64_t> newest = 0;
  std::atomic<bool> over = false;
  std::vector<std::jthread> threads;
  threads.reserve(streams.size());
  for (auto& stream : streams) {
    threads.emplace_back([&] {
      while (!over) {
        stream.join(changes);
        for (int i = 0; i < 20; ++i) {
          stream.told();
          stream.reach(newest, clock.now());
        }
        stream.leave();
      }
    });
  }
  for (std::uint64_t i = 1; i <= 2'000; ++i) {
    write(i);
    newest = i;
  }
  over = true;
  threads.clear();
  EXPECT_EQ(under_way.value(), 0);
}

// By recursion it would overrun the stack.
TEST_F(AChange, HundredThousandsEndWithTheOneThatHeldThem) {
  constexpr std::uint64_t many = 300'000;
  for (std::uint64_t i = 1; i <= many; ++i) write(i);
  streams[0].told();
  reach(1, many);
  reach(2, many);
  EXPECT_EQ(under_way.value(), many);
  streams[0].leave();
  EXPECT_EQ(under_way.value(), 0);
}

}  // namespace
}  // namespace graymesh::xds
