// How long a folder takes: to be read from nothing, to be searched for changes, and to take one in.
//
// The folder is a mesh of N services from tools/gen_mesh.py, some 5.6 files a service.
#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/file.h"
#include "control/snapshot/snapshot.h"
#include "control/source/source.h"

namespace graymesh {
namespace {

namespace fs = std::filesystem;

// Generated once for each size, and deleted at the end.
class Mesh {
 public:
  explicit Mesh(int services) {
    std::string name = (fs::temp_directory_path() / "graymesh-bench-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
    const std::string command = fmt::format(
        "python3 tools/gen_mesh.py --out {} --services {} --pods {} --format k8s >/dev/null",
        path_.string(), services, services * 11 / 7);
    if (std::system(command.c_str()) != 0) {
      fmt::print(stderr,
                 "run this from the root of the checkout: tools/gen_mesh.py was not found\n");
      std::exit(1);
    }
  }
  ~Mesh() { fs::remove_all(path_); }
  Mesh(const Mesh&) = delete;
  Mesh& operator=(const Mesh&) = delete;

  fs::path config() const { return path_ / "config"; }

  static const Mesh& of(int services) {
    static std::map<int, std::unique_ptr<Mesh>> meshes;
    auto& mesh = meshes[services];
    if (!mesh) mesh = std::make_unique<Mesh>(services);
    return *mesh;
  }

 private:
  fs::path path_;
};

source::FolderOptions options_of(const benchmark::State& state) {
  return {.folders = {Mesh::of(static_cast<int>(state.range(0))).config()}};
}

void BM_OpenFolder(benchmark::State& state) {
  const auto options = options_of(state);
  for (auto _ : state) {
    auto folder = source::Folder::open(options, [](const source::ObjectsPtr&) {});
    state.counters["objects"] = static_cast<double>((*folder)->objects()->entries.size());
    state.counters["files"] = static_cast<double>((*folder)->objects()->files);
    state.PauseTiming();
    folder->reset();
    state.ResumeTiming();
  }
}
BENCHMARK(BM_OpenFolder)
    ->Arg(100)
    ->Arg(700)
    ->Arg(2000)
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

// What a start costs until there is something to translate: read, checked, resolved.
void BM_OpenFolderAndBuildSnapshot(benchmark::State& state) {
  const auto options = options_of(state);
  const auto mesh = std::make_shared<const model::MeshConfig>();
  for (auto _ : state) {
    auto folder = source::Folder::open(options, [](const source::ObjectsPtr&) {});
    std::vector<model::ObjectPtr> serving;
    for (const auto& [key, entry] : (*folder)->objects()->entries) serving.push_back(entry.serving);
    auto built = snapshot::build(serving, mesh, nullptr, 1);
    benchmark::DoNotOptimize(built);
    state.PauseTiming();
    folder->reset();
    built = nullptr;
    state.ResumeTiming();
  }
}
BENCHMARK(BM_OpenFolderAndBuildSnapshot)
    ->Arg(100)
    ->Arg(700)
    ->Arg(2000)
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

// From before a file is renamed into place until its objects are in the hands of on_change.
void BM_OneFileChanges(benchmark::State& state) {
  std::mutex mutex;
  std::condition_variable changed;
  std::uint64_t newest = 0;
  auto folder = source::Folder::open(options_of(state), [&](const source::ObjectsPtr& objects) {
    std::lock_guard lock(mutex);
    newest = objects->number;
    changed.notify_all();
  });
  const fs::path file = options_of(state).folders.front() / "zz-bench.yaml";
  std::uint64_t seen = (*folder)->objects()->number;
  int turn = 0;
  for (auto _ : state) {
    const std::string text = fmt::format(
        "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: bench}}\nspec: "
        "{{address: 10.0.{}.{}}}\n",
        turn / 250 % 250, turn % 250);
    ++turn;
    if (!write_file(file, text)) state.SkipWithError("cannot write");
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return newest > seen; });
    seen = newest;
    lock.unlock();
    // A change of its own: not a part of a burst.
    state.PauseTiming();
    const auto quiet = std::chrono::steady_clock::now() + std::chrono::milliseconds(5);
    while (std::chrono::steady_clock::now() < quiet) {
    }
    state.ResumeTiming();
  }
  folder->reset();
  fs::remove(file);
}
BENCHMARK(BM_OneFileChanges)
    ->Arg(100)
    ->Arg(700)
    ->Arg(2000)
    ->Unit(benchmark::kMicrosecond)
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Iterations(200);

}  // namespace
}  // namespace graymesh
