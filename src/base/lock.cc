#include "base/lock.h"

#include <fcntl.h>
#include <fmt/core.h>

#include <cerrno>
#include <cstring>

namespace graymesh {

namespace fs = std::filesystem;

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

}  // namespace graymesh
