// bootstrap, sidecar run: one proxy beside one instance.
#include <fmt/core.h>

#include <cstdio>
#include <map>
#include <memory>

#include "cli/cli.h"
#include "cli/command.h"
#include "sidecar/sidecar.h"

namespace graymesh::cli {
namespace {

struct Options {
  sidecar::RunOptions run;
  std::string proxy = "envoy";
  std::string type = "sidecar";
  std::vector<std::string> labels;
  bool sotw = false;
  double drain_seconds = 5;
};

Result<std::map<std::string, std::string>> parse_labels(const std::vector<std::string>& texts) {
  std::map<std::string, std::string> labels;
  for (const auto& text : texts) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Error{Code::invalid_argument, fmt::format("--label {}, must be KEY=VALUE", text)};
    }
    labels[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return labels;
}

// What the flags mean together.
Status settle(Options& options) {
  options.run.identity.type =
      options.type == "router" ? sidecar::Identity::Type::router : sidecar::Identity::Type::sidecar;
  options.run.identity.labels = TRY(parse_labels(options.labels));
  options.run.bootstrap.delta = !options.sotw;
  options.run.drain_duration =
      std::chrono::milliseconds(static_cast<std::int64_t>(options.drain_seconds * 1000));
  options.run.drain_min = std::min(options.run.drain_min, options.run.drain_duration);
  return {};
}

int print_bootstrap(Options& options) {
  if (auto settled = settle(options); !settled) return fail(settled.error());
  auto text = sidecar::bootstrap(options.run.identity, options.run.bootstrap);
  if (!text) return fail(text.error());
  fmt::print("{}\n", *text);
  return exit_ok;
}

int run_sidecar(Options& options) {
  if (auto settled = settle(options); !settled) return fail(settled.error());
  auto outcome = sidecar::run(options.run);
  if (!outcome) return fail(outcome.error());
  return static_cast<int>(*outcome);
}

void add_identity(CLI::App* command, Options& options) {
  auto& identity = options.run.identity;
  command->add_option("--type", options.type, "sidecar or router (a gateway)")
      ->check(CLI::IsMember({"sidecar", "router"}))
      ->capture_default_str();
  command->add_option("--address", identity.address, "the instance's IP")->required();
  command->add_option("--name", identity.name, "the instance (pod)")->required();
  command->add_option("-n,--namespace", identity.namespace_, "its namespace")
      ->capture_default_str();
  command->add_option("-l,--label", options.labels, "KEY=VALUE; repeatable");
  command->add_option("--workload", identity.workload,
                      "its workload; default: label app, else the name");
  command->add_option("--service-account", identity.service_account)->capture_default_str();
  command->add_option("--cluster-id", identity.cluster_id)->capture_default_str();
  command->add_option("--network", identity.network);
  command->add_option("--node-name", identity.node_name, "the machine");
  command->add_option("--locality", identity.locality, "region/zone/subzone");
  command->add_option("--interception-mode", identity.interception_mode)
      ->check(CLI::IsMember({"NONE", "REDIRECT", "TPROXY"}))
      ->capture_default_str();
  command->add_option(
      "--app-address", identity.app_address,
      "where the application listens; default: 127.65.2.3 for an instance at 127.1.2.3");
  command->add_option("--http-proxy-port", identity.http_proxy_port,
                      "of the explicit HTTP proxy; default: MeshConfig's proxyHttpPort");
  auto& bootstrap = options.run.bootstrap;
  command
      ->add_option("--control-plane", bootstrap.control_planes,
                   "graymeshd's xDS, HOST:PORT; repeatable")
      ->capture_default_str();
  command->add_flag("--sotw", options.sotw, "state-of-the-world xDS in place of delta");
  command->add_flag("--all-stats", bootstrap.all_stats, "keep all of Envoy's statistics");
  command
      ->add_option("--request-metrics", bootstrap.request_metrics,
                   "on: Envoy counts requests under Istio's names; off: it does not")
      ->envname("GRAYMESH_REQUEST_METRICS")
      ->default_str("on");
  command
      ->add_option(
          "--vhds", bootstrap.vhds,
          "on: virtual hosts come one by one, so that a changed route sends its own alone; "
          "off: with their tables; default: as the mesh has it")
      ->envname("GRAYMESH_VHDS");
  command->add_option("--admin-port", bootstrap.ports.admin)->capture_default_str();
  command->add_option("--readiness-port", bootstrap.ports.readiness)->capture_default_str();
  command->add_option("--stats-port", bootstrap.ports.stats, "0: none")->capture_default_str();
}

}  // namespace

void add_sidecar_commands(CLI::App& app, Chosen& chosen) {
  auto* bootstrap_command =
      app.add_subcommand("bootstrap", "prints the bootstrap that a sidecar's Envoy is given");
  auto bootstrap_options = std::make_shared<Options>();
  add_identity(bootstrap_command, *bootstrap_options);
  bootstrap_command->footer(
      "Example: graymesh bootstrap --address 127.1.2.3 --name web-0 -n fe-pre -l app=web > "
      "envoy.json");
  bootstrap_command->callback([&chosen, bootstrap_options] {
    chosen = [bootstrap_options] { return print_bootstrap(*bootstrap_options); };
  });

  auto* sidecar_command = app.add_subcommand("sidecar", "one proxy beside one instance");
  sidecar_command->require_subcommand(1);
  auto* run_command = sidecar_command->add_subcommand(
      "run", "runs the proxy until SIGTERM: readiness, restarts, drain");
  auto options = std::make_shared<Options>();
  add_identity(run_command, *options);
  auto& run = options->run;
  run_command->add_option("--proxy", options->proxy, "which proxy")
      ->check(CLI::IsMember({"envoy"}))
      ->capture_default_str();
  run_command->add_option("--envoy-path", run.envoy_path,
                          "default: $GRAYMESH_ENVOY, beside graymesh, or on PATH");
  run_command->add_option("--concurrency", run.concurrency, "worker threads")
      ->capture_default_str();
  run_command->add_option("--log-level", run.log_level, "Envoy's own")->capture_default_str();
  run_command
      ->add_option("--drain-seconds", options->drain_seconds, "from SIGTERM to the end at most")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  run_command->add_option("--bootstrap-file", run.bootstrap_file, "also write the bootstrap here");
  run_command->add_option("--envoy-arg", run.envoy_args,
                          "appended to Envoy's command line; repeatable");
  run_command->footer(
      "Ready at http://ADDRESS:15021/healthz/ready. Exit codes: 0 stopped, 3 Envoy would not "
      "start, 4 had to be killed.\n"
      "Example: graymesh sidecar run --address 127.1.2.3 --name web-0 -n fe-pre -l app=web -l "
      "stage=normal");
  run_command->callback(
      [&chosen, options] { chosen = [options] { return run_sidecar(*options); }; });
}

}  // namespace graymesh::cli
