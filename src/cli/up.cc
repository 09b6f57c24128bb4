// Applications of files as processes with sidecars on this machine, and their end. A graymeshd of
// its own runs in the background for each state folder.
#include "cli/up.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/file.h"
#include "base/hash.h"
#include "base/lock.h"
#include "cli/cli.h"
#include "cli/durations.h"
#include "cli/files.h"
#include "cli/platform.h"
#include "cli/up_daemon.h"
#include "cli/up_folder.h"
#include "cli/up_mesh.h"
#include "cli/up_monitoring.h"
#include "cli/up_wait.h"
#include "model/model.h"
#include "release/workload/ending.h"

namespace graymesh::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int exit_killed = 4;  // something had to be killed

// There is no iptables here: applications use the proxy at $(PROXY).
constexpr const char* mesh_config_default = "proxyHttpPort: 15001\n";

struct Options {
  std::string state, namespace_, listen, mesh_config;
  std::string timeout = "2m";
  std::vector<std::string> files;
  bool keep = false, monitoring = false;
  Output output = Output::table;
};

void say(const std::string& line) { fmt::print(stderr, "{}\n", line); }

// ---- the files

std::string absolute(const std::string& name) {
  std::error_code error;
  return name == "-" ? name : fs::absolute(name, error).lexically_normal().string();
}

using Copies = std::vector<std::pair<std::string, std::string>>;  // name below files/, text

// What the files of one -f replace: all that the same -f brought before.
Status take_argument(const std::string& argument, const Options& options, UpRecord& record,
                     Copies& copies) {
  const auto inputs = TRY(read_inputs({argument}));
  const std::string whole = absolute(argument);
  std::erase_if(record.files, [&](const UpFile& file) { return file.argument == whole; });
  for (const Input& input : inputs) {
    const std::string from = absolute(input.name);
    // A file that came by its folder before, and now alone, or the other way round.
    std::erase_if(record.files, [&](const UpFile& file) { return file.from == from; });
    std::error_code error;
    const fs::path directory =
        input.name == "-" ? fs::current_path(error) : fs::path(from).parent_path();
    UpFile file{
        .argument = whole,
        .from = from,
        .copy = fmt::format("{}-{}", to_hex(hash64(from)),
                            input.name == "-" ? "stdin.yaml" : fs::path(from).filename().string()),
        .directory = directory.string(),
        .namespace_ = options.namespace_};
    copies.emplace_back(file.copy, input.text);
    record.files.push_back(std::move(file));
  }
  return {};
}

Result<std::vector<UpSource>> sources_of(const UpFolder& folder, const UpRecord& record,
                                         const Copies& copies) {
  std::vector<UpSource> out;
  for (const UpFile& file : record.files) {
    UpSource source{.from = file.from == "-" ? "<stdin>" : file.from,
                    .directory = file.directory,
                    .namespace_ = file.namespace_,
                    .text = {}};
    const auto given = std::find_if(copies.begin(), copies.end(),
                                    [&](const auto& copy) { return copy.first == file.copy; });
    if (given != copies.end()) {
      source.text = given->second;
    } else {
      source.text = TRY(read_file(folder.at("files") / file.copy));
    }
    out.push_back(std::move(source));
  }
  return out;
}

// Files, record and configuration, in this order: whatever is cut off, the next up does it again.
Status write_down(const UpFolder& folder, const UpRecord& record, const Copies& copies,
                  const UpMesh& mesh) {
  std::error_code error;
  for (const char* name : {"files", "config"}) {
    fs::create_directories(folder.at(name), error);
    if (error)
      return Error{Code::internal,
                   fmt::format("cannot make {}: {}", folder.at(name).string(), error.message())};
  }
  for (const auto& [name, text] : copies) TRY(write_file(folder.at("files") / name, text));
  TRY(folder.save(record));
  return write_file(folder.at("config") / "mesh.yaml", mesh.yaml);
}

// ---- graymeshd

// Instances of a block that another mesh has now cannot be taken over.
Status settle_block(const UpFolder& folder, UpRecord& record, Block& block) {
  const bool lives = !workload::living_instances(folder.at("instances")).empty();
  block = TRY(claim_block(record.block, lives));
  if (block.number == record.block) return {};
  if (lives)
    return Error{
        Code::failed_precondition,
        fmt::format("instances of {} run at 127.{}.0.0/16, which another mesh has claimed: "
                    "graymesh down --state {} ends them",
                    folder.path().string(), record.block, folder.path().string())};
  std::error_code error;
  fs::remove_all(folder.at("instances"), error);
  record.block = block.number;
  return {};
}

// Where our own gateway listens: where it does, for as long as it runs and nobody asks otherwise.
Status settle_listen(const UpFolder& folder, const Options& options, int block, UpRecord& record) {
  if (!options.listen.empty()) {
    if (record.listen == options.listen || record.listen == "127.0.0.1:" + options.listen)
      return {};
    record.listen = TRY(choose_listen(options.listen, block));
    return {};
  }
  const bool lives = !workload::living_instances(folder.at("instances")).empty();
  if (!record.listen.empty() && (lives || choose_listen(record.listen, block))) return {};
  record.listen = TRY(choose_listen("", block));
  return {};
}

// True if it had to be written: graymeshd reads it only at its start.
Result<bool> write_mesh_config(const UpFolder& folder, const std::string& file) {
  std::string text = mesh_config_default;
  const auto there = read_file(folder.at("mesh-config.yaml"));
  if (!file.empty()) {
    text = TRY(read_file(file));
    const auto read = model::read_mesh_config(text, file);
    if (!read.errors.empty())
      return Error{Code::invalid_argument, model::to_string(read.errors.front())};
    for (const auto& warning : read.warnings) say("warning: " + model::to_string(warning));
  } else if (there) {
    return false;
  }
  if (there && *there == text) return false;
  TRY(write_file(folder.at("mesh-config.yaml"), text));
  return true;
}

struct Started {
  Daemon daemon;
  UpMesh mesh;
  bool monitoring = false;
  UpMonitoring at = {};  // if so
};

Status refuse(const UpMesh& mesh) {
  for (std::size_t i = 1; i < mesh.errors.size(); ++i) say("graymesh: " + mesh.errors[i]);
  return Error{Code::invalid_argument, mesh.errors.front()};
}

// All that changes something, under the lock of the folder.
Result<Started> bring_up(const UpFolder& folder, const Options& options) {
  auto known = folder.record();
  if (!known && known.error().code != Code::not_found) return known.error();
  UpRecord record = known ? *std::move(known) : UpRecord{};
  if (options.files.empty() && record.files.empty())
    return Error{Code::invalid_argument,
                 fmt::format("nothing was ever up in {}: -f names a file or a folder",
                             folder.path().string())};
  record.monitoring = record.monitoring || options.monitoring;
  if (record.monitoring) TRY(has_monitoring_programs());
  Copies copies;
  for (const std::string& argument : options.files)
    TRY(take_argument(argument, options, record, copies));
  const auto sources = TRY(sources_of(folder, record, copies));
  // Before anything is written or started.
  Started out;
  out.mesh = up_mesh(sources, "127.0.0.1:8000");
  if (!out.mesh.errors.empty()) TRY(refuse(out.mesh));

  auto daemon = folder.daemon();
  const bool restarts = TRY(write_mesh_config(folder, options.mesh_config));
  if (restarts && daemon) {
    TRY(stop_daemon(folder));
    daemon.reset();
  }
  Block block{.number = record.block, .claim = Descriptor()};
  if (!daemon) {
    TRY(stop_daemon(folder));  // one that has not come so far
    TRY(settle_block(folder, record, block));
  }
  if (out.mesh.own_gateway) TRY(settle_listen(folder, options, block.number, record));
  if (out.mesh.own_gateway) out.mesh = up_mesh(sources, record.listen);
  if (!out.mesh.errors.empty()) TRY(refuse(out.mesh));
  TRY(write_down(folder, record, copies, out.mesh));
  if (!daemon) daemon = TRY(start_daemon(folder, block));
  out.daemon = *daemon;
  out.monitoring = record.monitoring;
  return out;
}

// ---- what is told

void interrupted(int /*signal*/) {
  constexpr char text[] =
      "\ninterrupted; what was started goes on: `graymesh up` waits again, `graymesh down` ends "
      "it\n";
  (void)!::write(STDERR_FILENO, text, sizeof text - 1);
  ::_exit(130);
}

bool is_default(const UpFolder& folder) { return folder.path() == UpFolder::named("").path(); }

void invite(const UpFolder& folder, const Started& started, const UpStanding& now) {
  fmt::print("{}", up_table(now));
  const std::string server =
      is_default(folder) ? "" : fmt::format(" --server {}", started.daemon.api);
  fmt::print("\nTry:\n");
  const UpApplication* shown = nullptr;
  for (const UpApplication& one : now.applications) {
    if (!one.gateway && (shown == nullptr || (shown->urls.empty() && !one.urls.empty())))
      shown = &one;
  }
  if (shown != nullptr) {
    const std::string in =
        shown->namespace_ == "default" ? "" : fmt::format(" -n {}", shown->namespace_);
    if (!shown->urls.empty()) fmt::print("  curl {}\n", shown->urls.front());
    fmt::print("  graymesh{} release start {}{} --tag my-branch --set command='...' --wait\n",
               server, shown->name, in);
    fmt::print("  graymesh{} app logs {}{} -f\n", server, shown->name, in);
  }
  if (started.monitoring) {
    fmt::print("  http://{} is Prometheus, http://{} Alertmanager\n", started.at.prometheus,
               started.at.alertmanager);
  }
  fmt::print("  graymesh down{}\n",
             is_default(folder) ? "" : fmt::format(" --state {}", folder.path().string()));
}

int tell(const UpFolder& folder, const Options& options, const Started& started,
         const UpStanding& now) {
  for (const std::string& warning : started.mesh.warnings) say("warning: " + warning);
  for (const std::string& problem : now.problems) say("warning: " + problem);
  if (options.output != Output::table) {
    json page = up_json(now);
    page["state"] = folder.path().string();
    page["api"] = started.daemon.api;
    page["xds"] = started.daemon.xds;
    page["pid"] = started.daemon.pid;
    page["log"] = folder.at("graymeshd.log").string();
    page["gateways"] = gateway_addresses(started.mesh.objects);
    if (started.monitoring)
      page["monitoring"] = {{"prometheus", started.at.prometheus},
                            {"alertmanager", started.at.alertmanager}};
    fmt::print("{}", to_text(page, options.output));
  } else if (now.up) {
    invite(folder, started, now);
  } else {
    fmt::print("{}", up_table(now));
  }
  if (now.up) return exit_ok;
  std::string why = now.hopeless;
  if (why.empty()) {
    why = "not ready within " + options.timeout;
    for (const std::string& what : now.waits_for) why += "; waits for " + what;
  }
  say(
      fmt::format("graymesh: {}\nwhat was started goes on: `graymesh app logs`, mend the file and "
                  "`graymesh up` again, or `graymesh down`",
                  why));
  return now.hopeless.empty() ? exit_waiting : exit_failed;
}

int up(const Options& options) {
  const auto timeout = seconds_of(options.timeout);
  if (!timeout) return fail(timeout.error());
  const UpFolder folder = UpFolder::named(options.state);
  Result<Started> started = Error{Code::internal, ""};
  {
    const auto lock =
        folder.lock([&] { say("another up or down is at work there: waiting for its end"); });
    if (!lock) return fail(lock.error());
    std::error_code error;
    const bool fresh = !fs::exists(folder.at("up.json"), error) &&
                       !fs::exists(folder.at("graymesh.db"), error) &&
                       !fs::exists(folder.at("instances"), error);
    started = bring_up(folder, options);
    // Nothing was there before, and nothing has been begun.
    if (!started && fresh && !fs::exists(folder.at("up.json"), error)) (void)!folder.remove();
  }
  if (!started) return fail(started.error());
  std::signal(SIGINT, interrupted);
  const auto now = wait_until_up(
      {.server = started->daemon.api, .objects = started->mesh.objects, .timeout = *timeout});
  if (!now) return fail(now.error());
  if (started->monitoring) {
    const auto lock =
        folder.lock([&] { say("another up or down is at work there: waiting for its end"); });
    if (!lock) return fail(lock.error());
    if (!folder.daemon()) return fail({Code::failed_precondition, "it was taken down meanwhile"});
    const auto at = start_monitoring(folder, started->daemon.api);
    if (!at) return fail(at.error());
    started->at = *at;
  }
  return tell(folder, options, *started, *now);
}

int down(const Options& options) {
  const UpFolder folder = UpFolder::named(options.state);
  const auto begun = std::chrono::steady_clock::now();
  std::error_code error;
  const bool ours = fs::exists(folder.at("up.lock"), error);
  const auto nothing = [&] {
    if (options.output == Output::table) {
      fmt::print("nothing is up in {}\n", folder.path().string());
    } else {
      fmt::print("{}", to_text({{"state", folder.path().string()}, {"ended", 0}, {"killed", 0}},
                               options.output));
    }
    return exit_ok;
  };
  if (!ours) {
    // An up that was killed before it took the lock may have made the folder, and nothing in it.
    if (!options.keep) ::rmdir(folder.path().c_str());
    return nothing();
  }
  const auto lock =
      folder.lock([&] { say("another up or down is at work there: waiting for its end"); });
  if (!lock) return fail(lock.error());
  const bool was_up = folder.record().has_value() || holder(folder.at("graymeshd.lock")) > 0;
  // First, or it would start again what ends. Routes stay as they are: nobody comes in any more.
  if (const auto stopped = stop_daemon(folder); !stopped) return fail(stopped.error());
  if (const auto stopped = stop_monitoring(folder); !stopped) return fail(stopped.error());
  const auto ended = workload::end_instances(
      folder.at("instances"), [&](const std::string& name, std::size_t left) {
        if (options.output == Output::table) say(fmt::format("{} has ended, {} left", name, left));
      });
  if (!ended) return fail(ended.error());
  if (!options.keep) {
    if (const auto removed = folder.remove(); !removed) return fail(removed.error());
  }
  if (!was_up && ended->ended == 0) return nothing();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  if (options.output == Output::table) {
    fmt::print("down after {:.1f} s: {} instances have ended{}; {} is {}\n", seconds, ended->ended,
               ended->killed == 0 ? "" : fmt::format(", {} of them killed", ended->killed),
               folder.path().string(), options.keep ? "kept" : "gone");
  } else {
    fmt::print("{}", to_text({{"state", folder.path().string()},
                              {"ended", ended->ended},
                              {"killed", ended->killed},
                              {"kept", options.keep}},
                             options.output));
  }
  return ended->killed == 0 ? exit_ok : exit_killed;
}

void add_state(CLI::App* command, Options& options) {
  command
      ->add_option("--state", options.state,
                   "folder of all that runs; default $XDG_STATE_HOME/graymesh, else "
                   "~/.local/state/graymesh")
      ->type_name("DIR");
  add_output(command, options.output);
}

}  // namespace

void add_up_commands(CLI::App& app, Chosen& chosen) {
  auto* up_command = app.add_subcommand(
      "up", "runs the applications of files on this machine, each instance with a sidecar");
  auto options = std::make_shared<Options>();
  up_command
      ->add_option("-f,--filename", options->files,
                   "file, folder, or - for standard input; repeatable. What it brought before and "
                   "has no more is taken back. Default: what was up before")
      ->type_name("FILE");
  add_namespace(up_command, options->namespace_);
  up_command
      ->add_option("--listen", options->listen,
                   "where hosts are served if no file declares a Gateway; default 127.0.0.1:8000, "
                   "or the next free port")
      ->type_name("[IP:]PORT");
  up_command->add_option("--mesh-config", options->mesh_config, "Istio's MeshConfig")
      ->type_name("FILE");
  up_command->add_flag("--monitoring", options->monitoring,
                       "with Debian's Prometheus and Alertmanager, our rules and alerts, until "
                       "`down`");
  up_command->add_option("--timeout", options->timeout, "for all to be ready")
      ->capture_default_str();
  add_state(up_command, *options);
  up_command->footer(
      "Starts a graymeshd in the background, or uses the one that it started before; waits until "
      "all "
      "answer.\n"
      "Exit codes: 0 all are ready, 1 a file is refused or something cannot start, 5 graymeshd "
      "does "
      "not start,\n6 --timeout is over.\n"
      "Examples: graymesh up -f app.yaml\n"
      "          graymesh up -f mesh/ -f team/web.yaml --listen 8080\n"
      "          graymesh up             # again, after a crash or a reboot");
  up_command->callback([&chosen, options] { chosen = [options] { return up(*options); }; });

  auto* down_command =
      app.add_subcommand("down", "ends what `up` started, in order, and leaves nothing behind");
  auto ending = std::make_shared<Options>();
  down_command->add_flag("--keep", ending->keep, "keeps the state folder: `up` goes on from there");
  add_state(down_command, *ending);
  down_command->footer(
      "Gateways drain first, then the others; also when graymeshd has died. With nothing up it "
      "says "
      "so.\n"
      "Exit codes: 0 all ended in order or nothing was up, 4 something had to be killed.\n"
      "Examples: graymesh down\n"
      "          graymesh down --keep && graymesh up");
  down_command->callback([&chosen, ending] { chosen = [ending] { return down(*ending); }; });
}

std::string server_of_up() {
  const auto daemon = UpFolder::named("").daemon();
  return daemon ? daemon->api : "";
}

}  // namespace graymesh::cli
