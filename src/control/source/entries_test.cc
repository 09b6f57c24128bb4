#include "control/source/entries.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <utility>

namespace graymesh::source {
namespace {

model::Key key(int i) { return {model::Kind::pod, "shop", fmt::format("{:05}", i)}; }

Entry entry(int i) {
  Entry entry;
  entry.position.line = i;
  return entry;
}

std::vector<Entries::Change> change(int i, int value) { return {{key(i), entry(value)}}; }

void expect_equal(const Entries& entries, const std::map<model::Key, Entry>& model) {
  ASSERT_EQ(entries.size(), model.size());
  auto expected = model.begin();
  for (const auto& [name, value] : entries) {
    ASSERT_EQ(name, expected->first);
    ASSERT_EQ(value, expected->second);
    ++expected;
  }
  ASSERT_TRUE(expected == model.end());
}

TEST(Entries, AreAMap) {
  Entries entries;
  EXPECT_TRUE(entries.empty());
  EXPECT_TRUE(entries.begin() == entries.end());
  EXPECT_FALSE(entries.contains(key(1)));
  entries.update(change(1, 7));
  EXPECT_EQ(entries.at(key(1)).position.line, 7);
  EXPECT_FALSE(entries.contains(key(0)));
  EXPECT_FALSE(entries.contains(key(2)));
  entries.update({{key(1), std::nullopt}, {key(5), std::nullopt}});
  EXPECT_TRUE(entries.empty());
  EXPECT_TRUE(entries.begin() == entries.end());
}

TEST(Entries, HoldTheSameAsAMapWhateverIsDoneToThem) {
  std::mt19937 random(11);  // NOLINT: the seed is the point
  Entries entries;
  std::map<model::Key, Entry> model;
  for (int round = 0; round < 300; ++round) {
    std::map<model::Key, std::optional<Entry>> some;
    const auto count = random() % (round % 10 == 0 ? 800 : 5);
    for (unsigned i = 0; i < count; ++i) {
      const int at = static_cast<int>(random() % 2000);
      some[key(at)] = random() % 3 == 0 ? std::nullopt : std::optional(entry(round));
    }
    for (const auto& [name, value] : some) {
      if (value)
        model[name] = *value;
      else
        model.erase(name);
    }
    entries.update({some.begin(), some.end()});
    ASSERT_NO_FATAL_FAILURE(expect_equal(entries, model)) << "round " << round;
  }
}

TEST(Entries, ShareWhatDidNotChangeWithTheTableBefore) {
  Entries entries;
  for (int i = 0; i < 1000; ++i) entries.update(change(i, i));
  const Entries before = entries;
  entries.update(change(500, 0));

  EXPECT_EQ(&before.at(key(0)), &entries.at(key(0)));
  EXPECT_EQ(before.at(key(500)).position.line, 500);
  EXPECT_EQ(entries.at(key(500)).position.line, 0);
  int moved = 0;
  for (const auto& [name, value] : before) moved += &value != &entries.at(name);
  EXPECT_LE(moved, 100);
}

// What each_apart() visits and stands otherwise, must be all that does.
std::map<model::Key, std::pair<int, int>> differing(const Entries& before, const Entries& now,
                                                    std::size_t* visited = nullptr) {
  std::map<model::Key, std::pair<int, int>> found;
  std::optional<model::Key> last;
  const auto line = [](const Entry* entry) { return entry ? entry->position.line : -1; };
  now.each_apart(before, [&](const model::Key& key, const Entry* was, const Entry* is) {
    EXPECT_TRUE(!last || *last < key) << "in order, each once";
    EXPECT_TRUE(was || is);
    last = key;
    if (visited) ++*visited;
    if (line(was) != line(is)) found[key] = {line(was), line(is)};
  });
  return found;
}

TEST(Entries, TellWhatStandsOtherwiseThanBefore) {
  std::mt19937 random(12);  // NOLINT: the seed is the point
  Entries entries;
  std::map<model::Key, int> model;
  for (int round = 0; round < 200; ++round) {
    const Entries before = entries;
    std::map<model::Key, std::pair<int, int>> expected;
    std::map<model::Key, std::optional<Entry>> some;
    const auto count = random() % (round % 10 == 0 ? 500 : 4);
    for (unsigned i = 0; i < count; ++i) {
      const auto at = key(static_cast<int>(random() % 1000));
      const int line = random() % 3 == 0 ? -1 : round;
      some[at] = line < 0 ? std::nullopt : std::optional(entry(line));
    }
    for (const auto& [at, value] : some) {
      const int was = model.contains(at) ? model[at] : -1;
      const int is = value ? value->position.line : -1;
      if (was != is) expected[at] = {was, is};
      model.erase(at);
      if (is >= 0) model[at] = is;
    }
    entries.update({some.begin(), some.end()});
    ASSERT_EQ(differing(before, entries), expected) << "round " << round;
  }
}

TEST(Entries, AreNotGoneThroughToTellWhatOneChangeIs) {
  std::vector<Entries::Change> all;
  all.reserve(5000);
  for (int i = 0; i < 5000; ++i) all.emplace_back(key(i), entry(i));
  Entries entries;
  entries.update(std::move(all));
  const Entries before = entries;
  entries.update(change(2500, 0));
  std::size_t visited = 0;
  const std::map<model::Key, std::pair<int, int>> expected{{key(2500), {2500, 0}}};
  EXPECT_EQ(differing(before, entries, &visited), expected);
  EXPECT_LE(visited, 100u);
  visited = 0;
  EXPECT_TRUE(differing(before, before, &visited).empty());
  EXPECT_EQ(visited, 0u);
}

}  // namespace
}  // namespace graymesh::source
