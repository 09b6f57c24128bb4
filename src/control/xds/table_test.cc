// Sets that differ in what is in them, but not in names, cost their streams no names of their own.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "control/xds/diff.h"

namespace graymesh::xds {
namespace {

resource::ResourceSetPtr set_of(std::size_t count, const std::string& body) {
  std::vector<resource::ResourcePtr> resources;
  for (std::size_t i = 0; i < count; ++i) {
    resources.push_back(std::make_shared<const resource::Resource>(
        resource::Type::endpoints, "n" + std::to_string(i), i == 7 ? body : ""));
  }
  return std::make_shared<const resource::ResourceSet>(std::move(resources));
}

TEST(TablesOfSets, OfTheSameNamesShareThemThoughNobodyComparedThem) {
  Diffs diffs;
  const auto one = set_of(100, "1"), other = set_of(100, "2"), more = set_of(101, "1");
  const auto table = diffs.table(one);
  EXPECT_TRUE(diffs.table(other)->same_names(*table));
  EXPECT_EQ(diffs.table(other)->names(), table->names());
  EXPECT_FALSE(diffs.table(more)->same_names(*table));
  EXPECT_EQ(diffs.diff(one, other)->size(), 1u);
  EXPECT_EQ(diffs.diff(one, more)->size(), 1u);
}

TEST(TablesOfSets, OfASetThatIsGoneAreNotTakenForOneAtItsAddress) {
  Diffs diffs;
  for (int i = 0; i < 200; ++i) {
    const auto set = set_of(static_cast<std::size_t>(60 + i % 2), std::to_string(i));
    const auto table = diffs.table(set);
    ASSERT_EQ(&table->all(), &set->all());
    ASSERT_EQ(table->entries().size(), set->size());
  }
}

}  // namespace
}  // namespace graymesh::xds
