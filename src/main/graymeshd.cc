// graymeshd: the control plane. Reads flags, builds the rooms, connects them, waits for a signal.
//
//   folder ─> source::Folder ──┬─> Overlay ─> push::Loop ─> xds::Server ══> proxies
//                              v      ^            │             │ ACKs
//   people ─> api::Server ─> release::Engine <─────┼─────────────┘
//                              └─> workload::Runtime ─> instances
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "api/api.h"
#include "base/clock.h"
#include "base/file.h"
#include "control/push/push.h"
#include "control/record/record.h"
#include "control/source/source.h"
#include "control/traffic/traffic.h"
#include "control/xds/xds.h"
#include "main/fetch.h"
#include "main/judge.h"
#include "main/live.h"
#include "main/memory.h"
#include "main/overlay.h"
#include "main/usage.h"
#include "metrics/metrics.h"
#include "model/model.h"
#include "release/analysis/analysis.h"
#include "release/engine/engine.h"
#include "release/store/store.h"
#include "release/workload/workload.h"

namespace graymesh {
namespace {

constexpr std::uint32_t concurrency_max = 64;  // threads of one sidecar

struct Flags {
  std::vector<std::string> folders;
  std::string mesh_config;
  std::string xds = "127.0.0.1:15010";
  std::string api = "127.0.0.1:15014";
  std::string store;
  std::string instances;
  std::string tokens;
  std::string record;
  std::uint64_t record_max_mb = 1024;
  int record_days = 30;
  int block = 1;
  std::optional<int> concurrency;
  bool print_addresses = false;
  // Bounds of pushes: their reasons are with their defaults (xds.h).
  std::uint64_t push_bytes_max = xds::ServerOptions().push_bytes_max;
  std::uint64_t cold_bytes_max = xds::ServerOptions().cold_bytes_max;
  std::uint64_t streams_max = xds::ServerOptions().streams_max;
  std::uint64_t chunk_resources_max = xds::ServerOptions().chunk_resources_max;
  int chunk_hold_ms = static_cast<int>(xds::ServerOptions().chunk_hold_max.count());
};

int fail(const Error& error) {
  fmt::print(stderr, "graymeshd: {}\n", error.message);
  return 1;
}

// Every problem of the file goes to standard error; the first one is the error.
Result<model::MeshConfig> load_mesh_config(const std::string& file) {
  if (file.empty()) return model::MeshConfig();
  const std::string text = TRY(read_file(file));
  model::ReadMeshConfig read = model::read_mesh_config(text, file);
  for (const auto& warning : read.warnings) {
    fmt::print(stderr, "graymeshd: warning: {}\n", model::to_string(warning));
  }
  if (read.errors.empty()) return std::move(read.config);
  for (const auto& problem : read.errors) {
    fmt::print(stderr, "graymeshd: {}\n", model::to_string(problem));
  }
  return Error{Code::invalid_argument, fmt::format("{} is no MeshConfig that can be used", file)};
}

// None without a file: everybody may use the API.
Result<std::optional<api::Tokens>> load_tokens(const std::string& file) {
  if (file.empty()) return std::optional<api::Tokens>();
  return std::optional<api::Tokens>(TRY(api::Tokens::read(file)));
}

// Lanes belong to the release platform: without it nobody is asked to tell of them.
Result<std::shared_ptr<const model::MeshConfig>> mesh_of(const Flags& flags) {
  auto mesh = std::make_shared<model::MeshConfig>(TRY(load_mesh_config(flags.mesh_config)));
  if (flags.store.empty()) mesh->lane_log = false;
  return std::shared_ptr<const model::MeshConfig>(std::move(mesh));
}

// Of each sidecar that we start. The flag leads; then it is as Istio's agent has it, where Envoy
// takes 0 for 1, but not with a thread for each core where nothing is said: a machine has many
// instances.
int worker_threads(const Flags& flags, const model::MeshConfig& mesh) {
  if (flags.concurrency) return *flags.concurrency;
  const std::uint32_t cores = std::max(1u, std::thread::hardware_concurrency());
  const std::uint32_t wanted = mesh.concurrency.value_or(1);
  return static_cast<int>(std::min(wanted == 0 ? cores : wanted, concurrency_max));
}

// Host of "host:port", for the line of addresses.
std::string with_port(const std::string& address, int port) {
  return fmt::format("{}:{}", address.substr(0, address.rfind(':')), port);
}

std::vector<model::ObjectPtr> of_platform(const source::Objects& objects) {
  std::vector<model::ObjectPtr> found;
  for (const auto& [key, entry] : objects.entries) {
    if (entry.serving && key.kind >= model::Kind::application) found.push_back(entry.serving);
  }
  return found;
}

// Once, with how many there are: a folder may have hundreds of them, and `graymesh get` names each.
void tell_unsupported(const source::Objects& objects) {
  std::map<std::string, std::size_t> counts;
  for (const auto& [key, entry] : objects.entries) {
    if (entry.serving && key.kind == model::Kind::unsupported)
      ++counts[entry.serving->meta.api_kind];
  }
  std::string kinds;
  for (const auto& [kind, count] : counts)
    kinds += fmt::format("{}{} {}", kinds.empty() ? "" : ", ", count, kind);
  if (!kinds.empty())
    fmt::print(stderr, "graymeshd: warning: objects of kinds that are not supported yet: {}\n",
               kinds);
}

// The release platform, if there is a store: its parts know each other only from here.
struct Platform {
  // The runtime's and the judge's threads may call before the engine is there, and after.
  std::mutex mutex;
  release::Engine* poked = nullptr;
  void poke() {
    std::lock_guard lock(mutex);
    if (poked != nullptr) poked->poke();
  }
  void poke_no_more() {
    std::lock_guard lock(mutex);
    poked = nullptr;
  }
  ~Platform() { stop(); }
  // Its threads are over when it returns. Instances go on.
  void stop() {
    poke_no_more();
    if (analyst) analyst->stop();
    if (engine) engine->stop();
  }

  std::unique_ptr<release::Store> store;
  std::unique_ptr<HttpJudge> judge;
  std::unique_ptr<TrafficUsage> usage;  // null: proxies tell nothing
  std::unique_ptr<workload::Runtime> runtime;
  std::unique_ptr<release::Engine> engine;
  // What analyses look at; they read the engine's view.
  std::unique_ptr<release::MetricsQuery> proxies, prometheus;
  std::unique_ptr<release::Analyst> analyst;

  Status open(const Flags& flags, int workers, const std::string& control_plane, Overlay& overlay,
              traffic::Table* table, release::Figures& figures, const Clock& clock) {
    if (flags.store.empty()) return {};
    store = TRY(release::Store::open(flags.store));
    judge = std::make_unique<HttpJudge>([this] { poke(); });
    if (table != nullptr) usage = std::make_unique<TrafficUsage>(*table);
    workload::ProcessOptions options;
    options.folder = flags.instances.empty() ? flags.store + ".instances" : flags.instances;
    options.program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "graymesh";
    options.control_planes = {control_plane};
    options.block = flags.block;
    options.sidecar_concurrency = workers;
    runtime = TRY(workload::process_runtime(options, [this] { poke(); }));
    engine = TRY(release::Engine::open({.store = *store,
                                        .runtime = *runtime,
                                        .mesh = overlay,
                                        .judge = *judge,
                                        .clock = clock,
                                        .usage = usage.get()}));
    TRY(open_analyst(figures, clock));
    std::lock_guard lock(mutex);
    poked = engine.get();
    return {};
  }

  Status open_analyst(release::Figures& figures, const Clock& clock) {
    proxies = release::proxy_metrics(figures);
    prometheus = release::prometheus_metrics(fetch, clock);
    analyst = TRY(release::Analyst::open({.store = *store,
                                          .proxies = *proxies,
                                          .prometheus = *prometheus,
                                          .clock = clock,
                                          .view = [this] { return engine->view(); },
                                          .heard = [this] { poke(); }}));
    judge->hear(*analyst);
    return {};
  }

  // What the last graymeshd had served is served again before anything else moves.
  Status begin(Overlay& overlay) {
    if (engine) {
      engine->step();
      engine->start();
      analyst->start();
    } else {
      TRY(overlay.write({}));
    }
    return {};
  }
};

xds::ServerOptions server_options(const Flags& flags, resource::Witness* witness,
                                  traffic::Receiver& receiver) {
  xds::ServerOptions options{.address = flags.xds};
  options.chunk_resources_max = flags.chunk_resources_max;
  options.chunk_hold_max = std::chrono::milliseconds(flags.chunk_hold_ms);
  options.push_bytes_max = flags.push_bytes_max;
  options.cold_bytes_max = flags.cold_bytes_max;
  options.streams_max = flags.streams_max;
  options.on_drop = [](const xds::Dropped& dropped) {
    fmt::print(stderr, "graymeshd: ended the stream of {} ({}): {}\n",
               dropped.node_id.empty() ? "a nameless proxy" : dropped.node_id, dropped.peer,
               dropped.text);
  };
  options.witness = witness;
  options.methods[traffic::Receiver::method] = [&](const auto& call) {
    return receiver.open(call);
  };
  return options;
}

// A new Snapshot lets every stream look again.
void publish_to(xds::Server& server, push::Loop& loop) {
  loop.on_publish([&loop, &server] {
    const auto state = loop.state();
    server.publish({{.snapshot = state->snapshot->number(), .at = state->since}});
  });
}

// What ends us. Blocked before any thread starts, so that every thread inherits it and sigwait gets
// them.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

// Null without --record.
Result<std::unique_ptr<record::Record>> open_record(const Flags& flags, metrics::Registry& metrics,
                                                    const Clock& clock) {
  if (flags.record.empty()) return std::unique_ptr<record::Record>();
  record::Options options;
  options.folder = flags.record;
  options.bytes_max = flags.record_max_mb << 20;
  options.age_max = std::chrono::hours(24 * flags.record_days);
  options.complain = [](const std::string& what) {
    fmt::print(stderr, "graymeshd: the record: {}\n", what);
  };
  return record::Record::open(std::move(options), metrics, clock);
}

// While both are there, the record may ask the server what every proxy holds.
class Recaps {
 public:
  Recaps(record::Record* record, xds::Server& server) : record_(record) {
    if (record_ != nullptr) record_->start([&server] { server.recap(); });
  }
  Recaps(const Recaps&) = delete;
  Recaps& operator=(const Recaps&) = delete;
  ~Recaps() {
    if (record_ != nullptr) record_->start(nullptr);
  }

 private:
  record::Record* record_;
};

// Also where something that comes later cannot start: whose threads use what is taken down next
// end before.
class Ending {
 public:
  explicit Ending(std::function<void()> end) : end_(std::move(end)) {}
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;
  ~Ending() { end_(); }

 private:
  const std::function<void()> end_;
};

Result<std::unique_ptr<source::Folder>> open_folders(
    const Flags& flags, std::function<void(const source::ObjectsPtr&)> take) {
  return source::Folder::open({.folders = {flags.folders.begin(), flags.folders.end()}},
                              std::move(take));
}

void print_addresses(const std::string& xds, const std::string& api) {
  fmt::print("{{\"xds\":\"{}\",\"api\":\"{}\"}}\n", xds, api);
  std::fflush(stdout);
}

void wait_for(const sigset_t& signals) {
  int signal = 0;
  sigwait(&signals, &signal);
}

int serve(const Flags& flags) {
  const sigset_t signals = block_signals();
  const SystemClock clock;
  metrics::Registry metrics;
  const auto mesh = mesh_of(flags);
  if (!mesh) return fail(mesh.error());
  const auto tokens = load_tokens(flags.tokens);
  if (!tokens) return fail(tokens.error());
  traffic::Table table(clock);
  Live live(table, metrics, clock);
  traffic::Receiver receiver(table, (*mesh)->lane_header, metrics, live.listener());
  traffic::Table* const told = (*mesh)->lane_log ? &table : nullptr;
  push::Loop loop(*mesh, metrics, clock);
  Platform platform;

  const auto record = open_record(flags, metrics, clock);
  if (!record) return fail(record.error());
  const record::History history(flags.record);

  // Proxies wait until there is something to serve.
  xds::ServerOptions server = server_options(flags, record->get(), receiver);
  server.on_reach = [&] { platform.poke(); };
  auto xds = xds::Server::start(server, loop, metrics, clock);
  if (!xds) return fail(xds.error());
  const Recaps recaps(record->get(), **xds);
  publish_to(**xds, loop);
  Overlay overlay([&loop](source::ObjectsPtr objects) { loop.changed(std::move(objects)); });
  overlay.serve(xds->get());
  live.serve(xds->get());
  // No more changes, nobody to tell of them, no more streams.
  const Ending ending([&] {
    platform.stop();
    overlay.serve(nullptr);
    live.serve(nullptr);
    loop.stop();
    receiver.stop();
  });

  const std::string xds_address = with_port(flags.xds, (*xds)->port());
  const int workers = worker_threads(flags, **mesh);
  if (const Status opened = platform.open(flags, workers, xds_address, overlay, told, live, clock);
      !opened)
    return fail(opened.error());
  const auto take = [&](const source::ObjectsPtr& objects) {
    overlay.folder(objects);
    if (platform.engine) platform.engine->declare(of_platform(*objects));
  };
  auto folder = open_folders(flags, take);
  if (!folder) return fail(folder.error());
  take((*folder)->objects());
  tell_unsupported(*(*folder)->objects());
  if (const Status begun = platform.begin(overlay); !begun) return fail(begun.error());

  auto api = api::Server::start(flags.api, {.folder = **folder,
                                            .loop = loop,
                                            .xds = **xds,
                                            .metrics = metrics,
                                            .clock = clock,
                                            .engine = platform.engine.get(),
                                            .store = platform.store.get(),
                                            .traffic = told,
                                            .live = live.parts(told != nullptr),
                                            .record = record->get(),
                                            .history = *record ? &history : nullptr,
                                            .tokens = *tokens ? &**tokens : nullptr});
  if (!api) return fail(api.error());
  if (flags.print_addresses) print_addresses(xds_address, with_port(flags.api, (*api)->port()));
  wait_for(signals);
  return 0;  // everything ends in reverse: no more questions first
}

}  // namespace
}  // namespace graymesh

void add_push_flags(CLI::App& app, graymesh::Flags& flags) {
  app.add_option("--push-bytes-max", flags.push_bytes_max,
                 "bytes sent to all proxies together and not yet answered; others wait their turn")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("BYTES")
      ->default_str("64MiB");
  app.add_option("--cold-bytes-max", flags.cold_bytes_max,
                 "bytes that proxies which come with nothing are owed together; others wait in "
                 "order")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("BYTES")
      ->default_str("1GiB");
  app.add_option("--streams-max", flags.streams_max, "ADS streams; more are told to come later")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--chunk-resources-max", flags.chunk_resources_max,
                 "resources in one response; the next waits for its ACK")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--chunk-hold-ms", flags.chunk_hold_ms,
                 "how long a response may hold a proxy's main thread: slower ones get smaller ones")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

int main(int argc, char** argv) {
  CLI::App app("graymeshd: Istio's resources in from a folder, xDS v3 out to Envoy.");
  app.set_version_flag("--version", GRAYMESH_VERSION);
  graymesh::Flags flags;
  app.add_option("--config", flags.folders, "folder of YAML and JSON, watched; repeatable")
      ->required()
      ->type_name("DIR")
      ->take_all();
  app.add_option("--mesh-config", flags.mesh_config, "Istio's MeshConfig")->type_name("FILE");
  app.add_option("--xds", flags.xds, "xDS over plaintext gRPC; port 0 picks a free one")
      ->type_name("ADDR:PORT")
      ->capture_default_str();
  app.add_option("--api", flags.api, "API, metrics, debug; port 0 picks a free one")
      ->type_name("ADDR:PORT")
      ->capture_default_str();
  app.add_option("--store", flags.store,
                 "file of the release platform; made if missing. Without: no releases")
      ->type_name("FILE");
  app.add_option("--instances", flags.instances,
                 "folder of the instances it runs; default: the store's name with .instances")
      ->type_name("DIR");
  app.add_option("--tokens", flags.tokens, "who may use the API: lines of TOKEN NAME")
      ->type_name("FILE");
  app.add_option("--record", flags.record,
                 "folder of the record of what each proxy was sent, ACKed and refused; made if "
                 "missing. Without: no history of proxies")
      ->type_name("DIR");
  app.add_option("--record-max", flags.record_max_mb, "the record takes so many MB at most")
      ->check(CLI::Range(16, 1 << 20))
      ->capture_default_str();
  app.add_option("--record-days", flags.record_days, "and goes back so many days at most")
      ->check(CLI::Range(1, 3650))
      ->capture_default_str();
  app.add_option("--block", flags.block, "instances have the addresses 127.BLOCK.y.z")
      ->check(CLI::Range(1, 63))
      ->capture_default_str();
  app.add_option("--concurrency", flags.concurrency,
                 "worker threads of each instance's sidecar; default: the MeshConfig's "
                 "defaultConfig.concurrency, else 1")
      ->check(CLI::Range(1, static_cast<int>(graymesh::concurrency_max)));
  add_push_flags(app, flags);
  app.add_flag("--print-addresses", flags.print_addresses,
               "print the chosen addresses as one JSON line");
  app.footer(
      "Examples: graymeshd --config mesh/ --mesh-config mesh-config.yaml --print-addresses\n"
      "          graymeshd --config mesh/ --store graymesh.db");
  CLI11_PARSE(app, argc, argv);
  const graymesh::GiveBack give_back;
  return graymesh::serve(flags);
}
