// What a change costs the control plane between the Snapshot and the wire: the configurations of
// all proxies of a mesh, asked for one after the other as their streams do, each with what is kept
// of it from one Generation to the next.
//
// The mesh is one of N services from tools/gen_mesh.py, with 11 sidecars to 7 services, captured.
#include <benchmark/benchmark.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/snapshot/snapshot.h"
#include "control/translate/translate.h"
#include "generated_mesh.h"

namespace graymesh {
namespace {

using bench::Objects;
using GenerationPtr = std::shared_ptr<const translate::Generation>;

struct World {
  Objects objects;
  std::vector<resource::Node> nodes;
  std::shared_ptr<const model::MeshConfig> mesh = std::make_shared<const model::MeshConfig>();
  snapshot::SnapshotPtr snapshot;

  explicit World(int services)
      : objects(bench::generate(services)), nodes(bench::nodes_of(objects)) {
    build();
  }

  void build() { snapshot = snapshot::build(objects, mesh, snapshot.get(), 1); }
  // What is kept of each node.
  using Kept = std::vector<std::shared_ptr<void>>;
  void ask_all(const translate::Generation& generation, Kept& kept) const {
    kept.resize(nodes.size());
    for (std::size_t i = 0; i < nodes.size(); ++i)
      benchmark::DoNotOptimize(generation.config_for(nodes[i], kept[i]));
  }
};

// Generated once for each size.
World& world_of(std::int64_t services) {
  static std::map<std::int64_t, std::unique_ptr<World>> worlds;
  auto& world = worlds[services];
  if (!world) world = std::make_unique<World>(static_cast<int>(services));
  return *world;
}

void report(benchmark::State& state, const World& world, const translate::Generation& generation) {
  const auto work = generation.work();
  state.counters["nodes"] = static_cast<double>(world.nodes.size());
  state.counters["scopes"] = static_cast<double>(work.scopes);
  state.counters["made"] = static_cast<double>(work.resources_made);
}

void from_nothing(benchmark::State& state) {
  const World& world = world_of(state.range(0));
  GenerationPtr last;
  for (auto _ : state) {
    last = std::make_shared<const translate::Generation>(world.snapshot, nullptr);
    World::Kept kept;
    world.ask_all(*last, kept);
  }
  report(state, world, *last);
}

// Changes the first object of the kind to and fro, and has every proxy asked again.
template <typename Spec, typename Change>
void after_change(benchmark::State& state, const Change& change) {
  World world = world_of(state.range(0));
  auto generation = std::make_shared<const translate::Generation>(world.snapshot, nullptr);
  World::Kept kept;
  world.ask_all(*generation, kept);
  int round = 0;
  for (auto _ : state) {
    state.PauseTiming();
    for (auto& object : world.objects) {
      if (!std::holds_alternative<Spec>(object->spec)) continue;
      auto copy = std::make_shared<model::Object>(*object);
      change(*copy, ++round);
      object = std::move(copy);
      break;
    }
    world.build();
    state.ResumeTiming();
    generation = std::make_shared<const translate::Generation>(world.snapshot, generation);
    world.ask_all(*generation, kept);
  }
  report(state, world, *generation);
}

void after_an_endpoint(benchmark::State& state) {
  after_change<model::EndpointSlice>(state, [](model::Object& object, int round) {
    auto& slice = std::get<model::EndpointSlice>(object.spec);
    if (!slice.endpoints.empty()) slice.endpoints.front().ready = round % 2 == 0;
  });
}

void after_a_route(benchmark::State& state) {
  after_change<model::VirtualService>(state, [](model::Object& object, int round) {
    auto& service = std::get<model::VirtualService>(object.spec);
    if (!service.http.empty()) service.http.front().timeout = std::chrono::seconds(round);
  });
}

void after_a_subset(benchmark::State& state) {
  after_change<model::DestinationRule>(state, [](model::Object& object, int round) {
    auto& rule = std::get<model::DestinationRule>(object.spec);
    rule.subsets.emplace_back().name = "more-" + std::to_string(round);
    if (rule.subsets.size() > 4) rule.subsets.erase(rule.subsets.begin() + 3);
  });
}

BENCHMARK(from_nothing)->Arg(100)->Arg(700)->Arg(2000)->Unit(benchmark::kMillisecond);
BENCHMARK(after_an_endpoint)
    ->Arg(100)
    ->Arg(700)
    ->Arg(2000)
    ->Arg(10000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(after_a_route)->Arg(100)->Arg(700)->Arg(2000)->Unit(benchmark::kMillisecond);
BENCHMARK(after_a_subset)->Arg(100)->Arg(700)->Arg(2000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace graymesh
