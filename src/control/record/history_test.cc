// In which order things are told again, and how much of the record one question reads.
#include <gtest/gtest.h>

#include "base/file.h"
#include "control/record/files.h"
#include "control/record/record.h"
#include "control/record/testing.h"

namespace graymesh::record {
namespace {

using namespace std::chrono_literals;
using Kind = Happening::Kind;

class HistoryTest : public RecordTest {
 public:
  void runs(Proxy& proxy, const std::string& body) {
    proxy.is_sent({{"a", made("a", body)}});
    proxy.acks();
    record->flush();
  }
  Proxy::Names a(const std::string& body) const { return {{"a", body}}; }

  // In words, page by page.
  std::vector<std::string> told(const History& history, const std::string& proxy, std::size_t most,
                                std::size_t* pages = nullptr) {
    std::vector<std::string> all;
    std::string next;
    do {
      const auto page = history.between(proxy, {}, newest, most, next, faults);
      if (!page) return {page.error().message};
      EXPECT_LE(page->items.size(), most);
      for (const auto& it : page->items) {
        all.push_back(testing::PrintToString(it.at.time_since_epoch() / 1ms) + " " +
                      std::to_string(static_cast<int>(it.kind)) + " " + it.text);
        for (const auto& [name, version] : it.changed)
          all.back() += name + "=" + std::to_string(version);
      }
      next = page->next;
      if (pages != nullptr) ++*pages;
    } while (!next.empty());
    return all;
  }
  void damage(const File& file) {
    auto bytes = *read_file(file.path);
    bytes[50] = static_cast<char>(bytes[50] ^ 1);
    ASSERT_TRUE(write_file(file.path, bytes));
  }
};

TEST_F(HistoryTest, IsInTheOrderOfWhatHappenedWhereTheClockWasSetBack) {
  open({.folder = {}, .write_every = 1h});  // only with flush()
  Proxy web(*record, clock, 1, "web");
  const auto begin = clock.wall();
  runs(web, "1");
  clock.advance(1h);
  runs(web, "2");
  clock.advance(11s);
  record->start([&] { web.holds(); });
  clock.set_back(1h);
  runs(web, "3");  // the file of before is ended by this
  record->flush();
  clock.advance(1s);
  runs(web, "4");

  EXPECT_EQ(ran(web, newest), a("4"));
  EXPECT_EQ(ran(web, begin + 5s), a("1"));
  EXPECT_EQ(ran(web, begin + 11s), a("3"));
  EXPECT_EQ(ran(web, begin + 12s), a("4"));
  EXPECT_EQ(ran(web, begin + 2h), a("4"));
  const auto page = History(folder).between("web.shop", begin - 1s, newest, 100, "", faults);
  ASSERT_TRUE(page);
  std::vector<std::chrono::seconds> acked;
  for (const auto& it : page->items) {
    if (it.kind == Kind::acked)
      acked.push_back(std::chrono::duration_cast<std::chrono::seconds>(it.at - begin));
  }
  EXPECT_EQ(acked, (std::vector<std::chrono::seconds>{0s, 1h, 1h, 12s}));
}

TEST_F(HistoryTest, IsInTheOrderOfWhatHappenedWhereTheClockWasSetBackBetweenTwoProcesses) {
  Proxy web(*record, clock, 1, "web");
  const auto begin = clock.wall();
  runs(web, "1");
  clock.advance(1h);
  runs(web, "2");
  clock.set_back(50min);
  open();
  web.connect(*record, 1, true);
  runs(web, "3");

  EXPECT_EQ(ran(web, newest), a("3"));
  EXPECT_EQ(ran(web, clock.wall()), a("3"));
  EXPECT_EQ(ran(web, begin + 5min), a("1"));
  const auto page = History(folder).between("web.shop", begin - 1s, newest, 100, "", faults);
  ASSERT_TRUE(page);
  EXPECT_EQ(page->items.back().at, begin + 10min);
}

TEST_F(HistoryTest, KnowsWhenSomebodyLeftWhoWasLostWithAProcessOfLongAgo) {
  Proxy web(*record, clock, 1, "web");
  const auto begin = clock.wall();
  runs(web, "1");
  for (int i = 0; i < 3; ++i) {
    clock.advance(1h);
    open();
  }
  const auto moment = History(folder).at("web.shop", newest, faults);
  ASSERT_TRUE(moment) << moment.error().message;
  ASSERT_TRUE(moment->left);
  EXPECT_EQ(*moment->left, begin);
}

TEST_F(HistoryTest, AClockThatIsSetBackBeginsOneNewFile) {
  record->flush();
  const auto before = files_of(folder)->size();
  Proxy web(*record, clock, 1, "web");
  record->flush();
  clock.advance(11s);
  clock.set_back(1h);
  for (int i = 0; i < 5; ++i) runs(web, std::to_string(i));
  EXPECT_EQ(files_of(folder)->size(), before + 1);
}

TEST_F(HistoryTest, OfManyPagesIsThatOfOne) {
  Life life(*this, 1);
  for (int restart = 0; restart < 5; ++restart) {
    for (int i = 0; i < 60; ++i) life.step();
    open();
    for (auto& proxy : life.proxies) proxy.connect(*record, ++life.streams, true);
  }
  record->flush();
  for (const auto& proxy : life.proxies) {
    std::size_t pages = 0;
    const auto all = told(History(folder), proxy.name(), 10'000);
    EXPECT_GT(all.size(), 20u);
    EXPECT_EQ(told(History(folder, 1), proxy.name(), 3, &pages), all);
    EXPECT_GE(pages, all.size() / 3);
  }
  EXPECT_EQ(faults, std::vector<std::string>());
  EXPECT_EQ(told(History(folder), "web-0.shop", 1).size(),
            told(History(folder), "web-0.shop", 10'000).size());
  const auto wrong = History(folder).between("web-0.shop", {}, newest, 1, "there", faults);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().message, "continue there, must be as the page before has it");
}

TEST_F(HistoryTest, ReadsAFewFilesForOneQuestion) {
  Proxy web(*record, clock, 1, "web"), gone(*record, clock, 2, "gone");
  runs(gone, "1");
  gone.leaves();
  record->flush();
  for (std::uint64_t restart = 0; restart < 20; ++restart) {
    clock.advance(1min);
    open();
    web.connect(*record, restart + 10, true);
    runs(web, std::to_string(restart));
  }
  const auto files = *files_of(folder);
  ASSERT_GE(files.size(), 20u);
  for (std::size_t i = 3; i + 2 < files.size(); ++i) damage(files[i]);

  EXPECT_EQ(ran(web, newest), a("19"));
  EXPECT_EQ(ran(gone, newest), a("1"));
  EXPECT_EQ(faults, std::vector<std::string>());
  EXPECT_FALSE(History(folder).at("nobody.shop", newest, faults));
  EXPECT_LE(faults.size(), 6u);
  faults.clear();
  const auto page =
      History(folder, 3 * files[4].size).between("web.shop", {}, newest, 100, "", faults);
  ASSERT_TRUE(page);
  EXPECT_NE(page->next, "");
  EXPECT_LE(faults.size(), 4u);
}

}  // namespace
}  // namespace graymesh::record
