#include "cli/up_monitoring.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <httplib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <sstream>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/lock.h"
#include "cli/client.h"
#include "cli/render_monitoring.h"
#include "cli/up_daemon.h"

namespace graymesh::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

constexpr const char* programs[] = {"prometheus", "prometheus-alertmanager"};
constexpr int prometheus_port = 9090, alertmanager_port = 9093;  // or the next free ones
constexpr auto starts = 60s, stops = 10s;

std::string path_of(const std::string& program) {
  const char* all = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  std::istringstream folders(all == nullptr ? "" : all);
  for (std::string folder; std::getline(folders, folder, ':');) {
    folder.append("/").append(program);
    if (::access(folder.c_str(), X_OK) == 0) return folder;
  }
  return {};
}

// Of HOST:PORT; 0: it has none.
std::uint16_t port_of(const std::string& address) {
  const std::string text = address.substr(address.rfind(':') + 1);
  std::uint16_t port = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), port);
  return fault == std::errc() && end == text.data() + text.size() ? port : std::uint16_t{0};
}

struct Program {
  const char* name;
  const char *lock, *log;  // in the folder
  std::vector<std::string> command = {};
  std::string address = {};
};

Program prometheus(const UpFolder& folder, const std::string& address) {
  const std::string own = folder.at("monitoring").string();
  return {.name = programs[0],
          .lock = "prometheus.lock",
          .log = "prometheus.log",
          .command = {path_of(programs[0]), "--config.file=" + own + "/prometheus.yml",
                      "--storage.tsdb.path=" + own + "/data", "--storage.tsdb.retention.time=1d",
                      "--enable-feature=exemplar-storage", "--web.listen-address=" + address,
                      "--log.level=warn"},
          .address = address};
}

Program alertmanager(const UpFolder& folder, const std::string& address) {
  const std::string own = folder.at("monitoring").string();
  return {.name = programs[1],
          .lock = "alertmanager.lock",
          .log = "alertmanager.log",
          .command = {path_of(programs[1]), "--config.file=" + own + "/alertmanager.yml",
                      "--storage.path=" + own + "/alerts", "--web.listen-address=" + address,
                      "--cluster.listen-address=", "--log.level=warn"},
          .address = address};
}

// In the child: what comes back here is a fault, which the parent finds in the log.
[[noreturn]] void become(const UpFolder& folder, const Program& program) {
  ::setsid();
  const int input = ::open("/dev/null", O_RDONLY);
  const int log = ::open(folder.at(program.log).c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  ::dup2(input, STDIN_FILENO);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  auto held = hold(folder.at(program.lock));
  if (held) {
    ::fcntl(held->get(), F_SETFD, 0);  // as long as it lives
    std::vector<const char*> words;
    for (const auto& word : program.command) words.push_back(word.c_str());
    words.push_back(nullptr);
    ::execv(words[0], const_cast<char* const*>(words.data()));
  }
  fmt::print(stderr, "graymesh up: cannot run {}: {}\n", program.command[0],
             held ? std::strerror(errno) : held.error().message);
  ::_exit(1);
}

Error fault(const UpFolder& folder, const Program& program, const char* what) {
  return {Code::unavailable,
          fmt::format("{} {}; the end of {}:\n{}", program.name, what,
                      folder.at(program.log).string(), tail_of(folder.at(program.log)))};
}

// Both listen before they can answer.
bool is_ready(const std::string& address) {
  httplib::Client client("http://" + address);
  client.set_connection_timeout(1);
  const auto answer = client.Get("/-/ready");
  return answer && answer->status == 200;
}

// Until it answers, or has ended.
Status await(const UpFolder& folder, const Program& program, pid_t pid) {
  for (const auto deadline = Steady::now() + starts; Steady::now() < deadline;) {
    if (::waitpid(pid, nullptr, WNOHANG) == pid) return fault(folder, program, "did not start");
    if (is_ready(program.address)) return {};
    std::this_thread::sleep_for(50ms);
  }
  return fault(folder, program, "does not answer");
}

// One that runs reads its configuration again.
Status run(const UpFolder& folder, const Program& program) {
  if (const pid_t pid = holder(folder.at(program.lock)); pid > 0) {
    ::kill(pid, SIGHUP);
    return {};
  }
  std::fflush(stdout);
  const pid_t pid = ::fork();
  if (pid < 0)
    return Error{Code::resource_exhausted, fmt::format("cannot fork: {}", std::strerror(errno))};
  if (pid == 0) become(folder, program);
  return await(folder, program, pid);
}

// Where they listened before, as long as one of them runs; else where nobody does.
UpMonitoring addresses_of(const UpFolder& folder) {
  const bool runs =
      holder(folder.at("prometheus.lock")) > 0 || holder(folder.at("alertmanager.lock")) > 0;
  const auto text = read_file(folder.at("monitoring") / "addresses.json");
  const auto page = runs && text ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json();
  const auto at = [&](const char* name, int port) {
    const bool known = page.is_object() && page.contains(name) && page[name].is_string();
    const std::string address = known ? page[name].get<std::string>() : "";
    return port_of(address) != 0 ? address : free_address(port);
  };
  return {at("prometheus", prometheus_port), at("alertmanager", alertmanager_port)};
}

Status render(const UpFolder& folder, const std::string& api, const UpMonitoring& at) {
  MonitoringOptions options;
  options.plain = true;
  options.out = folder.at("monitoring").string();
  options.interval_seconds = 5;
  options.description.one = true;
  options.description.alertmanager = at.alertmanager;
  options.description.first_port = port_of(at.prometheus);
  TRY(write_monitoring({.server = api}, options));
  const nlohmann::json page = {{"prometheus", at.prometheus}, {"alertmanager", at.alertmanager}};
  return write_file(folder.at("monitoring") / "addresses.json", page.dump() + "\n");
}

Status stop(const UpFolder& folder, const char* lock) {
  for (const int number : {SIGTERM, SIGKILL}) {
    for (const auto deadline = Steady::now() + stops; Steady::now() < deadline;) {
      const pid_t pid = holder(folder.at(lock));
      if (pid <= 0) return {};
      ::kill(pid, number);
      for (int i = 0; i < 20 && holder(folder.at(lock)) == pid; ++i)
        std::this_thread::sleep_for(25ms);
    }
  }
  return Error{Code::internal,
               fmt::format("the process that holds {} does not end", folder.at(lock).string())};
}

}  // namespace

Status has_monitoring_programs() {
  std::string missing;
  for (const char* program : programs) {
    if (path_of(program).empty())
      missing += (missing.empty() ? "" : " and ") + std::string(program);
  }
  if (missing.empty()) return {};
  return Error{Code::failed_precondition,
               fmt::format("--monitoring: {} not on PATH: Debian's packages of these names bring "
                           "them (apt-get install prometheus prometheus-alertmanager)",
                           missing)};
}

Result<UpMonitoring> start_monitoring(const UpFolder& folder, const std::string& api) {
  TRY(has_monitoring_programs());
  const UpMonitoring at = addresses_of(folder);
  TRY(render(folder, api, at));
  TRY(run(folder, alertmanager(folder, at.alertmanager)));
  TRY(run(folder, prometheus(folder, at.prometheus)));
  return at;
}

Status stop_monitoring(const UpFolder& folder) {
  TRY(stop(folder, "prometheus.lock"));
  return stop(folder, "alertmanager.lock");
}

}  // namespace graymesh::cli
