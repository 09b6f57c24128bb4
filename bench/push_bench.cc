// What one changed endpoint costs from new Objects on: until the loop tells of it, until the first
// proxy's configuration is there, and until all are, asked for one after the other as their streams
// do.
//
// The mesh is one of N services from tools/gen_mesh.py, with 11 sidecars to 7 services, captured.
#include <benchmark/benchmark.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "control/push/push.h"
#include "generated_mesh.h"

namespace graymesh {
namespace {

using bench::mesh_of;

using Milliseconds = std::chrono::duration<double, std::milli>;

// A loop, and whoever waits for it to tell of a Snapshot.
class Told {
 public:
  Told() {
    loop.on_publish([this] {
      const std::lock_guard lock(mutex_);
      told_ = loop.state()->snapshot->number();
      changed_.notify_all();
    });
  }

  void make(source::ObjectsPtr objects) {
    const std::uint64_t number = objects->number;
    loop.changed(std::move(objects));
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return told_ == number; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t told_ = 0;
  SystemClock clock_;
  metrics::Registry metrics_;

 public:
  push::Loop loop{std::make_shared<const model::MeshConfig>(), metrics_, clock_};  // last
};

source::Entry entry_of(const model::ObjectPtr& object) {
  source::Entry entry;
  entry.serving = object;
  return entry;
}

source::ObjectsPtr next(const source::ObjectsPtr& before, const model::ObjectPtr& object) {
  auto objects = std::make_shared<source::Objects>(*before);
  ++objects->number;
  std::vector<source::Entries::Change> changes;
  changes.emplace_back(object->meta.key, entry_of(object));
  objects->entries.update(std::move(changes));
  return objects;
}

// A slice to and fro.
std::pair<model::ObjectPtr, model::ObjectPtr> changing(const bench::Objects& objects) {
  for (std::size_t i = objects.size() / 4; i < objects.size(); ++i) {
    if (!std::holds_alternative<model::EndpointSlice>(objects[i]->spec)) continue;
    auto copy = std::make_shared<model::Object>(*objects[i]);
    std::get<model::EndpointSlice>(copy->spec).endpoints.front().addresses = {"10.255.0.1"};
    return {objects[i], std::move(copy)};
  }
  return {};
}

void one_endpoint(benchmark::State& state) {
  const bench::Objects& objects = mesh_of(state.range(0));
  const auto nodes = bench::nodes_of(objects);
  std::vector<std::shared_ptr<void>> kept(nodes.size());
  auto now = std::make_shared<source::Objects>();
  now->number = 1;
  std::vector<source::Entries::Change> all;
  for (const auto& object : objects) all.emplace_back(object->meta.key, entry_of(object));
  now->entries.update(std::move(all));
  source::ObjectsPtr newest = std::move(now);
  Told told;
  told.make(newest);
  for (std::size_t i = 0; i < nodes.size(); ++i) told.loop.config_for(nodes[i], kept[i]);

  auto [one, other] = changing(objects);
  Milliseconds to_tell{}, to_first{}, to_all{};
  for (auto _ : state) {
    std::swap(one, other);
    auto changed = next(newest, one);
    const auto begin = Clock::Steady::clock::now();
    told.make(changed);
    const auto is_told = Clock::Steady::clock::now();
    told.loop.config_for(nodes[0], kept[0]);
    const auto first = Clock::Steady::clock::now();
    for (std::size_t i = 1; i < nodes.size(); ++i) told.loop.config_for(nodes[i], kept[i]);
    const auto end = Clock::Steady::clock::now();
    newest = std::move(changed);
    state.SetIterationTime(std::chrono::duration<double>(end - begin).count());
    to_tell += is_told - begin;
    to_first += first - is_told;
    to_all += end - first;
  }
  const auto rounds = static_cast<double>(state.iterations());
  state.counters["told_ms"] = to_tell.count() / rounds;
  state.counters["first_ms"] = to_first.count() / rounds;
  state.counters["others_ms"] = to_all.count() / rounds;
  state.counters["nodes"] = static_cast<double>(nodes.size());
}
BENCHMARK(one_endpoint)
    ->Arg(100)
    ->Arg(700)
    ->Arg(2000)
    ->Arg(10000)
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->UseManualTime();

}  // namespace
}  // namespace graymesh
