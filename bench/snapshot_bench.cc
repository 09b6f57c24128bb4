// How long a Snapshot takes: from nothing, and upon the one before with one thing changed. And how
// long until a namespace's view of it is there.
//
// The mesh is one of N services from tools/gen_mesh.py: 11 pods to 7 services, a VirtualService and
// a DestinationRule for nine services of ten.
#include <benchmark/benchmark.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/snapshot/snapshot.h"
#include "generated_mesh.h"

namespace graymesh {
namespace {

using bench::mesh_of;
using bench::Objects;

std::shared_ptr<const model::MeshConfig> config() {
  static const auto defaults = std::make_shared<const model::MeshConfig>();
  return defaults;
}

// What replaces one object by a changed copy; nothing if there is none of its kind.
template <typename Spec, typename Change>
snapshot::Changes change_one(const Objects& objects, const Change& change) {
  for (std::size_t n = 0; n < objects.size(); ++n) {
    const auto& object = objects[(objects.size() / 4 + n) % objects.size()];
    if (!std::holds_alternative<Spec>(object->spec)) continue;
    auto copy = std::make_shared<model::Object>(*object);
    change(std::get<Spec>(copy->spec));
    return {.gone = {object}, .come = {std::move(copy)}};
  }
  return {};
}

void from_nothing(benchmark::State& state) {
  const Objects& objects = mesh_of(state.range(0));
  for (auto _ : state) {
    benchmark::DoNotOptimize(snapshot::build(objects, config(), nullptr, 1));
  }
}
BENCHMARK(from_nothing)->Arg(100)->Arg(700)->Arg(2000)->Arg(10000)->Unit(benchmark::kMillisecond);

// Builds upon the Snapshot before, again and again, one object going to and fro.
template <typename Spec, typename Change>
void with_change(benchmark::State& state, const Change& change) {
  const Objects& objects = mesh_of(state.range(0));
  auto forth = change_one<Spec>(objects, change);
  if (forth.gone.empty()) {
    state.SkipWithError("no object to change");
    return;
  }
  auto last = snapshot::build(objects, config(), nullptr, 1);
  for (auto _ : state) {
    last = snapshot::build(forth, config(), *last, last->number() + 1);
    std::swap(forth.gone, forth.come);
  }
}

void one_endpoint(benchmark::State& state) {
  with_change<model::EndpointSlice>(state, [](model::EndpointSlice& slice) {
    slice.endpoints.front().addresses = {"10.255.0.1"};
  });
}
BENCHMARK(one_endpoint)->Arg(100)->Arg(700)->Arg(2000)->Arg(10000)->Unit(benchmark::kMillisecond);

void one_route(benchmark::State& state) {
  with_change<model::VirtualService>(state, [](model::VirtualService& service) {
    service.http.front().timeout = std::chrono::seconds(77);
  });
}
BENCHMARK(one_route)->Arg(100)->Arg(700)->Arg(2000)->Arg(10000)->Unit(benchmark::kMillisecond);

void one_destination_rule(benchmark::State& state) {
  with_change<model::DestinationRule>(
      state, [](model::DestinationRule& rule) { rule.subsets.front().name = "other"; });
}
BENCHMARK(one_destination_rule)->Arg(700)->Unit(benchmark::kMillisecond);

void one_service(benchmark::State& state) {
  with_change<model::Service>(state,
                              [](model::Service& service) { service.ports.front().port = 7777; });
}
BENCHMARK(one_service)->Arg(700)->Unit(benchmark::kMillisecond);

void nothing_changed(benchmark::State& state) {
  with_change<model::Namespace>(state, [](model::Namespace&) {});
}
BENCHMARK(nothing_changed)->Arg(700)->Unit(benchmark::kMillisecond);

// The view of a namespace that has not been asked for.
void view(benchmark::State& state) {
  const auto built = snapshot::build(mesh_of(state.range(0)), config(), nullptr, 1);
  int n = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(built->view("namespace-" + std::to_string(++n), {}));
  }
}
BENCHMARK(view)->Arg(700)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace graymesh
