// What the record costs: 1,100 sidecars of 3,360 clusters each that start, then one endpoint after
// the other that changes everywhere, then one route table of 700 virtual hosts.
//
// `bytes` is what one change takes on disk, all streams' rows with it.
#include <benchmark/benchmark.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/hash.h"
#include "control/record/record.h"

namespace graymesh::record {
namespace {

using resource::ResourcePtr;
using resource::Type;

constexpr std::uint64_t streams = 1'100;
constexpr int clusters = 3'360;
constexpr std::size_t chunk = 200;

// Some 600 bytes that differ as those of clusters do.
ResourcePtr cluster(int number, int version) {
  std::string body = fmt::format("outbound|8080|v{}|app-{}.ns-{}.svc.cluster.local", number % 5,
                                 number / 5, number % 20);
  while (body.size() < 600) body += fmt::format("\n\x12max_requests {} {}", number * 7919, version);
  return std::make_shared<const resource::Resource>(Type::cluster, body.substr(0, 50), body);
}

ResourcePtr table(int version) {
  std::string body;
  for (int host = 0; host < 700; ++host) {
    for (int route = 0; route < 5; ++route)
      body += fmt::format(
          "\n\x12"
          "app-{}.ns-{} header canarytag exact v{} cluster outbound|8080|v{}|app-{}",
          host, host % 20, route, host == 350 ? version : route, host);
  }
  return std::make_shared<const resource::Resource>(Type::route, "8080", body);
}

class Mesh {
 public:
  Mesh() {
    std::string pattern = std::filesystem::temp_directory_path() / "graymesh-bench-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    record_ = *Record::open({.folder = folder_}, metrics_, clock_);
    for (int i = 0; i < clusters; ++i) held_.push_back(cluster(i, 0));
    table_ = table(0);
  }
  ~Mesh() {
    record_.reset();
    std::filesystem::remove_all(folder_);
  }
  void start() {
    for (std::uint64_t stream = 1; stream <= streams; ++stream) {
      resource::Node node;
      node.id = fmt::format("sidecar~10.0.{}.{}~app-{}.ns~ns.svc.cluster.local", stream / 256,
                            stream % 256, stream);
      record_->opened(stream, node, "ipv4:10.0.0.1:4711", true);
    }
    for (std::size_t from = 0; from < held_.size(); from += chunk) {
      std::vector<resource::Delivery::Change> changes;
      for (std::size_t i = from; i < std::min(held_.size(), from + chunk); ++i)
        changes.push_back({hash64(held_[i]->name()), nullptr, &held_[i]});
      tell({Type::cluster, changes, 120'000});
    }
    const resource::Delivery::Change route{hash64("8080"), nullptr, &table_};
    tell({Type::route, {&route, 1}, table_->body().size()});
    record_->flush();
  }
  void change_one(int number, int version) {
    auto next = cluster(number, version);
    const resource::Delivery::Change change{hash64(next->name()),
                                            &held_[static_cast<std::size_t>(number)], &next};
    tell({Type::cluster, {&change, 1}, 700});
    held_[static_cast<std::size_t>(number)] = next;
    record_->flush();
  }
  void change_table(int version) {
    auto next = table(version);
    const resource::Delivery::Change change{hash64("8080"), &table_, &next};
    tell({Type::route, {&change, 1}, next->body().size()});
    table_ = next;
    record_->flush();
  }
  double bytes() {
    return static_cast<double>(metrics_.counter("graymesh_record_written_bytes_total", "").value());
  }
  double lost() {
    return static_cast<double>(
        metrics_.counter("graymesh_record_events_dropped_total", "").value());
  }

 private:
  void tell(const resource::Delivery& delivery) {
    for (std::uint64_t stream = 1; stream <= streams; ++stream) record_->sent(stream, delivery);
    for (std::uint64_t stream = 1; stream <= streams; ++stream)
      record_->acked(stream, delivery.type);
  }
  std::filesystem::path folder_;
  SystemClock clock_;
  metrics::Registry metrics_;
  std::unique_ptr<Record> record_;
  std::vector<ResourcePtr> held_;
  ResourcePtr table_;
};

void all_start(benchmark::State& state) {
  double bytes = 0, lost = 0;
  for (auto _ : state) {
    Mesh mesh;
    mesh.start();
    bytes = mesh.bytes();
    lost = mesh.lost();
  }
  state.counters["bytes"] = bytes;
  state.counters["lost"] = lost;
}
BENCHMARK(all_start)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();

void one_cluster_everywhere(benchmark::State& state) {
  Mesh mesh;
  mesh.start();
  const double before = mesh.bytes();
  int version = 0;
  for (auto _ : state) {
    ++version;
    mesh.change_one(version * 13 % clusters, version);
  }
  state.counters["bytes"] =
      benchmark::Counter((mesh.bytes() - before) / static_cast<double>(state.iterations()));
  state.counters["lost"] = mesh.lost();
}
BENCHMARK(one_cluster_everywhere)->Unit(benchmark::kMicrosecond)->MeasureProcessCPUTime();

void one_route_everywhere(benchmark::State& state) {
  Mesh mesh;
  mesh.start();
  const double before = mesh.bytes();
  int version = 0;
  for (auto _ : state) mesh.change_table(++version);
  state.counters["bytes"] =
      benchmark::Counter((mesh.bytes() - before) / static_cast<double>(state.iterations()));
  state.counters["lost"] = mesh.lost();
}
BENCHMARK(one_route_everywhere)->Unit(benchmark::kMicrosecond)->MeasureProcessCPUTime();

}  // namespace
}  // namespace graymesh::record
