// graymeshd: the control plane. Reads flags, builds the rooms, connects them, waits for a signal.
//
//   folder ─> source::Folder ─> push::Loop ─> xds::Server ══> proxies
//                                    └──────> api::Server ──> people
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "api/api.h"
#include "base/clock.h"
#include "base/file.h"
#include "control/push/push.h"
#include "control/source/source.h"
#include "control/xds/xds.h"
#include "metrics/metrics.h"
#include "model/model.h"

namespace graymesh {
namespace {

struct Flags {
  std::vector<std::string> folders;
  std::string mesh_config;
  std::string xds = "127.0.0.1:15010";
  std::string api = "127.0.0.1:15014";
  bool print_addresses = false;
};

int fail(const Error& error) {
  fmt::print(stderr, "graymeshd: {}\n", error.message);
  return 1;
}

// Every problem of the file goes to standard error; the first one is the error.
Result<std::shared_ptr<const model::MeshConfig>> load_mesh_config(const std::string& file) {
  if (file.empty()) return std::make_shared<const model::MeshConfig>();
  const std::string text = TRY(read_file(file));
  model::ReadMeshConfig read = model::read_mesh_config(text, file);
  for (const auto& warning : read.warnings) {
    fmt::print(stderr, "graymeshd: warning: {}\n", model::to_string(warning));
  }
  if (read.errors.empty()) return std::make_shared<const model::MeshConfig>(std::move(read.config));
  for (const auto& problem : read.errors) {
    fmt::print(stderr, "graymeshd: {}\n", model::to_string(problem));
  }
  return Error{Code::invalid_argument, fmt::format("{} is no MeshConfig that can be used", file)};
}

// Host of "host:port", for the line of addresses.
std::string with_port(const std::string& address, int port) {
  return fmt::format("{}:{}", address.substr(0, address.rfind(':')), port);
}

int serve(const Flags& flags) {
  // Blocked before any thread starts, so that every thread inherits it and sigwait below gets them.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  const SystemClock clock;
  metrics::Registry metrics;
  auto mesh = load_mesh_config(flags.mesh_config);
  if (!mesh) return fail(mesh.error());
  push::Loop loop(*mesh, metrics, clock);

  auto xds = xds::Server::start({.address = flags.xds}, loop, metrics, clock);
  if (!xds) return fail(xds.error());
  loop.on_publish([&server = **xds] { server.publish(); });

  source::FolderOptions options;
  options.folders.assign(flags.folders.begin(), flags.folders.end());
  auto folder = source::Folder::open(
      options, [&loop](source::ObjectsPtr objects) { loop.changed(std::move(objects)); });
  if (!folder) return fail(folder.error());
  loop.changed((*folder)->objects());

  auto api = api::Server::start(
      flags.api,
      {.folder = **folder, .loop = loop, .xds = **xds, .metrics = metrics, .clock = clock});
  if (!api) return fail(api.error());
  if (flags.print_addresses) {
    fmt::print("{{\"xds\":\"{}\",\"api\":\"{}\"}}\n", with_port(flags.xds, (*xds)->port()),
               with_port(flags.api, (*api)->port()));
    std::fflush(stdout);
  }
  int signal = 0;
  sigwait(&signals, &signal);
  // No more questions, no more changes, nobody to tell of them, no more streams.
  api->reset();
  folder->reset();
  loop.stop();
  xds->reset();
  return 0;
}

}  // namespace
}  // namespace graymesh

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
  app.add_flag("--print-addresses", flags.print_addresses,
               "print the chosen addresses as one JSON line");
  app.footer("Example: graymeshd --config mesh/ --mesh-config mesh-config.yaml --print-addresses");
  CLI11_PARSE(app, argc, argv);
  return graymesh::serve(flags);
}
