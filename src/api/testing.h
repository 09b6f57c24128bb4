// For tests: the whole API before a release engine whose instances and proxies are made up.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "api/api.h"
#include "base/file.h"
#include "control/push/push.h"
#include "control/source/source.h"
#include "control/xds/xds.h"
#include "release/engine/testing.h"

namespace graymesh::api::testing {

// Each instance has a sidecar, which ACKs at once unless it is told to be silent. Any thread.
class SidecarMesh final : public release::Mesh {
 public:
  SidecarMesh(const workload::Runtime& runtime, const Clock& clock, std::function<void()> on_ack)
      : runtime_(runtime), clock_(clock), on_ack_(std::move(on_ack)) {}

  Result<std::uint64_t> write(const std::map<std::string, std::string>&) override {
    std::lock_guard lock(mutex_);
    written_ = clock_.wall();
    on_ack_();
    return ++revision_;
  }

  std::vector<Proxy> proxies() const override {
    std::lock_guard lock(mutex_);
    std::vector<Proxy> out;
    for (const auto& instance : runtime_.instances()) {
      const bool acks = !silent_.contains(instance.name);
      out.push_back({.id = "sidecar~" + instance.address + "~" + instance.name + ".fe-pre",
                     .address = instance.address,
                     .reached = acks ? revision_ : 0,
                     .at = written_,
                     .refuses = false});
    }
    return out;
  }

  Objects virtual_services() const override {
    return std::make_shared<const std::vector<model::ObjectPtr>>();
  }

  void silence(const std::string& instance) {
    std::lock_guard lock(mutex_);
    silent_.insert(instance);
  }

 private:
  const workload::Runtime& runtime_;
  const Clock& clock_;
  const std::function<void()> on_ack_;
  mutable std::mutex mutex_;
  std::uint64_t revision_ = 0;
  Clock::Wall written_{};
  std::set<std::string> silent_;
};

// Instances are ready, and proxies ACK, as soon as they can; so a release takes some milliseconds.
class ServedPlatform {
 public:
  // `tokens`: the text of a tokens file; empty: none.
  explicit ServedPlatform(const std::string& tokens = "", bool with_engine = true) {
    std::string pattern = ::testing::TempDir() + "graymesh-platform-XXXXXX";
    folder_path = ::mkdtemp(pattern.data());
    loop_ =
        std::make_unique<push::Loop>(std::make_shared<const model::MeshConfig>(), metrics_, clock_);
    xds_ = must(xds::Server::start({.address = "127.0.0.1:0"}, *loop_, metrics_, clock_));
    source::FolderOptions options;
    options.folders = {folder_path};
    folder_ = must(source::Folder::open(
        options, [this](source::ObjectsPtr objects) { loop_->changed(std::move(objects)); }));
    loop_->changed(folder_->objects());
    store = must(release::Store::open(":memory:"));
    runtime.ready_at_once();
    engine = must(release::Engine::open({*store, runtime, mesh, judge, clock_}));
    engine->start();
    if (!tokens.empty()) {
      EXPECT_TRUE(write_file(folder_path / "tokens", tokens));
      tokens_.emplace(must(Tokens::read(folder_path / "tokens")));
    }
    server = must(Server::start("127.0.0.1:0", {.folder = *folder_,
                                                .loop = *loop_,
                                                .xds = *xds_,
                                                .metrics = metrics_,
                                                .clock = clock_,
                                                .engine = with_engine ? engine.get() : nullptr,
                                                .store = with_engine ? store.get() : nullptr,
                                                .traffic = &traffic,
                                                .tokens = tokens_ ? &*tokens_ : nullptr}));
  }

  ~ServedPlatform() {
    server.reset();
    engine->stop();
    folder_.reset();
    loop_->stop();
    xds_.reset();
    std::filesystem::remove_all(folder_path);
  }

  ServedPlatform(const ServedPlatform&) = delete;
  ServedPlatform& operator=(const ServedPlatform&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(server->port()); }

  // Waits for what another thread brings about; 10 s is for machines under load.
  static bool becomes(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

 private:
  template <typename T>
  static T must(Result<T> result) {
    EXPECT_TRUE(result) << result.error().message;
    return *std::move(result);
  }

  void poke() {
    if (engine) engine->poke();
  }

  SystemClock clock_;
  metrics::Registry metrics_;
  std::unique_ptr<push::Loop> loop_;
  std::unique_ptr<xds::Server> xds_;
  std::unique_ptr<source::Folder> folder_;
  std::optional<Tokens> tokens_;

 public:
  traffic::Table traffic{clock_};
  std::filesystem::path folder_path;
  workload::FakeRuntime runtime{clock_, [this] { poke(); }};
  SidecarMesh mesh{runtime, clock_, [this] { poke(); }};
  release::testing::FakeJudge judge;
  std::unique_ptr<release::Store> store;
  std::unique_ptr<release::Engine> engine;
  std::unique_ptr<Server> server;
};

}  // namespace graymesh::api::testing
