// What differs between sets, whether they share memory or not.
#include "control/xds/diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace graymesh::xds {
namespace {

using resource::Resource;
using resource::ResourcePtr;
using resource::ResourceSet;
using resource::ResourceSetPtr;

ResourcePtr make(int name, const std::string& body) {
  return std::make_shared<const Resource>(resource::Type::endpoints, std::to_string(name), body);
}

std::vector<ResourcePtr> names(int from, int to) {
  std::vector<ResourcePtr> all;
  for (int name = from; name < to; ++name) all.push_back(make(name, "x"));
  return all;
}

ResourceSetPtr set_of(std::vector<ResourcePtr> all) {
  return std::make_shared<const ResourceSet>(std::move(all));
}

// "+name", "-name", "name: from > to", sorted; and that they are told by hash.
std::vector<std::string> told(const Diff& diff) {
  EXPECT_TRUE(std::ranges::is_sorted(diff, {}, &Change::hash));
  std::vector<std::string> all;
  for (const auto& change : diff) {
    const auto body = [](const ResourcePtr* of) { return std::string((*of)->body()); };
    if (!change.from) {
      all.push_back("+" + (*change.to)->name());
    } else if (!change.to) {
      all.push_back("-" + (*change.from)->name());
    } else {
      all.push_back((*change.to)->name() + ": " + body(change.from) + " > " + body(change.to));
    }
    EXPECT_EQ(change.hash, hash_of((*(change.to ? change.to : change.from))->name()));
  }
  std::ranges::sort(all);
  return all;
}

TEST(Diffs, OfASetAndOneThatCameOfIt) {
  const auto from = set_of(names(1000, 2000));
  const auto to = from->with(std::vector{make(1003, "y"), make(1999, "zz"), make(1500, "x")});
  Diffs diffs;
  const auto diff = diffs.diff(from, to);
  EXPECT_THAT(told(*diff), ::testing::ElementsAre("1003: x > y", "1999: x > zz"))
      << "1500 has the same bytes";
  EXPECT_EQ(diffs.diff(from, to), diff) << "made once";
  EXPECT_EQ(diffs.table(from)->names(), diffs.table(to)->names()) << "names are shared";
  EXPECT_THAT(told(*diffs.diff(to, from)), ::testing::ElementsAre("1003: y > x", "1999: zz > x"));
}

TEST(Diffs, OfSetsThatShareNoMemory) {
  const auto from = set_of(names(1000, 1500));
  auto other = names(1000, 1500);
  other[7] = make(1007, "y");
  const auto to = set_of(other);
  Diffs diffs;
  EXPECT_THAT(told(*diffs.diff(from, to)), ::testing::ElementsAre("1007: x > y"));
}

TEST(Diffs, OfSetsOfOtherNames) {
  const auto from = set_of(names(1000, 1100));
  Diffs diffs;
  // One name gone, one come: of equal size, and not the same.
  EXPECT_THAT(told(*diffs.diff(from, set_of(names(1001, 1101)))),
              ::testing::ElementsAre("+1100", "-1000"));
  EXPECT_THAT(told(*diffs.diff(from, set_of(names(1000, 1102)))),
              ::testing::ElementsAre("+1100", "+1101"));
}

TEST(Diffs, GiveSetsOfTheSameNamesOneListOfThemThoughNobodyComparedThem) {
  Diffs diffs;
  auto changed = names(1000, 1100);
  changed[7] = make(1007, "y");
  const auto one = set_of(names(1000, 1100)), other = set_of(changed),
             more = set_of(names(1000, 1101));
  const auto table = diffs.table(one);
  EXPECT_TRUE(diffs.table(other)->same_names(*table));
  EXPECT_EQ(diffs.table(other)->names(), table->names());
  EXPECT_FALSE(diffs.table(more)->same_names(*table));
  EXPECT_EQ(diffs.diff(one, other)->size(), 1u);
  EXPECT_EQ(diffs.diff(one, more)->size(), 1u);
}

TEST(Diffs, DoNotTakeASetThatIsGoneForOneAtItsAddress) {
  Diffs diffs;
  for (int i = 0; i < 200; ++i) {
    const auto set = set_of(names(1000, 1060 + i % 2));
    const auto table = diffs.table(set);
    ASSERT_EQ(&table->all(), &set->all());
    ASSERT_EQ(table->entries().size(), set->size());
  }
}

}  // namespace
}  // namespace graymesh::xds
