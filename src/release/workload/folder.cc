#include "release/workload/folder.h"

#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

extern "C" {  // which glibc 2.36 has forgotten
#include <sys/pidfd.h>
}

#include <charconv>
#include <csignal>
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
