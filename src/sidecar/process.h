// Envoy as a child process that cannot outlive us.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "sidecar/sidecar.h"

namespace graymesh::sidecar {

class Process {
 public:
  Process() = default;
  Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
  Process& operator=(Process&& other) noexcept {
    std::swap(pid_, other.pid_);
    return *this;
  }
  ~Process();  // kills and reaps

  // In a process group of its own, so that a terminal's Ctrl-C reaches only us and Envoy may drain.
  // The kernel kills it when the calling thread dies, however that comes about.
  static Result<Process> start(const std::vector<std::string>& command);

  bool running() const { return pid_ > 0; }
  pid_t pid() const { return pid_; }
  void signal(int number) const;
  // The status as of waitpid, once it has ended; it is then no longer running().
  std::optional<int> reap();

 private:
  pid_t pid_ = 0;
};

// "by signal 11 (Segmentation fault)", "with code 1".
std::string describe_end(int wait_status);

// The command line for Envoy. The bootstrap goes in whole: no file of it can be left behind.
std::vector<std::string> envoy_command(const RunOptions& options, const std::string& envoy,
                                       std::string bootstrap);

}  // namespace graymesh::sidecar
