#include "release/workload/child.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace graymesh::workload {
namespace {

[[noreturn]] void give_up(const char* what, const char* name) {
  ::dprintf(STDERR_FILENO, "graymesh: cannot %s %s: %s\n", what, name, std::strerror(errno));
  ::_exit(127);
}

// In the child. We have one thread, so all of the C library may be used after fork.
[[noreturn]] void become(const Launch& launch, pid_t parent, int output) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // died before prctl could take effect
  ::setpgid(0, 0);
  const int input = ::open("/dev/null", O_RDWR);
  ::dup2(input, STDIN_FILENO);
  for (const int number : {STDOUT_FILENO, STDERR_FILENO})
    ::dup2(output < 0 ? input : output, number);
  ::close_range(3, ~0U, 0);
  for (const int number : {SIGPIPE, SIGHUP, SIGINT, SIGQUIT}) std::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (!launch.cgroup.empty()) {
    const auto file = launch.cgroup / "cgroup.procs";
    const int procs = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
    if (procs < 0 || ::write(procs, "0", 1) != 1) give_up("join", file.c_str());
  }
  if (launch.address_space_max > 0) {
    const rlimit limit{launch.address_space_max, launch.address_space_max};
    if (::setrlimit(RLIMIT_AS, &limit) != 0) give_up("limit", "memory");
  }
  if (!launch.directory.empty() && ::chdir(launch.directory.c_str()) != 0) {
    give_up("enter", launch.directory.c_str());
  }
  for (const auto& [name, value] : launch.environment) ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> arguments;
  for (const auto& argument : launch.command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  if (launch.program.empty()) {
    ::execvp(arguments[0], arguments.data());
  } else {
    ::execv(launch.program.c_str(), arguments.data());
  }
  give_up("run", arguments[0]);
}

}  // namespace

Result<Child> start(const Launch& launch) {
  std::array<int, 2> pipe = {-1, -1};
  if (!launch.quiet && ::pipe2(pipe.data(), O_CLOEXEC) != 0) {
    return Error{Code::resource_exhausted, fmt::format("cannot start {}: no pipe: {}",
                                                       launch.command[0], std::strerror(errno))};
  }
  Descriptor read_end(pipe[0]);
  const Descriptor write_end(pipe[1]);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) {
    return Error{Code::resource_exhausted,
                 fmt::format("cannot start {}: {}", launch.command[0], std::strerror(errno))};
  }
  if (pid == 0) become(launch, parent, write_end.get());
  ::setpgid(pid, pid);  // here as well: whoever comes first
  if (read_end) ::fcntl(read_end.get(), F_SETFL, O_NONBLOCK);
  return Child{.pid = pid, .output = std::move(read_end)};
}

std::string describe_end(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int number = WTERMSIG(wait_status);
    return fmt::format("was killed by signal {} ({})", number, ::strsignal(number));
  }
  return fmt::format("exited with code {}", WEXITSTATUS(wait_status));
}

}  // namespace graymesh::workload
