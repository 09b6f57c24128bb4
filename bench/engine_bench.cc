// What a decision of the release engine costs while very many applications and releases stand: the
// World is N applications, each with a gray version in a lane of its own, and somebody pauses and
// resumes one of them. Namespaces have 20 applications, the first of which is at the gateways.
// The store is SQLite in memory: the disk is not what is measured.
#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "release/engine/testing.h"
#include "release/plan/plan.h"
#include "release/store/store.h"
#include "release/workload/fake.h"

namespace graymesh::release {
namespace {

using namespace testing;

template <typename T>
T must(Result<T> result) {
  if (!result) {
    fmt::print(stderr, "{}\n", result.error().message);
    std::abort();
  }
  return *std::move(result);
}

constexpr std::int64_t namespace_size = 20;

model::ObjectPtr application_object(const Name& name, bool front) {
  const auto documents = model::read(
      fmt::format("apiVersion: graymesh.io/v1alpha1\nkind: Application\nmetadata: {{name: {0}, "
                  "namespace: {1}}}\nspec:\n  ports: [{{name: http, port: 8080}}]\n{2}  run: "
                  "{{command: [./{0}, --listen, \"$(ADDRESS):$(PORT)\"], version: v1}}\n  "
                  "replicas: 2\n",
                  name.name, name.namespace_,
                  front ? fmt::format("  hosts: [{}.shop.example]\n  gateways: [ingress/shop]\n",
                                      name.namespace_)
                        : ""),
      "bench");
  return documents.at(0).object;
}

// Each application with two instances of its baseline and a release that is gray.
World world_of(std::int64_t count) {
  World world;
  for (std::int64_t n = 0; n < count; ++n) {
    Application app;
    app.name = {fmt::format("team-{}", n / namespace_size), fmt::format("a{}", n)};
    app.object = application_object(app.name, n % namespace_size == 0);
    app.number = ++world.last_number;
    app.last_revision = 2;
    app.baseline = {.revision = 1, .replicas = 2, .run = app.spec().run};
    app.follows = run_hash(app.spec().run);
    Release release;
    release.id = ++world.last_release;
    release.name = {app.name.namespace_, fmt::format("t{}", n)};
    release.spec.tag = release.name.name;
    release.members.push_back({.application = app.name.name,
                               .gray = {.revision = 2, .replicas = 1, .run = app.baseline.run}});
    release.phase = Phase::gray;
    release.started_by = ann;
    for (const char* phase : {"subset", "routes"})
      release.receipts[phase] = {
          .what = phase, .proxies = 3000, .acked = 3000, .last = "sidecar~a"};
    world.lanes[release.name] = {.name = release.name, .created_by = ann};
    world.releases.emplace(release.id, std::move(release));
    world.applications.emplace(app.name, std::move(app));
  }
  return world;
}

struct Standing {
  FakeClock clock;
  workload::FakeRuntime runtime{clock};
  FakeMesh mesh{clock};
  FakeJudge judge;
  FakeUsage usage{clock.wall()};
  std::unique_ptr<Store> store = must(Store::open(":memory:"));
  std::unique_ptr<Engine> engine;

  explicit Standing(std::int64_t count) {
    Batch batch;
    for (auto& [key, text] : save(world_of(count))) batch.documents[key] = std::move(text);
    must<bool>(store->commit(batch) ? Result<bool>(true)
                                    : Result<bool>(Error{Code::internal, "commit"}));
    runtime.ready_at_once();
    engine = must(Engine::open({.store = *store,
                                .runtime = runtime,
                                .mesh = mesh,
                                .judge = judge,
                                .clock = clock,
                                .usage = &usage}));
    engine->step();
  }
};

Standing& standing(std::int64_t count) {
  static std::map<std::int64_t, std::unique_ptr<Standing>> all;
  auto& one = all[count];
  if (!one) one = std::make_unique<Standing>(count);
  return *one;
}

// Written down, not yet acted upon: what a person waits for.
void act(benchmark::State& state) {
  Standing& it = standing(state.range(0));
  bool paused = false;
  for (auto _ : state) {
    if (!it.engine->act(ann, 1, paused ? Verb::resume : Verb::pause))
      state.SkipWithError("refused");
    paused = !paused;
  }
  if (paused) (void)it.engine->act(ann, 1, Verb::resume);
}

// And what follows from it: look, derive, decide.
void act_and_step(benchmark::State& state) {
  Standing& it = standing(state.range(0));
  bool paused = false;
  for (auto _ : state) {
    if (!it.engine->act(ann, 1, paused ? Verb::resume : Verb::pause))
      state.SkipWithError("refused");
    it.engine->step();
    paused = !paused;
  }
  if (paused) (void)it.engine->act(ann, 1, Verb::resume);
}

// Nothing has happened: an ACK, or a second that passed.
void idle_step(benchmark::State& state) {
  Standing& it = standing(state.range(0));
  for (auto _ : state) it.engine->step();
}

BENCHMARK(act)->Arg(10)->Arg(100)->Arg(1000)->Unit(benchmark::kMillisecond);
BENCHMARK(act_and_step)->Arg(10)->Arg(100)->Arg(1000)->Unit(benchmark::kMillisecond);
BENCHMARK(idle_step)->Arg(10)->Arg(100)->Arg(1000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace graymesh::release
