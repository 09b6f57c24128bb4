#include "release/workload/folder.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

extern "C" {  // which glibc 2.36 has forgotten
#include <sys/pidfd.h>
}

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

namespace graymesh::workload {
namespace {

namespace fs = std::filesystem;

bool carries(const fs::path& environ_file, const std::string& entry) {
  std::ifstream in(environ_file, std::ios::binary);
  for (std::string variable; std::getline(in, variable, '\0');) {
    if (variable == entry) return true;
  }
  return false;
}

}  // namespace

Result<Descriptor> hold(const fs::path& file) {
  Descriptor descriptor(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!descriptor) {
    return Error{Code::internal,
                 fmt::format("cannot open {}: {}", file.string(), std::strerror(errno))};
  }
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(descriptor.get(), F_SETLK, &lock) == 0) return descriptor;
  if (errno != EAGAIN && errno != EACCES) {
    return Error{Code::internal,
                 fmt::format("cannot lock {}: {}", file.string(), std::strerror(errno))};
  }
  return Error{Code::failed_precondition,
               fmt::format("{} is held by process {}", file.string(), holder(file))};
}

pid_t holder(const fs::path& file) {
  const Descriptor descriptor(::open(file.c_str(), O_RDWR | O_CLOEXEC));
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (!descriptor || ::fcntl(descriptor.get(), F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) {
    return 0;
  }
  return lock.l_pid;
}

void kill_leftovers(const fs::path& folder) {
  const std::string entry = fmt::format("{}={}", folder_variable, folder.string());
  std::vector<Descriptor> dying;
  std::error_code error;
  for (const auto& process : fs::directory_iterator("/proc", error)) {
    const std::string name = process.path().filename().string();
    pid_t pid = 0;
    const auto [end, fault] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (fault != std::errc{} || end != name.data() + name.size() || pid == ::getpid()) continue;
    Descriptor handle(::pidfd_open(pid, 0));  // before the look, so that it is of the one seen
    if (!handle || !carries(process.path() / "environ", entry)) continue;
    ::pidfd_send_signal(handle.get(), SIGKILL, nullptr, 0);
    dying.push_back(std::move(handle));
  }
  for (const Descriptor& handle : dying) {
    pollfd polled{handle.get(), POLLIN, 0};
    ::poll(&polled, 1, 1000);
  }
}

}  // namespace graymesh::workload
