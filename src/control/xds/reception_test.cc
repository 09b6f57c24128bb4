#include "control/xds/reception.h"

#include <gtest/gtest.h>

#include <array>

namespace graymesh::xds {
namespace {

class AtReception : public testing::Test {
 public:
  Reception::Key at(std::size_t i) const { return &streams[i]; }
  bool enter(std::size_t i) { return reception.enter(at(i), clock.now()); }
  std::vector<std::size_t> woken() {
    std::vector<std::size_t> all;
    for (const auto* key : keys)
      all.push_back(static_cast<std::size_t>(static_cast<const char*>(key) - streams.data()));
    keys.clear();
    return all;
  }

  FakeClock clock;
  std::array<char, 10> streams{};
  std::vector<Reception::Key> keys;
  Reception reception{2, std::chrono::seconds(1),
                      [this](Reception::Key key) { keys.push_back(key); }};
};

TEST_F(AtReception, AFewAtATimeAndTheOthersInOrder) {
  EXPECT_TRUE(enter(1));
  EXPECT_TRUE(enter(2));
  EXPECT_FALSE(enter(3));
  EXPECT_FALSE(enter(4));
  EXPECT_EQ(reception.in_line(), 2u);
  reception.leave(at(2), clock.now());
  EXPECT_EQ(woken(), std::vector<std::size_t>{3});
  reception.leave(at(1), clock.now());
  EXPECT_EQ(woken(), std::vector<std::size_t>{4});
  EXPECT_FALSE(enter(5)) << "3 and 4 have their places";
}

TEST_F(AtReception, WhoSaysNothingGivesItsPlaceUp) {
  EXPECT_TRUE(enter(1));
  EXPECT_TRUE(enter(2));
  EXPECT_FALSE(enter(3));
  clock.advance(std::chrono::milliseconds(999));
  reception.look(clock.now());
  EXPECT_EQ(woken(), std::vector<std::size_t>{});
  clock.advance(std::chrono::milliseconds(1));
  reception.look(clock.now());
  EXPECT_EQ(woken(), std::vector<std::size_t>{3});
  reception.leave(at(1), clock.now());
  EXPECT_EQ(woken(), std::vector<std::size_t>{}) << "nobody else is there";
  EXPECT_TRUE(enter(4));
}

TEST_F(AtReception, WhoGoesAwayIsNotWaitedFor) {
  EXPECT_TRUE(enter(1));
  EXPECT_TRUE(enter(2));
  EXPECT_FALSE(enter(3));
  EXPECT_FALSE(enter(4));
  reception.leave(at(3), clock.now());
  EXPECT_EQ(woken(), std::vector<std::size_t>{});
  reception.leave(at(1), clock.now());
  EXPECT_EQ(woken(), std::vector<std::size_t>{4});
}

}  // namespace
}  // namespace graymesh::xds
