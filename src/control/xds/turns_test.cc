// Nobody is sent away, nobody is passed over, and together they never have more than they may.
#include "control/xds/turns.h"

#include <gtest/gtest.h>

#include <random>

namespace graymesh::xds {
namespace {

using std::chrono::milliseconds;

class Line : public testing::Test {
 public:
  Turns::Key at(int i) const { return &streams[static_cast<std::size_t>(i)]; }
  bool admit(int i, std::size_t bytes) { return turns.admit(at(i), bytes, clock.now()); }
  std::vector<int> woken() {
    std::vector<int> all;
    for (const auto* key : keys)
      all.push_back(static_cast<int>(static_cast<const char*>(key) - streams.data()));
    keys.clear();
    return all;
  }

  FakeClock clock;
  std::array<char, 32> streams{};
  std::vector<Turns::Key> keys;
  Turns turns{{.bytes_max = 100, .cold_bytes_max = 1000, .free_bytes = 10},
              [this](Turns::Key key) { keys.push_back(key); }};
};

using Admission = Line;

TEST_F(Admission, ColdOnesAreLetInAsFarAsTheBudgetGoesAndTheOthersWaitInOrder) {
  EXPECT_TRUE(admit(1, 600));
  EXPECT_TRUE(admit(2, 400));
  EXPECT_FALSE(admit(3, 400));
  EXPECT_FALSE(admit(4, 11)) << "first come, first served";
  EXPECT_EQ(turns.waits(at(3)), Waits::admission);
  EXPECT_EQ(turns.counts().to_admit, 2u);
  turns.complete(at(1));
  EXPECT_EQ(woken(), std::vector{3});
  EXPECT_TRUE(admit(3, 400));
  EXPECT_EQ(woken(), std::vector{4}) << "there is room for it as well";
  EXPECT_TRUE(admit(4, 11));
  EXPECT_EQ(turns.counts().to_admit, 0u);
  EXPECT_EQ(turns.waits(at(4)), Waits::nothing);
}

TEST_F(Admission, WhoComesBackWithWhatItHoldsPassesTheLine) {
  EXPECT_TRUE(admit(1, 1000));
  EXPECT_FALSE(admit(2, 1000));
  EXPECT_TRUE(admit(3, 10));
  EXPECT_EQ(turns.counts().cold_bytes, 1000u);
}

TEST_F(Admission, WhatIsSentMakesRoomForOthers) {
  EXPECT_TRUE(admit(1, 1000));
  EXPECT_FALSE(admit(2, 300));
  turns.sent(at(1), 299, clock.now());
  EXPECT_EQ(woken(), std::vector<int>{});
  turns.sent(at(1), 1, clock.now());
  EXPECT_EQ(woken(), std::vector{2});
  EXPECT_TRUE(admit(2, 300));
}

TEST_F(Admission, OneThatIsLargerThanTheBudgetGoesAlone) {
  EXPECT_TRUE(admit(1, 11));
  EXPECT_FALSE(admit(2, 5000));
  turns.complete(at(1));
  EXPECT_TRUE(admit(2, 5000));
  EXPECT_FALSE(admit(3, 11));
}

TEST_F(Admission, WhoMakesNoHeadwayHoldsUpNobody) {
  EXPECT_TRUE(admit(1, 1000));
  EXPECT_FALSE(admit(2, 1000));
  clock.advance(milliseconds(1999));
  turns.look(clock.now());
  EXPECT_EQ(woken(), std::vector<int>{});
  clock.advance(milliseconds(1));
  turns.look(clock.now());
  EXPECT_EQ(woken(), std::vector{2});
  EXPECT_TRUE(admit(2, 1000));
  EXPECT_TRUE(admit(1, 1000)) << "it is in, and stays in";
}

TEST_F(Admission, WhoLeavesMakesRoomAndLosesItsPlace) {
  EXPECT_TRUE(admit(1, 1000));
  EXPECT_FALSE(admit(2, 1000));
  EXPECT_FALSE(admit(3, 1000));
  turns.leave(at(2));
  turns.leave(at(1));
  EXPECT_EQ(woken(), std::vector{3});
  EXPECT_TRUE(admit(3, 1000));
}

TEST_F(Line, WhoeverFindsNoRoomGetsItsTurnInOrder) {
  EXPECT_TRUE(turns.turn(at(1), 60));
  EXPECT_TRUE(turns.turn(at(2), 40));
  EXPECT_FALSE(turns.turn(at(3), 60));
  EXPECT_FALSE(turns.turn(at(4), 40));
  EXPECT_EQ(turns.waits(at(4)), Waits::turn);
  turns.holds(at(2), 0);
  EXPECT_EQ(woken(), std::vector<int>{}) << "40 are too few for the first in line";
  EXPECT_FALSE(turns.turn(at(4), 40)) << "which is not passed over";
  turns.holds(at(1), 0);
  EXPECT_EQ(woken(), std::vector{3});
  EXPECT_TRUE(turns.turn(at(3), 60));
  EXPECT_EQ(woken(), std::vector{4});
  EXPECT_TRUE(turns.turn(at(4), 40));
  EXPECT_EQ(turns.counts().in_line, 0u);
}

TEST_F(Line, OneWhoHadItsTurnGoesToTheEnd) {
  EXPECT_TRUE(turns.turn(at(1), 100));
  EXPECT_FALSE(turns.turn(at(2), 100));
  turns.holds(at(1), 0);
  EXPECT_FALSE(turns.turn(at(1), 100));
  EXPECT_TRUE(turns.turn(at(2), 100));
  turns.holds(at(2), 0);
  EXPECT_EQ(woken().back(), 1);
}

TEST_F(Line, WhoHasNothingToSayPassesItsTurnOn) {
  EXPECT_TRUE(turns.turn(at(1), 100));
  EXPECT_FALSE(turns.turn(at(2), 100));
  EXPECT_FALSE(turns.turn(at(3), 100));
  turns.holds(at(1), 0);
  EXPECT_EQ(woken(), std::vector{2});
  turns.pass(at(2));
  EXPECT_EQ(woken(), std::vector{3});
}

TEST_F(Line, MoreThanSixteenAreACrowd) {
  for (int i = 0; i < 16; ++i) turns.turn(at(i), 1);
  EXPECT_FALSE(turns.crowded());
  turns.turn(at(16), 1);
  EXPECT_TRUE(turns.crowded());
  turns.holds(at(3), 0);
  EXPECT_FALSE(turns.crowded());
}

// Streams that come, push, hang and go at random: the bounds hold, and in the end all is empty.
TEST_F(Line, BoundsHoldWhateverHappens) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    for (int step = 0; step < 300; ++step) {
      const int who = static_cast<int>(random() % 32);
      switch (random() % 6) {
        case 0:
          admit(who, random() % 700);
          break;
        case 1:
          turns.sent(at(who), random() % 400, clock.now());
          break;
        case 2:
          turns.complete(at(who));
          break;
        case 3:
          if (turns.turn(at(who), 30)) turns.holds(at(who), random() % 31);
          break;
        case 4:
          turns.holds(at(who), 0);
          break;
        default:
          random() % 2 == 0 ? turns.leave(at(who)) : turns.pass(at(who));
      }
      clock.advance(milliseconds(random() % 100));
      turns.look(clock.now());
      ASSERT_LE(turns.counts().bytes, 100u);
      ASSERT_LE(turns.counts().cold_bytes, 1000u);
    }
    for (int i = 0; i < 32; ++i) turns.leave(at(i));
    const auto end = turns.counts();
    ASSERT_EQ(end.bytes + end.cold_bytes + end.in_line + end.to_admit, 0u);
  }
}

}  // namespace
}  // namespace graymesh::xds
