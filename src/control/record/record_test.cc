// What any proxy ran at any time is read back, to the byte, after restarts and beside damage.
#include "control/record/record.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/file.h"
#include "base/lock.h"
#include "control/record/files.h"
#include "control/record/testing.h"

namespace graymesh::record {
namespace {

using namespace std::chrono_literals;
using resource::Type;

TEST_F(RecordTest, KnowsWhatEachProxyRanAtAnyTime) {
  for (unsigned seed = 0; seed < 10; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    TearDown();
    SetUp();
    Life life(*this, seed);
    for (int i = 0; i < 200; ++i) life.step();
    life.expect_known();
  }
}

TEST_F(RecordTest, GoesOnOverRestartsAndRolls) {
  Life life(*this, 1);
  std::uint64_t rolls = 0;
  for (int restart = 0; restart < 3; ++restart) {
    for (int roll = 0; roll < 3; ++roll) {
      for (int i = 0; i < 40; ++i) life.step();
      record->start([&] {
        ++rolls;
        for (auto& proxy : life.proxies) proxy.holds();
      });
      clock.advance(std::chrono::hours(25));  // of thirty days, a segment has one
      record->flush();
      record->flush();
    }
    open();
    for (auto& proxy : life.proxies) proxy.connect(*record, ++life.streams, true);
  }
  EXPECT_GE(rolls, 6);
  EXPECT_GE(files_of(folder)->size(), 8u);
  for (int i = 0; i < 40; ++i) life.step();
  life.expect_known();
}

TEST_F(RecordTest, CutsOffTheTornTailOfAKilledProcessAndSaysSo) {
  Life life(*this, 1);
  for (int i = 0; i < 50; ++i) life.step();
  record->flush();
  record.reset();
  const auto file = files_of(folder)->back();
  {
    auto bytes = *read_file(file.path);
    ASSERT_TRUE(write_file(file.path, bytes + std::string("\x40\0\0\0half a block", 16)));
  }
  open();
  EXPECT_NE(complaints.find(file.path.string() + ": byte " + std::to_string(file.size) + " of " +
                            std::to_string(file.size + 16) +
                            ": the file ends in a block; the last 16 bytes are cut off"),
            std::string::npos)
      << complaints;
  EXPECT_EQ(std::filesystem::file_size(file.path), file.size);
  life.expect_known();
}

TEST_F(RecordTest, ADamagedFileCostsNoOtherFile) {
  Life life(*this, 1);
  for (int i = 0; i < 50; ++i) life.step();
  const auto first = life.proxies.front().names();
  const auto then = clock.wall();
  clock.advance(1s);
  open();
  const auto damaged = files_of(folder)->front();
  for (auto& proxy : life.proxies) proxy.connect(*record, ++life.streams, true);
  for (int i = 0; i < 20; ++i) life.step();
  record->flush();
  auto bytes = *read_file(damaged.path);
  bytes[100] = static_cast<char>(bytes[100] ^ 1);
  ASSERT_TRUE(write_file(damaged.path, bytes));

  EXPECT_EQ(ran(life.proxies[0], clock.wall()), life.proxies[0].names());
  EXPECT_NE(ran(life.proxies[0], then), first);
  ASSERT_FALSE(faults.empty());
  EXPECT_NE(faults.back().find(damaged.path.string() + ": byte "), std::string::npos)
      << faults.back();
}

TEST_F(RecordTest, AFileThatIsNoneIsLeftAloneAndTheRestGoesOn) {
  record.reset();
  const auto files = files_of(folder);
  ASSERT_TRUE(files);
  for (const auto& it : *files) std::filesystem::remove(it.path);
  const auto file = file_of(folder, 7);
  ASSERT_TRUE(write_file(file, "rubbish"));
  open();
  EXPECT_NE(complaints.find("is no file of a record"), std::string::npos) << complaints;
  EXPECT_EQ(*read_file(file), "rubbish");
  Life life(*this, 1);
  for (int i = 0; i < 20; ++i) life.step();
  record->flush();
  EXPECT_EQ(ran(life.proxies[0], clock.wall()), life.proxies[0].names());
}

TEST_F(RecordTest, CountsWhatItLosesAndHasItToldAnew) {
  record.reset();
  open({.folder = {}, .write_every = 1h, .events_max = 8});
  Proxy proxy(*record, clock, 1, "web");
  bool told = false;
  record->start([&] {
    told = true;
    proxy.holds();
  });
  record->flush();
  for (int i = 0; i < 20; ++i) {
    proxy.is_sent({{"a", made("a", std::to_string(i))}});
    proxy.acks();
  }
  record->flush();  // of 40 the first 8, or those that came after the writer had taken some
  const auto lost = value("graymesh_record_events_dropped_total");
  if (lost > 0) {
    clock.advance(3s);
    record->flush();  // has it told anew
    record->flush();
    EXPECT_TRUE(told);
  }
  EXPECT_EQ(ran(proxy, clock.wall()), (Proxy::Names{{"a", "19"}}));
}

TEST_F(RecordTest, KnowsWhereAProxyThatReturnsDiffersFromALayer) {
  Proxy web(*record, clock, 1, "web");
  web.is_sent({{"a", made("a", "1")}, {"b", made("b", "1")}, {"c", made("c", "1")}});
  web.acks();
  web.leaves();
  clock.advance(1s);
  web.connect(*record, 2);
  const auto layer = std::make_shared<const resource::ResourceSet>(
      std::vector<ResourcePtr>{made("a", "2"), made("b", "2"), made("c", "2"), made("new", "2")});
  record->holds(2, {.type = Type::cluster,
                    .layers = {{layer}},
                    .exceptions = {{hash64("a"), made("a", ""), true},
                                   {hash64("b"), nullptr},
                                   {hash64("new"), made("new", ""), true}}});
  record->flush();
  EXPECT_EQ(ran(web, clock.wall()), (Proxy::Names{{"a", "1"}, {"c", "2"}}));
  const auto moment = History(folder).at("web.shop", clock.wall(), faults);
  ASSERT_TRUE(moment);
  EXPECT_EQ(moment->types[static_cast<std::size_t>(Type::cluster)].unknown,
            std::vector<std::string>{"new"});

  web.leaves();
  web.connect(*record, 3);
  record->holds(3, {.type = Type::cluster,
                    .layers = {{layer, true}},
                    .exceptions = {{hash64("c"), made("c", "3")}}});
  record->flush();
  EXPECT_EQ(ran(web, clock.wall()), (Proxy::Names{{"a", "1"}, {"c", "3"}}));
}

TEST_F(RecordTest, SaysWhatHappenedAndWhoIsGone) {
  Proxy web(*record, clock, 1, "web"), cart(*record, clock, 2, "cart");
  clock.advance(1s);
  const auto begin = clock.wall();
  clock.advance(1s);
  web.is_sent({{"a", made("a", "1")}});
  clock.advance(20ms);
  web.acks();
  web.is_sent({{"a", nullptr}});
  clock.advance(20ms);
  record->refused(1, Type::cluster, "no");
  web.holds();
  clock.advance(20ms);
  web.leaves();
  record->flush();

  using Kind = Happening::Kind;
  const auto page = History(folder).between("web.shop", begin, clock.wall(), 100, "", faults);
  ASSERT_TRUE(page);
  EXPECT_EQ(page->next, "");
  const auto& happened = page->items;
  std::vector<Kind> kinds;
  kinds.reserve(happened.size());
  for (const auto& it : happened) kinds.push_back(it.kind);
  EXPECT_EQ(kinds,
            (std::vector<Kind>{Kind::sent, Kind::acked, Kind::sent, Kind::refused, Kind::left}));
  EXPECT_EQ(happened[0].changed.at(0).first, "a");
  EXPECT_EQ(happened[2].removed, std::vector<std::string>{"a"});
  EXPECT_EQ(happened[3].text, "no");
  EXPECT_EQ(happened[3].at, clock.wall() - 20ms);

  const auto moment = History(folder).at("web.shop", clock.wall(), faults);
  ASSERT_TRUE(moment);
  EXPECT_EQ(moment->left, clock.wall());
  EXPECT_EQ(moment->types[0].error, "no");
  EXPECT_EQ(moment->types[0].items.at("a").origins, std::vector<std::string>{"Service shop/a"});
  EXPECT_EQ(moment->types[0].items.at("a").since, begin + 1s + 20ms);
  EXPECT_EQ(History(folder).at("nobody", clock.wall(), faults).error().code, Code::not_found);

  open();  // remembers over a restart
  const auto seen = *History(folder).seen(faults);
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].name, "cart");
  EXPECT_EQ(seen[1].left, clock.wall());
}

// As of a disk that is full; files may be that long.
class FileLimit {
 public:
  explicit FileLimit(rlim_t bytes) {
    (void)::getrlimit(RLIMIT_FSIZE, &before_);
    (void)::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    (void)::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileLimit() { (void)::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(RecordTest, WhatAFailedFileWasToldIsToldAgainToTheNext) {
  open({.folder = {}, .write_every = 1h});
  Proxy web(*record, clock, 1, "web");
  record->start([&] { web.holds(); });
  record->flush();
  {
    const FileLimit full(files_of(folder)->back().size);
    web.is_sent({{"a", made("a", "1")}});
    web.acks();
    record->flush();
  }
  EXPECT_NE(complaints.find("nothing is recorded until it can be written again"), std::string::npos)
      << complaints;
  clock.advance(6s);  // it is tried again after five
  record->flush();
  record->flush();
  Proxy cart(*record, clock, 2, "cart");
  cart.is_sent({{"a", made("a", "1")}});
  cart.acks();
  record->flush();
  EXPECT_EQ(ran(web, newest), (Proxy::Names{{"a", "1"}}));
  EXPECT_EQ(ran(cart, newest), (Proxy::Names{{"a", "1"}}));
}

TEST_F(RecordTest, HasOneWriter) {
  record.reset();
  int locked[2];
  ASSERT_EQ(::pipe(locked), 0);
  const pid_t other = ::fork();
  if (other == 0) {
    const auto lock = hold(folder / "lock");
    (void)!::write(locked[1], "!", 1);
    for (;;) ::pause();
  }
  char told = 0;
  ASSERT_EQ(::read(locked[0], &told, 1), 1);
  const auto second = Record::open({.folder = folder}, metrics, clock);
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
  for (const int fd : locked) ::close(fd);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message,
            "another graymeshd keeps its record in this folder: " + (folder / "lock").string() +
                " is held by process " + std::to_string(other));
}

}  // namespace
}  // namespace graymesh::record
