#include "release/workload/kept.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {  // which glibc 2.36 has forgotten
#include <sys/pidfd.h>
}

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <utility>

#include "base/file.h"
#include "release/workload/folder.h"

namespace graymesh::workload {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Phase = Instance::Phase;

std::string last_line(const std::string& text) {
  const auto end = text.find_last_not_of('\n');
  if (end == std::string::npos) return {};
  const auto before = text.find_last_of('\n', end);
  return text.substr(before + 1, end - before);
}

// "exited with code 1"; "ended" of what is not our child.
std::string how_ended(const Descriptor& process) {
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(process.get()), &info, WEXITED | WNOHANG) != 0)
    return "ended";
  if (info.si_code == CLD_EXITED) return fmt::format("exited with code {}", info.si_status);
  return fmt::format("was killed by signal {} ({})", info.si_status, ::strsignal(info.si_status));
}

}  // namespace

std::string key_of(const std::string& namespace_, const std::string& name) {
  return fmt::format("{}.{}", namespace_, name);
}

Result<Kept> Kept::make(const fs::path& folder, const Spec& spec) {
  const std::string key = key_of(spec.namespace_, spec.name);
  const auto temporary = folder / fmt::format("{}{}", making, key);
  std::error_code error;
  fs::remove_all(temporary, error);
  fs::create_directory(temporary, error);
  if (!error) {
    TRY(write_file(temporary / "spec.json", write_spec(spec)));
    fs::rename(temporary, folder / key, error);
  }
  if (error)
    return Error{Code::internal, fmt::format("{}: {}", temporary.string(), error.message())};
  Kept kept;
  kept.folder = folder / key;
  kept.spec = spec;
  return kept;
}

Kept Kept::found(const fs::path& folder, Clock::Steady now) {
  const std::string key = folder.filename().string();
  Kept kept;
  kept.folder = folder;
  const auto file = folder / "spec.json";
  const auto text = read_file(file);
  const auto spec = text ? read_spec(*text, file.string()) : Result<Spec>(text.error());
  if (!spec) {
    kept.fault = spec.error().message;
  } else if (key_of(spec->namespace_, spec->name) != key) {
    kept.fault = fmt::format("{}: is of {}/{}", file.string(), spec->namespace_, spec->name);
  } else {
    kept.spec = *spec;
  }
  kept.attach(now);
  if (!kept.fault.empty()) {
    const auto dot = key.find('.');
    kept.spec = {.namespace_ = key.substr(0, dot),
                 .name = key.substr(dot == std::string::npos ? 0 : dot + 1)};
  }
  return kept;
}

void Kept::refresh() {
  const auto file = folder / "status.json";
  const auto text = read_file(file);
  if (!text) return;  // the keeper has not come so far
  auto state = read_state(*text, file.string());
  fault = state ? "" : state.error().message;
  if (!state) return;
  told = *std::move(state);
  ever_ready |= told.phase == Phase::ready || told.phase == Phase::unready;
}

bool Kept::attach(Clock::Steady now) {
  const auto lock = folder / "lock";
  const pid_t found = holder(lock);
  if (found == 0) return false;
  keeper.reset(::pidfd_open(found, 0));
  if (!keeper || holder(lock) != found) {  // ended meanwhile: the number may be another's
    keeper.reset();
    return false;
  }
  pid = found;
  started = now;
  return true;
}

void Kept::start_keeper(const std::string& program, Clock::Steady now) {
  const std::string where = folder.string();
  const std::string log = (folder / "keeper.log").string();
  const std::array<const char*, 6> arguments = {program.c_str(), "instance",    "run",
                                                "--folder",      where.c_str(), nullptr};
  next_start = never;
  started = now;
  pid = ::fork();
  if (pid == 0) {
    // We have threads: only what is async-signal-safe. A session of its own, so that neither our
    // terminal nor our end reaches it; it stays our child, so that we learn how it ends.
    ::setsid();
    const int input = ::open("/dev/null", O_RDWR);
    const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ::dup2(input, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    // Not one of our sockets: a port would stay taken for as long as the instance lives.
    ::close_range(3, ~0U, 0);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execv(arguments[0], const_cast<char* const*>(arguments.data()));
    ::_exit(127);
  }
  if (pid > 0) keeper.reset(::pidfd_open(pid, 0));
  if (!keeper) {
    keeper_end = fmt::format("cannot start its keeper: {}", std::strerror(errno));
    if (pid > 0) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
    next_start = now + backoff.ended(0s);
  }
}

void Kept::stop(Clock::Steady now) {
  stopping = true;
  if (!keeper) return;
  ::pidfd_send_signal(keeper.get(), SIGTERM, nullptr, 0);
  stop_deadline = stops_until(now);
}

Clock::Steady Kept::stops_until(Clock::Steady now) const {
  return now + spec.pod.drain + spec.pod.stop + keeper_stops;
}

void Kept::keeper_ended(Clock::Steady now) {
  const std::string how = how_ended(keeper);
  keeper.reset();
  refresh();
  if (told.keeper == pid && told.ended) stopping = true;
  if (stopping) return;     // whoever asked for that does the rest
  if (attach(now)) return;  // it had ended because there is another
  const auto wait = backoff.ended(now - started);
  next_start = now + wait;
  keeper_end = fmt::format("its keeper {}; next start in {:.1f} s", how,
                           std::chrono::duration<double>(wait).count());
  const std::string line = last_line(read_file(folder / "keeper.log").value_or(""));
  if (!line.empty()) keeper_end += fmt::format("; last line of its log: {}", line);
}

Phase Kept::phase() const {
  if (stopping) return Phase::stopping;
  if (terminating) return Phase::terminating;
  if (!keeper) return Phase::crashing;
  if (!told_by_keeper()) return ever_ready ? Phase::unready : Phase::starting;
  if (!fault.empty()) return Phase::unready;
  return told.phase;
}

std::string Kept::message() const {
  if (!fault.empty()) return fault;
  if (told_by_keeper()) return told.message;
  return keeper ? "its keeper is starting" : keeper_end;
}

Instance Kept::describe(Clock::Wall now) const {
  Instance instance{
      .namespace_ = spec.namespace_,
      .group = spec.group,
      .name = spec.name,
      .address = spec.address,
      .labels = spec.pod.labels,
      .ports = spec.pod.ports,
      .phase = phase(),
      .restarts = told.restarts,
      .message = message(),
      .log = folder / (spec.pod.command.empty() ? "sidecar.log" : "app.log"),
  };
  if (told_by_keeper() && told.phase == instance.phase) {
    instance.since = Clock::Wall(std::chrono::milliseconds(told.since_ms));
  } else {
    const bool same = shown.phase == instance.phase && shown.since != Clock::Wall{};
    instance.since = same ? shown.since : now;
  }
  return instance;
}

}  // namespace graymesh::workload
