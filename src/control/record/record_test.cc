// What any proxy ran at any time is read back, to the byte, after restarts and beside damage.
#include "control/record/record.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <random>

#include "base/file.h"
#include "base/hash.h"
#include "control/record/files.h"

namespace graymesh::record {
namespace {

using namespace std::chrono_literals;
using resource::ResourcePtr;
using resource::Type;

// A proxy that ACKs when it is told to, and knows what it ran at any time.
class Proxy {
 public:
  using Names = std::map<std::string, std::string>;  // and bodies

  Proxy(Record& record, const FakeClock& clock, std::uint64_t stream, std::string name)
      : clock_(clock), stream_(stream), name_(std::move(name)) {
    connect(record, stream);
  }

  // Again, with what it holds.
  void connect(Record& record, std::uint64_t stream, bool returns = false) {
    record_ = &record;
    stream_ = stream;
    resource::Node node;
    node.id = "sidecar~127.0.0.1~" + name_ + ".shop~shop.svc.cluster.local";
    node.name = name_;
    node.namespace_ = "shop";
    record.opened(stream, node, "ipv4:127.0.0.1:1", true);
    if (returns) holds();
  }
  void holds() {
    std::vector<ResourcePtr> all;
    for (const auto& [name, it] : held_) all.push_back(it);
    const auto set = std::make_shared<const resource::ResourceSet>(std::move(all));
    record_->holds(stream_, {Type::cluster, {&set, 1}, {}});
  }
  // Of nothing: it is removed.
  void is_sent(std::map<std::string, ResourcePtr> changes) {
    pending_ = std::move(changes);
    std::vector<resource::Delivery::Change> list;
    for (const auto& [name, now] : pending_) {
      const auto before = held_.find(name);
      list.push_back(
          {hash64(name), before == held_.end() ? nullptr : &before->second, now ? &now : nullptr});
    }
    record_->sent(stream_, {Type::cluster, list, 100});
  }
  void acks() {
    for (const auto& [name, now] : pending_) {
      if (now)
        held_[name] = now;
      else
        held_.erase(name);
    }
    pending_.clear();
    record_->acked(stream_, Type::cluster);
    ran_[clock_.wall()] = names();
  }
  void leaves() { record_->closed(stream_); }

  Names names() const {
    Names names;
    for (const auto& [name, it] : held_) names[name] = it->body();
    return names;
  }
  const std::map<std::string, ResourcePtr>& held() const { return held_; }
  const std::map<Clock::Wall, Names>& ran() const { return ran_; }
  std::string name() const { return name_ + ".shop"; }

 private:
  const FakeClock& clock_;
  Record* record_ = nullptr;
  std::uint64_t stream_;
  std::string name_;
  std::map<std::string, ResourcePtr> held_, pending_;
  std::map<Clock::Wall, Names> ran_;
};

ResourcePtr made(const std::string& name, const std::string& body) {
  return std::make_shared<const resource::Resource>(
      Type::cluster, name, body, std::vector<std::string>{"Service shop/" + name});
}

class RecordTest : public testing::Test {
 public:
  RecordTest() { clock.advance(std::chrono::hours(24 * 365 * 50)); }
  void SetUp() override {
    std::string pattern = testing::TempDir() + "graymesh-record-XXXXXX";
    folder = ::mkdtemp(pattern.data());
    open();
  }
  void TearDown() override {
    record.reset();
    std::filesystem::remove_all(folder);
  }
  void open(Options options = {}) {
    record.reset();
    complaints.clear();
    options.folder = folder;
    options.complain = [this](const std::string& what) { complaints += what + "\n"; };
    auto opened = Record::open(options, metrics, clock);
    ASSERT_TRUE(opened) << opened.error().message;
    record = *std::move(opened);
    record->flush();
  }

  Proxy::Names ran(const Proxy& proxy, Clock::Wall time) {
    const auto moment = History(folder).at(proxy.name(), time, faults);
    if (!moment) return {{"error", moment.error().message}};
    const auto config = History(folder).config(*moment);
    if (!config) return {{"error", config.error().message}};
    Proxy::Names names;
    for (const auto& layer : (*config)->of(Type::cluster)) {
      for (const auto& it : layer->all()) names[it->name()] = it->body();
    }
    return names;
  }
  double value(const char* name) { return static_cast<double>(metrics.counter(name, "").value()); }

  std::filesystem::path folder;
  FakeClock clock;
  metrics::Registry metrics;
  std::string complaints;
  std::vector<std::string> faults;
  std::unique_ptr<Record> record;
};

// Random changes of a scope that all proxies follow at their own pace.
class Life {
 public:
  Life(RecordTest& test, unsigned seed) : test_(test), random_(seed) {
    for (std::uint64_t i = 0; i < 5; ++i)
      proxies.emplace_back(*test.record, test.clock, ++streams, "web-" + std::to_string(i));
  }
  void change() {
    const auto name = "c" + std::to_string(random_() % 12);
    std::string body(random_() % 3000, 'x');
    for (int i = 0; i < 20 && !body.empty(); ++i)
      body[random_() % body.size()] = static_cast<char>('a' + random_() % 26);
    config_[name] = random_() % 5 == 0 ? nullptr : made(name, body);
  }
  void step() {
    if (random_() % 3 == 0) change();
    auto& proxy = proxies[random_() % proxies.size()];
    std::map<std::string, ResourcePtr> changes;
    for (const auto& [name, it] : config_) {
      const auto held = proxy.held().find(name);
      const bool same = held == proxy.held().end() ? !it : it == held->second;
      if (!same) changes[name] = it;
    }
    if (changes.empty()) return;
    proxy.is_sent(changes);
    if (random_() % 2 == 0) test_.clock.advance(std::chrono::milliseconds(random_() % 40));
    if (random_() % 8 == 0) test_.record->flush();
    proxy.acks();
    test_.clock.advance(std::chrono::milliseconds(1 + random_() % 40));
  }
  void expect_known() {
    test_.record->flush();
    for (const auto& proxy : proxies) {
      for (int i = 0; i < 5 && !proxy.ran().empty(); ++i) {
        auto at = proxy.ran().begin();
        std::advance(at, random_() % proxy.ran().size());
        EXPECT_EQ(test_.ran(proxy, at->first), at->second) << proxy.name();
        // Until the next it stays so.
        const auto next = std::next(at);
        if (next != proxy.ran().end()) {
          EXPECT_EQ(test_.ran(proxy, next->first - 1ms), at->second) << proxy.name();
        }
      }
    }
    EXPECT_EQ(test_.faults, std::vector<std::string>());
  }

  std::vector<Proxy> proxies;
  std::uint64_t streams = 0;

 private:
  RecordTest& test_;
  std::mt19937 random_;
  std::map<std::string, ResourcePtr> config_;
};

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

// Its wall clock may be put back.
class TwoClocks final : public Clock {
 public:
  Steady now() const override { return Steady{} + std::chrono::hours(1); }
  Wall wall() const override { return Wall(std::chrono::milliseconds(wall_ms)); }
  std::atomic<std::int64_t> wall_ms = 1'764'000'000'000;
};

TEST_F(RecordTest, AClockThatIsPutBackBeginsNoNewFiles) {
  record.reset();
  TwoClocks two;
  auto opened = Record::open({.folder = folder}, metrics, two);
  ASSERT_TRUE(opened) << opened.error().message;
  resource::Node node;
  node.id = "sidecar~127.0.0.1~web-0.shop~shop.svc.cluster.local";
  (*opened)->flush();
  const auto before = files_of(folder)->size();
  two.wall_ms -= 3'600'000;
  for (std::uint64_t stream = 1; stream <= 5; ++stream) {
    (*opened)->opened(stream, node, "ipv4:127.0.0.1:1", true);
    (*opened)->flush();
  }
  EXPECT_EQ(files_of(folder)->size(), before);
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
  const auto happened = History(folder).between("web.shop", begin, clock.wall(), 100, faults);
  ASSERT_TRUE(happened);
  std::vector<Kind> kinds;
  for (const auto& it : *happened) kinds.push_back(it.kind);
  EXPECT_EQ(kinds,
            (std::vector<Kind>{Kind::sent, Kind::acked, Kind::sent, Kind::refused, Kind::left}));
  EXPECT_EQ((*happened)[0].changed.at(0).first, "a");
  EXPECT_EQ((*happened)[2].removed, std::vector<std::string>{"a"});
  EXPECT_EQ((*happened)[3].text, "no");
  EXPECT_EQ((*happened)[3].at, clock.wall() - 20ms);
  EXPECT_EQ(History(folder).between("web.shop", begin, clock.wall(), 4, faults).error().code,
            Code::out_of_range);

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

TEST_F(RecordTest, HasOneWriter) {
  const auto second = Record::open({.folder = folder}, metrics, clock);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message,
            (folder / "lock").string() + ": another graymeshd keeps its record in this folder");
}

}  // namespace
}  // namespace graymesh::record
