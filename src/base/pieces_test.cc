#include "base/pieces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>

namespace graymesh {
namespace {

std::vector<int> up_to(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

std::vector<int> all_of(const Pieces<int>& pieces) { return {pieces.begin(), pieces.end()}; }

TEST(Pieces, AreTheListThatTheyWereMadeOf) {
  for (const int size : {0, 1, 63, 64, 65, 128, 1'000}) {
    const Pieces<int> pieces(up_to(size));
    EXPECT_EQ(pieces.size(), static_cast<std::size_t>(size));
    EXPECT_EQ(all_of(pieces), up_to(size)) << size;
  }
}

TEST(Pieces, ChangeInACopyAndNotInThemselves) {
  const Pieces<int> pieces(up_to(200));
  const std::vector<Pieces<int>::Change> changes{{199, -1}, {3, -2}, {64, -3}, {3, -4}};
  auto expected = up_to(200);
  expected[199] = -1;
  expected[64] = -3;
  expected[3] = -4;  // the last of one place
  EXPECT_EQ(all_of(pieces.with(changes)), expected);
  EXPECT_EQ(all_of(pieces), up_to(200));
}

TEST(Pieces, ThatDidNotChangeAreShared) {
  const Pieces<int> before(up_to(1'000));
  const std::vector<Pieces<int>::Change> changes{{100, -1}, {101, -1}, {999, -1}};
  const auto after = before.with(changes);
  EXPECT_EQ(&before[0], &after[0]);
  EXPECT_NE(&before[100], &after[100]);
  EXPECT_EQ(&before[500], &after[500]);

  std::vector<std::size_t> apart;
  EXPECT_TRUE(after.each_apart(before, [&](std::size_t place) {
    apart.push_back(place);
    return true;
  }));
  EXPECT_THAT(apart, ::testing::IsSupersetOf({100u, 101u, 999u}));
  EXPECT_LE(apart.size(), 2 * Pieces<int>::piece_size);
  EXPECT_TRUE(std::ranges::is_sorted(apart));
  EXPECT_TRUE(before.each_apart(before, [](std::size_t) { return false; })) << "nothing to visit";
}

TEST(Pieces, AreGoneThroughUntilToldToStop) {
  const Pieces<int> a(up_to(100)), b(up_to(100));
  std::size_t visited = 0;
  EXPECT_FALSE(a.each_apart(b, [&](std::size_t place) {
    ++visited;
    return place < 70;
  }));
  EXPECT_EQ(visited, 71u);
}

}  // namespace
}  // namespace graymesh
