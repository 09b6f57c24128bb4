// How long the routes of one scope take: from nothing, with nothing changed, and with one
// VirtualService changed. And how long until ten namespaces have theirs.
//
// N services in ten namespaces, all on port 8080; each has a VirtualService that picks one of two
// gray versions by header, and a DestinationRule.
#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include <memory>
#include <string>
#include <vector>

#include "control/translate/parts.h"

namespace graymesh {
namespace {

using translate::Memo;
using translate::OutboundScope;
using Objects = std::vector<model::ObjectPtr>;

std::string service(int i) {
  return fmt::format(R"(---
apiVersion: v1
kind: Service
metadata: {{namespace: ns-{0}, name: app-{1}}}
spec:
  clusterIP: 10.{2}.{3}.1
  ports: [{{name: http, port: 8080}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{namespace: ns-{0}, name: app-{1}}}
spec:
  host: app-{1}
  subsets:
  - {{name: normal, labels: {{stage: normal}}}}
  - {{name: feature-a, labels: {{canarytag: feature-a}}}}
  - {{name: feature-b, labels: {{canarytag: feature-b}}}}
)",
                     i % 10, i, i / 250, i % 250);
}

std::string rule(int i, std::string_view lane) {
  return fmt::format(R"(---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{namespace: ns-{0}, name: app-{1}}}
spec:
  hosts: [app-{1}]
  http:
  - match: [{{headers: {{canarytag: {{exact: {2}}}}}}}]
    route: [{{destination: {{host: app-{1}, subset: feature-a}}}}]
  - match: [{{headers: {{canarytag: {{exact: feature-b}}}}}}]
    route: [{{destination: {{host: app-{1}, subset: feature-b}}}}]
  - route: [{{destination: {{host: app-{1}, subset: normal}}}}]
)",
                     i % 10, i, lane);
}

struct Mesh {
  snapshot::SnapshotPtr before;
  snapshot::SnapshotPtr after;  // with one VirtualService changed
};

Mesh make(int services) {
  const auto config = std::make_shared<const model::MeshConfig>();
  Objects objects;
  for (int i = 0; i < services; ++i) {
    for (auto& document : model::read(service(i) + rule(i, "feature-a"), "bench.yaml"))
      objects.push_back(document.object);
  }
  Mesh mesh;
  mesh.before = snapshot::build(objects, config, nullptr, 1);
  objects.back() = model::read(rule(services - 1, "changed"), "bench.yaml").front().object;
  mesh.after = snapshot::build(objects, config, mesh.before.get(), 2);
  return mesh;
}

OutboundScope scope(const snapshot::SnapshotPtr& snapshot, int namespace_ = 0) {
  OutboundScope out;
  out.snapshot = snapshot;
  out.view = snapshot->view(fmt::format("ns-{}", namespace_), {});
  return out;
}

void from_nothing(benchmark::State& state) {
  const Mesh mesh = make(static_cast<int>(state.range(0)));
  const OutboundScope one = scope(mesh.before);
  std::size_t bytes = 0;
  for (auto _ : state) {
    Memo memo;
    const auto routes = outbound_routes(one, memo);
    bytes = routes.front()->body().size();
  }
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(from_nothing)->Arg(100)->Arg(700)->Arg(2000)->Arg(10000)->Unit(benchmark::kMillisecond);

void ten_namespaces(benchmark::State& state) {
  const Mesh mesh = make(static_cast<int>(state.range(0)));
  std::vector<OutboundScope> all;
  for (int i = 0; i < 10; ++i) all.push_back(scope(mesh.before, i));
  for (auto _ : state) {
    Memo memo;
    for (const auto& one : all) benchmark::DoNotOptimize(outbound_routes(one, memo));
  }
}
BENCHMARK(ten_namespaces)->Arg(700)->Unit(benchmark::kMillisecond);

void one_changed(benchmark::State& state) {
  const Mesh mesh = make(static_cast<int>(state.range(0)));
  const OutboundScope before = scope(mesh.before);
  const OutboundScope after = scope(mesh.after);
  for (auto _ : state) {
    state.PauseTiming();
    Memo first;
    benchmark::DoNotOptimize(outbound_routes(before, first));
    state.ResumeTiming();
    Memo second(&first);
    benchmark::DoNotOptimize(outbound_routes(after, second));
  }
}
BENCHMARK(one_changed)->Arg(100)->Arg(700)->Arg(2000)->Arg(10000)->Unit(benchmark::kMillisecond);

void none_changed(benchmark::State& state) {
  const Mesh mesh = make(static_cast<int>(state.range(0)));
  const OutboundScope one = scope(mesh.before);
  Memo first;
  benchmark::DoNotOptimize(outbound_routes(one, first));
  for (auto _ : state) {
    Memo second(&first);
    benchmark::DoNotOptimize(outbound_routes(one, second));
  }
}
BENCHMARK(none_changed)->Arg(700)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace graymesh
