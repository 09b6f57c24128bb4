// Starting, finding and ending Envoy.
#include "sidecar/process.h"

#include <fmt/core.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace graymesh::sidecar {

Process::~Process() {
  if (!running()) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<Process> Process::start(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& argument : command)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) {
    return Error{Code::resource_exhausted,
                 fmt::format("cannot start {}: {}", command[0], std::strerror(errno))};
  }
  if (pid == 0) {
    // Only what is async-signal-safe between fork and exec.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);  // died before prctl could take effect
    ::setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  Process process;
  process.pid_ = pid;
  return process;
}

void Process::signal(int number) const {
  if (running()) ::kill(pid_, number);
}

std::optional<int> Process::reap() {
  int status = 0;
  if (!running() || ::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  pid_ = 0;
  return status;
}

std::string describe_end(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int number = WTERMSIG(wait_status);
    return fmt::format("by signal {} ({})", number, ::strsignal(number));
  }
  return fmt::format("with code {}", WEXITSTATUS(wait_status));
}

std::vector<std::string> envoy_command(const RunOptions& options, const std::string& envoy,
                                       std::string bootstrap) {
  // Listeners close this long after they were asked to drain; whole seconds, at least one.
  const auto drain = std::chrono::ceil<std::chrono::seconds>(options.drain_duration).count();
  std::vector<std::string> command = {
      envoy,
      "--config-yaml",
      std::move(bootstrap),
      "--disable-hot-restart",  // shares memory with, and ends with, an Envoy of the same base id
      "--concurrency",
      std::to_string(options.concurrency),
      "--log-level",
      options.log_level,
      "--drain-time-s",
      std::to_string(std::max<long>(drain, 1)),
      "--drain-strategy",
      "immediate",  // every answer asks to go, not more and more of them
  };
  command.insert(command.end(), options.envoy_args.begin(), options.envoy_args.end());
  return command;
}

Result<std::filesystem::path> find_envoy(const std::filesystem::path& asked) {
  const auto runs = [](const std::filesystem::path& file) {
    return ::access(file.c_str(), X_OK) == 0;
  };
  if (!asked.empty()) {
    if (runs(asked)) return asked;
    return Error{Code::not_found,
                 fmt::format("envoy {}: {}", asked.string(), std::strerror(errno))};
  }
  if (const char* named = std::getenv("GRAYMESH_ENVOY"); named != nullptr && *named != '\0') {
    if (runs(named)) return std::filesystem::path(named);
    return Error{Code::not_found,
                 fmt::format("GRAYMESH_ENVOY={}: {}", named, std::strerror(errno))};
  }
  std::error_code ignored;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", ignored);
  if (const auto beside = self.parent_path() / "envoy"; !self.empty() && runs(beside))
    return beside;
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const auto colon = rest.find(':');
    const std::filesystem::path file = std::filesystem::path(rest.substr(0, colon)) / "envoy";
    if (file.is_absolute() && runs(file)) return file;
    rest = colon == std::string_view::npos ? std::string_view{} : rest.substr(colon + 1);
  }
  return Error{Code::not_found, fmt::format("no envoy: looked at $GRAYMESH_ENVOY, {} and $PATH",
                                            (self.parent_path() / "envoy").string())};
}

}  // namespace graymesh::sidecar
