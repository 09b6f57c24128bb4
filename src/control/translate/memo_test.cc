#include "control/translate/memo.h"

#include <gtest/gtest.h>

#include <thread>

namespace graymesh::translate {
namespace {

resource::ResourcePtr made(std::string_view body) {
  return std::make_shared<const resource::Resource>(resource::Type::cluster, "c", body);
}

TEST(Memo, EqualInputsGiveTheSameObjectWithoutWork) {
  const auto part = std::make_shared<const int>(1);
  Memo memo;
  const auto first =
      memo.resource(MemoKey("cluster").add(part).add("80"), [] { return made("a"); });
  const auto second =
      memo.resource(MemoKey("cluster").add(part).add("80"), [] { return made("b"); });
  EXPECT_EQ(first, second);
  EXPECT_EQ(memo.made(), 1u);
  EXPECT_EQ(memo.reused(), 1u);
}

TEST(Memo, ValuesThatRunIntoEachOtherAreStillDifferent) {
  EXPECT_NE(MemoKey("x").add("a").add("bc").text(), MemoKey("x").add("ab").add("c").text());
  EXPECT_NE(MemoKey("x").add("1").text(), MemoKey("x").add(std::uint64_t{1}).text());
  EXPECT_NE(MemoKey("x").add(std::uint64_t{1}).add(std::uint64_t{2}).text(),
            MemoKey("x").add(std::uint64_t{12}).text());
}

TEST(Memo, TheNextOneFindsWhatTheLastOneMade) {
  Memo first;
  const auto value = first.fragment(MemoKey("host"), [] { return std::string("h"); });
  Memo second(&first);
  EXPECT_EQ(second.fragment(MemoKey("host"), [] { return std::string("other"); }), value);
  EXPECT_EQ(second.made(), 0u);
}

TEST(Memo, WhatNoLivingMemoUsedIsForgotten) {
  Memo root;
  auto user = std::make_unique<Memo>(&root);
  user->fragment(MemoKey("host"), [] { return std::string("h"); });
  user.reset();
  Memo later(&root);
  later.fragment(MemoKey("host"), [] { return std::string("h"); });
  EXPECT_EQ(later.made(), 1u);
}

TEST(Memo, KeepsTheInputsSoThatTheirAddressesAreNotUsedAgain) {
  auto part = std::make_shared<const std::string>("input");
  const std::weak_ptr<const std::string> watched = part;
  {
    Memo memo;
    memo.fragment(MemoKey("host").add(part), [] { return std::string("h"); });
    part.reset();
    EXPECT_FALSE(watched.expired());
  }
  EXPECT_TRUE(watched.expired());
}

TEST(Memo, ABundleCountsAsItsResources) {
  Memo memo;
  const auto make = [] { return Memo::Resources{made("a"), made("b")}; };
  memo.bundle(MemoKey("clusters"), make);
  memo.bundle(MemoKey("clusters"), make);
  EXPECT_EQ(memo.made(), 2u);
  EXPECT_EQ(memo.reused(), 2u);
}

TEST(Memo, ManyThreadsGetOneObject) {
  Memo root;
  std::vector<resource::ResourcePtr> found(8);
  std::vector<std::thread> threads;
  std::vector<std::unique_ptr<Memo>> memos;
  for (std::size_t i = 0; i < found.size(); ++i) memos.push_back(std::make_unique<Memo>(&root));
  for (std::size_t i = 0; i < found.size(); ++i) {
    threads.emplace_back(
        [&, i] { found[i] = memos[i]->resource(MemoKey("cluster"), [] { return made("a"); }); });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& each : found) EXPECT_EQ(each, found.front());
}

}  // namespace
}  // namespace graymesh::translate
