// render: what the platform writes, for a mesh that somebody else runs, and what watches it.
#include <fmt/core.h>

#include <memory>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/istio.h"
#include "cli/platform.h"
#include "cli/render_monitoring.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

struct Options {
  std::string namespace_;
  bool istio = false, monitoring = false;
  Output output = Output::yaml;
  MonitoringOptions of_monitoring = {};
};

Result<json> objects_of(const Common& common, const std::string& kind) {
  const json page = TRY(get(common.server, "/api/v1/objects?kind=" + kind));
  json out = json::array();
  for (const json& item : page["items"]) {
    if (item.contains("object") && item["object"].is_object()) out.push_back(item["object"]);
  }
  return out;
}

int render(const Common& common, const Options& options) {
  if (options.monitoring) return render_monitoring(common, options.of_monitoring);
  const auto services = objects_of(common, "VirtualService");
  if (!services) return fail(services.error());
  const auto rules = objects_of(common, "DestinationRule");
  if (!rules) return fail(rules.error());
  json all = merged_for_istio(*services, *rules);
  if (!options.namespace_.empty()) {
    json kept = json::array();
    for (json& object : all) {
      if (text_at(object, "/metadata/namespace") == options.namespace_)
        kept.push_back(std::move(object));
    }
    all = std::move(kept);
  }
  if (options.output == Output::json) {
    fmt::print("{}", to_text(all, Output::json));
    return exit_ok;
  }
  bool first = true;
  for (const json& object : all) {
    fmt::print("{}{}", first ? "" : "---\n", to_text(object, Output::yaml));
    first = false;
  }
  return exit_ok;
}

}  // namespace

void add_render_command(CLI::App& app, const Common& common, Chosen& chosen) {
  auto* command = app.add_subcommand(
      "render", "prints what the platform stands for, for others to run: routes, monitoring");
  auto options = std::make_shared<Options>();
  auto* what = command->add_option_group("what");
  what->add_flag("--istio", options->istio, "the platform's routes, one object a host, for istiod");
  what->add_flag(
      "--monitoring", options->monitoring,
      "Prometheus' scrapes, rules and alerts, Alertmanager's routes, Grafana's dashboards");
  what->require_option(1);
  command->add_option("-n,--namespace", options->namespace_, "with --istio: only of this namespace")
      ->envname("GRAYMESH_NAMESPACE");
  add_output(command, options->output);
  add_monitoring_options(command, options->of_monitoring);
  command->footer(
      "Examples: graymesh render --istio -n fe-pre | kubectl apply -f -\n"
      "          graymesh render --monitoring | kubectl apply -f -\n"
      "          graymesh render --monitoring --plain --out /etc/prometheus/graymesh");
  command->callback([&common, &chosen, options] {
    chosen = [&common, options] { return render(common, *options); };
  });
}

}  // namespace graymesh::cli
