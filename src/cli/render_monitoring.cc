// render --monitoring: what watches the mesh, as files or as objects of the prometheus-operator.
#include "cli/render_monitoring.h"

#include <fmt/core.h>

#include <chrono>
#include <filesystem>
#include <optional>

#include "base/file.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/platform.h"
#include "model/model.h"
#include "monitoring/monitoring.h"

namespace graymesh::cli {
namespace {

using monitoring::Description;
using monitoring::Slo;
using nlohmann::json;

// What an Application, as the API or a file has it, promises; none if nothing.
Result<std::optional<Slo>> slo_of(const json& application) {
  const auto documents = model::read(application.dump(), "Application");
  const auto& document = documents.at(0);
  if (!document.errors.empty())
    return Error{Code::invalid_argument, model::to_string(document.errors.front())};
  const auto& promised = document.object->as<model::Application>().slo;
  if (!promised) return std::optional<Slo>();
  Slo out{.namespace_ = document.object->meta.key.namespace_,
          .service = document.object->meta.key.name,
          .availability = promised->availability,
          .target = promised->target};
  if (promised->threshold)
    out.threshold = std::chrono::duration_cast<std::chrono::milliseconds>(*promised->threshold);
  return std::optional<Slo>(std::move(out));
}

// From files, or from graymeshd; one without a release platform has no Applications.
Result<std::vector<json>> applications(const Common& common, const MonitoringOptions& options) {
  std::vector<json> out;
  if (!options.files.empty()) {
    for (json& object : TRY(read_objects(options.files, "default"))) {
      if (text_at(object, "/kind") == "Application") out.push_back(std::move(object));
    }
    return out;
  }
  const auto found = all_items(common, "/api/v1/applications?");
  if (!found && found.error().code == Code::unimplemented) return out;
  if (!found) return found.error();
  for (const json& item : *found) out.push_back(item);
  return out;
}

Result<Description> describe(const Common& common, const MonitoringOptions& options) {
  Description out = options.description;
  out.interval =
      std::chrono::milliseconds(static_cast<std::int64_t>(options.interval_seconds * 1000));
  out.graymeshd = options.graymeshd.empty() ? common.server : options.graymeshd;
  for (const json& application : TRY(applications(common, options))) {
    if (auto slo = TRY(slo_of(application))) out.slos.push_back(*std::move(slo));
  }
  return out;
}

std::string text_of(const std::string& name, const monitoring::Json& value) {
  return name.ends_with(".json") ? value.dump(2) + "\n" : monitoring::to_yaml(value);
}

Status write_all(const std::string& folder, const monitoring::Files& files, bool tell) {
  for (const auto& [name, value] : files) {
    const std::filesystem::path file = std::filesystem::path(folder) / name;
    std::error_code fault;
    std::filesystem::create_directories(file.parent_path(), fault);
    if (fault) {
      return Error{Code::unavailable,
                   fmt::format("cannot make {}: {}", file.parent_path().string(), fault.message())};
    }
    TRY(write_file(file, text_of(name, value)));
    if (tell) fmt::print("{}\n", file.string());
  }
  return {};
}

}  // namespace

Status write_monitoring(const Common& common, const MonitoringOptions& options) {
  auto files = monitoring::plain(TRY(describe(common, options)));
  for (auto& file : monitoring::dashboards()) files.push_back(std::move(file));
  return write_all(options.out, files, false);
}

int render_monitoring(const Common& common, const MonitoringOptions& options) {
  const auto description = describe(common, options);
  if (!description) return fail(description.error());
  auto files =
      options.plain ? monitoring::plain(*description) : monitoring::operator_objects(*description);
  if (options.out.empty()) {
    if (options.plain) {
      return fail({Code::invalid_argument, "--plain writes files: name a folder with --out"});
    }
    bool first = true;
    for (const auto& [name, object] : files) {
      fmt::print("{}{}", first ? "" : "---\n", monitoring::to_yaml(object));
      first = false;
    }
    return exit_ok;
  }
  for (auto& file : monitoring::dashboards()) files.push_back(std::move(file));
  const Status written = write_all(options.out, files, true);
  return written ? exit_ok : fail(written.error());
}

void add_monitoring_options(CLI::App* command, MonitoringOptions& options) {
  Description& out = options.description;
  const char* group = "With --monitoring";
  command->add_flag("--plain", options.plain, "for Prometheus without the operator")->group(group);
  command->add_option("--out", options.out, "folder for the files; dashboards only with it")
      ->type_name("DIR")
      ->group(group);
  command->add_option("-f,--filename", options.files, "Applications of files, not of graymeshd")
      ->type_name("FILE|DIR")
      ->group(group);
  command->add_option("--interval", options.interval_seconds, "seconds between two scrapes")
      ->check(CLI::Range(0.2, 300.0))
      ->capture_default_str()
      ->group(group);
  command->add_option("--patience", out.patience, "factor on how long conditions must hold")
      ->check(CLI::Range(0.0, 10.0))
      ->capture_default_str()
      ->group(group);
  command->add_option("--pager", out.pager, "web hook of alerts that wake somebody")
      ->type_name("URL")
      ->group(group);
  command->add_option("--tickets", out.tickets, "web hook of the others")
      ->type_name("URL")
      ->group(group);
  command->add_option("--quiet-namespaces", out.quiet_namespaces, "regex: their alerts wake nobody")
      ->capture_default_str()
      ->group(group);
  command
      ->add_option("--baseline-subsets", out.baseline_subsets,
                   "regex: baselines beside `baseline`; every other subset is a canarytag")
      ->capture_default_str()
      ->group(group);
  command
      ->add_option("--runbooks", out.runbooks,
                   "URL at which people read docs/runbooks.md, for the alerts' runbook_url")
      ->capture_default_str()
      ->group(group);
  command->add_option("--remote-write", out.remote_write, "URL that gets every sample; repeatable")
      ->type_name("URL")
      ->group(group);
  command->add_option("--shards", out.shards, "of the data plane's Prometheus; for the operator")
      ->check(CLI::Range(1, 100))
      ->group(group);
  command->add_option("--monitoring-namespace", out.namespace_, "of the objects; for the operator")
      ->capture_default_str()
      ->group(group);
  command
      ->add_option("--graymeshd", options.graymeshd,
                   "where Prometheus finds it, with --plain; default: --server")
      ->type_name("HOST:PORT")
      ->group(group);
  command->add_option("--alertmanager", out.alertmanager, "with --plain")
      ->type_name("HOST:PORT")
      ->capture_default_str()
      ->group(group);
  command->add_option("--prometheus", out.prometheus, "host of the three, with --plain")
      ->capture_default_str()
      ->group(group);
  command->add_option("--first-port", out.first_port, "of the three, with --plain")
      ->capture_default_str()
      ->group(group);
  command->add_flag("--one", out.one, "one Prometheus instead of three, with --plain")
      ->group(group);
}

}  // namespace graymesh::cli
