#include "base/file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/descriptor.h"

namespace graymesh {
namespace {

Error system_error(std::string_view what, const std::filesystem::path& file, int number) {
  Code code = Code::internal;
  if (number == ENOENT || number == ENOTDIR) code = Code::not_found;
  if (number == EACCES || number == EPERM || number == EROFS) code = Code::permission_denied;
  if (number == ENOSPC || number == EDQUOT || number == EMFILE) code = Code::resource_exhausted;
  return {code, fmt::format("{} {}: {}", what, file.string(), std::strerror(number))};
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& file, std::size_t size_max) {
  Descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return system_error("cannot open", file, errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return system_error("cannot stat", file, errno);
  if (!S_ISREG(info.st_mode)) {
    return Error{Code::failed_precondition, fmt::format("{} is not a regular file", file.string())};
  }
  std::string bytes;
  bytes.reserve(static_cast<std::size_t>(info.st_size));
  char buffer[1 << 16];
  for (;;) {
    const ssize_t count = ::read(fd.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error("cannot read", file, errno);
    if (count == 0) return bytes;
    if (bytes.size() + static_cast<std::size_t>(count) > size_max) {
      return Error{Code::resource_exhausted,
                   fmt::format("{} is larger than {} bytes", file.string(), size_max)};
    }
    bytes.append(buffer, static_cast<std::size_t>(count));
  }
}

Status write_file(const std::filesystem::path& file, std::string_view bytes) {
  // Hidden and without a suffix of ours, so that no watcher takes the half-written file for input.
  const auto temporary =
      file.parent_path() / fmt::format(".{}.{}", file.filename().string(), ::getpid());
  Descriptor fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (fd.get() < 0) return system_error("cannot create", temporary, errno);
  const auto give_up = [&](const char* what) -> Status {
    Error error = system_error(what, temporary, errno);
    ::unlink(temporary.c_str());
    return error;
  };
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return give_up("cannot write");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  if (fd.close() != 0) return give_up("cannot close");
  if (::rename(temporary.c_str(), file.c_str()) != 0) return give_up("cannot rename");
  return {};
}

}  // namespace graymesh
