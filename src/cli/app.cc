// app: applications, their instances and what they log.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <thread>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/none.h"
#include "cli/platform.h"
#include "cli/removal.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

struct Options {
  std::string name, namespace_, reason;
  std::vector<std::string> files;
  std::size_t lines = 100;
  Removal removal;
  bool all_namespaces = false, follow = false, sidecar = false;
  Output output = Output::table;
};

std::string in_namespace(const Options& options) {
  return options.all_namespaces ? "" : percent_encoded(options.namespace_);
}

int list(const Common& common, const Options& options) {
  const auto items = all_items(common, "/api/v1/applications?namespace=" + in_namespace(options));
  if (!items) return fail(items.error());
  if (options.output != Output::table) {
    fmt::print("{}", to_text(*items, options.output));
    return exit_ok;
  }
  std::vector<Row> rows;
  for (const json& app : *items) {
    rows.push_back({text_at(app, "/metadata/namespace"), text_at(app, "/metadata/name"),
                    text_at(app, "/spec/team"), text_at(app, "/status/baseline/version"),
                    fmt::format("{}/{}", text_at(app, "/status/baseline/ready"),
                                text_at(app, "/status/baseline/replicas")),
                    std::to_string(app["status"].value("releases", json::array()).size())});
  }
  fmt::print("{}",
             table({"NAMESPACE", "APPLICATION", "TEAM", "BASELINE", "READY", "RELEASES"}, rows));
  if (rows.empty()) tell_none("applications", options.namespace_, options.all_namespaces);
  return exit_ok;
}

std::string words_of(const json& list, const char* between) {
  std::string out;
  for (const json& word : list) out += (out.empty() ? "" : between) + word.get<std::string>();
  return out;
}

// Its baseline and its gray versions, one a line.
Result<std::string> versions_of(const Common& common, const json& app) {
  const json none = json::object();
  const auto releases =
      TRY(all_items(common, fmt::format("/api/v1/releases?active=true&namespace={}&application={}",
                                        percent_encoded(text_at(app, "/metadata/namespace")),
                                        percent_encoded(text_at(app, "/metadata/name")))));
  std::vector<Row> rows;
  const auto version = [&](const char* what, const json& one) {
    rows.push_back({what, text_at(one, "/version"), text_at(one, "/revision"),
                    fmt::format("{}/{}", text_at(one, "/ready"), text_at(one, "/replicas")), ""});
  };
  version("baseline", app.value(json::json_pointer("/status/baseline"), none));
  if (const json next = app.value(json::json_pointer("/status/next"), none);
      !next.empty() && next.is_object())
    version("next baseline", next);
  for (const json& release : releases) {
    for (const json& member : release["applications"]) {
      if (member["name"] != app["metadata"]["name"]) continue;
      const json instances = member.value("instances", json::array());
      const auto ready = std::count_if(instances.begin(), instances.end(),
                                       [](const json& one) { return one.value("ready", false); });
      rows.push_back({text_at(release, "/tag"), text_at(member, "/version"),
                      text_at(member, "/revision"),
                      fmt::format("{}/{}", ready, text_at(member, "/replicas")),
                      fmt::format("release {}: {}, weight {}%", text_at(release, "/id"),
                                  text_at(release, "/phase"), text_at(release, "/weight"))});
    }
  }
  return table({"TAG", "VERSION", "REVISION", "READY", "RELEASE"}, rows);
}

int show(const Common& common, const Options& options) {
  const auto app = get(
      common.server, fmt::format("/api/v1/applications/{}/{}", percent_encoded(options.namespace_),
                                 percent_encoded(options.name)));
  if (!app) return fail(app.error());
  if (options.output != Output::table) {
    fmt::print("{}", to_text(*app, options.output));
    return exit_ok;
  }
  const auto versions = versions_of(common, *app);
  if (!versions) return fail(versions.error());
  const json spec = app->value("spec", json::object());
  const auto line = [](const char* name, const std::string& value) {
    if (!value.empty()) fmt::print("{:<12}{}\n", name, value);
  };
  line("Application", fmt::format("{} in {}", text_at(*app, "/metadata/name"),
                                  text_at(*app, "/metadata/namespace")));
  line("Team", text_at(*app, "/spec/team"));
  std::string ports;
  for (const json& port : spec.value("ports", json::array()))
    ports += fmt::format("{}{} {}", ports.empty() ? "" : ", ", text_at(port, "/name"),
                         text_at(port, "/port"));
  line("Ports", ports);
  line("Hosts", words_of(spec.value("hosts", json::array()), ", "));
  line("Gateways", words_of(spec.value("gateways", json::array()), ", "));
  line("Command",
       words_of(app->value(json::json_pointer("/status/baseline/command"), json::array()), " "));
  fmt::print("\n{}", *versions);
  return exit_ok;
}

// "web" is its baseline in logs, all of it in lists; "web/feature-a" that version.
Result<json> instances_of(const Common& common, const Options& options, bool baseline_alone) {
  const auto slash = options.name.find('/');
  std::string path =
      fmt::format("/api/v1/instances?namespace={}&application={}", in_namespace(options),
                  percent_encoded(options.name.substr(0, slash)));
  if (slash != std::string::npos) {
    path += "&tag=" + percent_encoded(options.name.substr(slash + 1));
  } else if (baseline_alone) {
    path += "&tag=none";
  }
  json page = TRY(get(common.server, path));
  return page["items"];
}

int instances(const Common& common, const Options& options) {
  const auto items = instances_of(common, options, false);
  if (!items) return fail(items.error());
  // One that is misspelt has none, too.
  if (items->empty() && !options.name.empty() && !options.all_namespaces) {
    const auto app =
        get(common.server,
            fmt::format("/api/v1/applications/{}/{}", percent_encoded(options.namespace_),
                        percent_encoded(options.name.substr(0, options.name.find('/')))));
    if (!app) return fail(app.error());
  }
  if (options.output != Output::table) {
    fmt::print("{}", to_text(*items, options.output));
    return exit_ok;
  }
  std::vector<Row> rows;
  for (const json& one : *items) {
    const std::string tag = text_at(one, "/tag");
    rows.push_back({text_at(one, "/namespace"), text_at(one, "/name"),
                    tag.empty() ? "baseline" : tag, text_at(one, "/version"),
                    text_at(one, "/address"), text_at(one, "/phase"), text_at(one, "/restarts"),
                    text_at(one, "/message")});
  }
  fmt::print("{}", table({"NAMESPACE", "INSTANCE", "TAG", "VERSION", "ADDRESS", "PHASE", "RESTARTS",
                          "MESSAGE"},
                         rows));
  if (rows.empty()) {
    tell_none(options.name.empty() ? "instances" : "instances of " + options.name,
              options.namespace_, options.all_namespaces);
  }
  return exit_ok;
}

// One file that grows; a shorter one than last time is a new one.
class Log {
 public:
  explicit Log(std::filesystem::path file, std::string lead)
      : file_(std::move(file)), lead_(std::move(lead)) {}

  bool tail(std::size_t lines) {
    std::ifstream in(file_);
    if (!in) return false;
    std::deque<std::string> last;
    for (std::string line; std::getline(in, line);) {
      last.push_back(std::move(line));
      if (last.size() > lines) last.pop_front();
    }
    for (const auto& line : last) fmt::print("{}{}\n", lead_, line);
    std::error_code error;
    at_ = std::filesystem::file_size(file_, error);
    return true;
  }

  void more() {
    std::error_code error;
    const auto size = std::filesystem::file_size(file_, error);
    if (error || size == at_) return;
    if (size < at_) at_ = 0;
    std::ifstream in(file_);
    in.seekg(static_cast<std::streamoff>(at_));
    for (std::string line; std::getline(in, line);) {
      if (in.eof()) break;  // half a line: the rest comes
      fmt::print("{}{}\n", lead_, line);
      at_ += line.size() + 1;
    }
  }

 private:
  std::filesystem::path file_;
  std::string lead_;
  std::uintmax_t at_ = 0;
};

int logs(const Common& common, const Options& options) {
  std::map<std::string, Log> open;
  bool first = true;
  for (;;) {
    const auto items = instances_of(common, options, true);
    if (!items && first) return fail(items.error());
    for (const json& one : items ? *items : json::array()) {
      const std::string name = text_at(one, "/name");
      std::string file = text_at(one, "/log");
      if (options.sidecar && !file.empty())
        file = (std::filesystem::path(file).parent_path() / "sidecar.log").string();
      if (file.empty() || open.contains(file)) continue;
      Log log(file, items->size() > 1 ? "[" + name + "] " : "");
      if (!log.tail(options.lines)) {
        fmt::print(stderr, "graymesh: cannot read {} of {}: logs are read where graymeshd runs\n",
                   file, name);
      }
      open.emplace(file, std::move(log));
    }
    if (first && open.empty()) {
      return fail({Code::not_found, fmt::format("{} has no instances with logs in namespace {}",
                                                options.name, options.namespace_)});
    }
    if (!options.follow) return exit_ok;
    first = false;
    // New instances are looked for every two seconds, new lines ten times as often.
    for (int i = 0; i < 10; ++i) {
      for (auto& [file, log] : open) log.more();
      std::fflush(stdout);
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
  }
}

}  // namespace

void add_app_commands(CLI::App& app, const Common& common, Chosen& chosen) {
  auto* top = app.add_subcommand("app", "applications: what teams release");
  top->require_subcommand(1);
  const auto add = [&](const char* name, const char* about, const char* footer, auto run) {
    auto* command = top->add_subcommand(name, about);
    auto options = std::make_shared<Options>();
    add_namespace(command, options->namespace_);
    command->footer(footer);
    command->callback([&common, &chosen, options, run] {
      chosen = [&common, options, run] { return run(common, *options); };
    });
    return std::pair(command, options);
  };
  auto [apply, apply_options] =
      add("apply", "declares Applications, Lanes and Environments of a file",
          "Example: graymesh app apply -f web.yaml -n fe-pre",
          [](const Common& at, const Options& options) {
            return apply_objects(at, options.files, options.namespace_, options.reason);
          });
  apply->add_option("-f,--filename", apply_options->files, "file, folder, or - for standard input")
      ->required();
  apply->add_option("--reason", apply_options->reason, "for the history");

  auto [list_command, list_options] =
      add("list", "applications with their baselines", "Example: graymesh app list -A", list);
  list_command->add_flag("-A,--all-namespaces", list_options->all_namespaces, "of all namespaces");
  add_output(list_command, list_options->output);

  auto [show_command, show_options] = add(
      "show", "one application with its versions; -o yaml: as it was written, and how it stands",
      "Examples: graymesh app show web -n fe-pre\n"
      "          graymesh app show web -n fe-pre -o yaml",
      show);
  show_command->add_option("name", show_options->name, "the application")->required();
  add_output(show_command, show_options->output);

  auto [remove_command, remove_options] = add(
      "delete", "takes an application away, with all of its instances",
      "Example: graymesh app delete web -n fe-pre --wait",
      [](const Common& at, const Options& options) {
        return remove_named(at, "applications", options.namespace_, options.name, options.removal);
      });
  remove_command->add_option("name", remove_options->name, "the application")->required();
  add_removal(remove_command, remove_options->removal);

  auto [instances_command, instances_options] =
      add("instances", "its instances, or those of one version",
          "Examples: graymesh app instances web\n"
          "          graymesh app instances web/feature-a",
          instances);
  instances_command->add_option("name", instances_options->name, "APPLICATION or APPLICATION/TAG");
  instances_command->add_flag("-A,--all-namespaces", instances_options->all_namespaces,
                              "of all namespaces");
  add_output(instances_command, instances_options->output);

  auto [logs_command, logs_options] =
      add("logs", "what the instances of a version log; without a tag, of the baseline",
          "Example: graymesh app logs web/feature-a -f --tail 20", logs);
  logs_command->add_option("name", logs_options->name, "APPLICATION or APPLICATION/TAG")
      ->required();
  logs_command->add_option("--tail", logs_options->lines, "so many last lines of each")
      ->capture_default_str();
  logs_command->add_flag("--sidecar", logs_options->sidecar, "of their proxies instead");
  logs_command->add_flag("-f,--follow", logs_options->follow, "and then what comes");
}

}  // namespace graymesh::cli
