// A record in a folder of its own, and proxies whose life it is told.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/hash.h"
#include "control/record/record.h"

namespace graymesh::record {

using resource::ResourcePtr;
using resource::Type;

// Goes on when it is told to, and its wall clock may be set back.
class SetClock final : public Clock {
 public:
  Steady now() const override { return clock_.now(); }
  Wall wall() const override { return clock_.wall() - std::chrono::milliseconds(behind_ms_); }
  void advance(std::chrono::nanoseconds by) { clock_.advance(by); }
  void set_back(std::chrono::milliseconds by) { behind_ms_ += by.count(); }

 private:
  FakeClock clock_;
  std::atomic<std::int64_t> behind_ms_ = 0;
};

// A proxy that ACKs when it is told to, and knows what it ran at any time.
class Proxy {
 public:
  using Names = std::map<std::string, std::string>;  // and bodies

  Proxy(Record& record, const SetClock& clock, std::uint64_t stream, std::string name)
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
    record_->holds(stream_, {.type = Type::cluster, .layers = {{set}}});
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
  const SetClock& clock_;
  Record* record_ = nullptr;
  std::uint64_t stream_;
  std::string name_;
  std::map<std::string, ResourcePtr> held_, pending_;
  std::map<Clock::Wall, Names> ran_;
};

inline ResourcePtr made(const std::string& name, const std::string& body) {
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
  SetClock clock;
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
          EXPECT_EQ(test_.ran(proxy, next->first - std::chrono::milliseconds(1)), at->second)
              << proxy.name();
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

}  // namespace graymesh::record
