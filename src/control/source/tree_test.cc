// The Tree with a time of its own: when it looks around.
#include "control/source/tree.h"

#include <gtest/gtest.h>

#include "control/source/testing.h"

namespace graymesh::source {
namespace {

using namespace testing;

Tree::Time time_now;

Tree::Time told_time() { return time_now; }

class LookingAround : public ::testing::Test {
 protected:
  LookingAround() {
    folder_.write("a.yaml", entry("a", "10.0.0.1"));
    EXPECT_TRUE(tree_.open(time_now));
  }

  // The file changes, at `at`, and that is dealt with.
  void change(Tree::Time at) {
    time_now = at;
    folder_.replace("a.yaml", entry("a", "10.0.0." + std::to_string(2 + changes_++ % 200)));
    tree_.note_events(told_time);
    while (tree_.due() <= at + 50ms) tree_.work(tree_.due());
  }

  // Large enough that how long a scan takes (at most a two-hundredth of the time) has no part in
  // it.
  static constexpr auto rescan = 24h, lull = 1h, lull_max = 12h;
  TempFolder folder_;
  const Tree::Time begun_ = time_now = Tree::Time(1'000h);
  Tree tree_{FolderOptions{
      .folders = {folder_.path()}, .rescan = rescan, .lull = lull, .lull_max = lull_max}};
  int changes_ = 0;
};

TEST_F(LookingAround, ComesInTimeWhereNothingHappens) { EXPECT_EQ(tree_.due(), begun_ + rescan); }

TEST_F(LookingAround, ComesInTimeWhereNothingHasHappenedForAWhile) {
  change(begun_ + rescan - 2h);
  EXPECT_EQ(tree_.due(), begun_ + rescan);
}

TEST_F(LookingAround, WaitsForALull) {
  change(begun_ + rescan - 10min);
  EXPECT_EQ(tree_.due(), begun_ + rescan + 50min);
}

TEST_F(LookingAround, WaitsNoLongerThanThat) {
  for (auto at = begun_ + rescan - 10min; at < begun_ + rescan + lull_max; at += 30min) change(at);
  EXPECT_EQ(tree_.due(), begun_ + rescan + lull_max);
  tree_.work(tree_.due());
  EXPECT_EQ(tree_.due(), begun_ + rescan + lull_max + rescan);
}

TEST(LookingAroundBlindly, WaitsForNothing) {
  const Tree::Time begun = time_now = Tree::Time(1'000h);
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  folder.write("unseen/b.yaml", entry("b", "10.0.0.1"));
  Tree tree(FolderOptions{
      .folders = {folder.path()}, .lull = 1h, .lull_max = 12h, .poll = 24h, .watches_max = 1});
  ASSERT_TRUE(tree.open(begun));
  time_now = begun + 23h;
  folder.replace("a.yaml", entry("a", "10.0.0.2"));
  tree.note_events(told_time);
  while (tree.due() < begun + 24h) tree.work(tree.due());
  EXPECT_EQ(tree.due(), begun + 24h);
}

}  // namespace
}  // namespace graymesh::source
