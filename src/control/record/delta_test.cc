#include "control/record/delta.h"

#include <gtest/gtest.h>

#include <random>

namespace graymesh::record {
namespace {

std::string text_of(std::mt19937& random, std::size_t size) {
  std::string text;
  while (text.size() < size)
    text += "route" + std::to_string(random() % 1000) + (random() % 4 == 0 ? "\n" : ",");
  text.resize(size);
  return text;
}

TEST(Delta, GivesBackTheNewTextWhateverWasDoneToTheOld) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto old_text = text_of(random, random() % 5000);
    auto text = old_text;
    for (auto edits = random() % 6; edits > 0; --edits) {
      const auto at = random() % (text.size() + 1);
      if (random() % 2 == 0) {
        text.insert(at, text_of(random, random() % 200));
      } else {
        text.erase(at, random() % 300);
      }
    }
    const auto made = apply_delta(old_text, make_delta(old_text, text), 1 << 20);
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(*made, text);
  }
}

TEST(Delta, OfOneChangedRouteInManyTakesSomeBytes) {
  std::mt19937 random(1);
  const auto old_text = text_of(random, 1 << 20);
  auto text = old_text;
  text.replace(500'000, 8, "feature-b");
  text.replace(900'000, 3, "");
  EXPECT_LT(make_delta(old_text, text).size(), 64);
}

TEST(Delta, ThatDoesNotFitIsRefused) {
  const std::string text(1000, 'a');
  const auto delta = make_delta(text, text + "b");
  EXPECT_FALSE(apply_delta("short", delta, 1 << 20));
  EXPECT_FALSE(apply_delta(std::string(1000, 'a'), delta, 1000));
  EXPECT_FALSE(apply_delta(std::string(1000, 'a'), delta.substr(0, delta.size() - 1), 1 << 20));
  EXPECT_FALSE(apply_delta("", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 1 << 20));
}

}  // namespace
}  // namespace graymesh::record
