#include "release/workload/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace graymesh::workload {
namespace {

constexpr std::size_t line_bytes_max = 400;
constexpr std::string_view blanks = " \t\r\n";

}  // namespace

Log::Log(std::filesystem::path file, std::size_t bytes_max)
    : file_(std::move(file)), bytes_max_(bytes_max) {}

void Log::open() {
  descriptor_.reset(::open(file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  struct stat info {};
  size_ = ::fstat(descriptor_.get(), &info) == 0 ? static_cast<std::size_t>(info.st_size) : 0;
}

void Log::append(std::string_view bytes) {
  tail_.append(bytes.substr(bytes.size() - std::min(bytes.size(), 4 * line_bytes_max)));
  tail_.erase(0, tail_.size() - std::min(tail_.size(), 4 * line_bytes_max));
  if (!descriptor_) open();
  if (size_ > 0 && size_ + bytes.size() > bytes_max_) {
    auto older = file_;
    older += ".1";
    ::rename(file_.c_str(), older.c_str());
    open();
  }
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return;
    size_ += static_cast<std::size_t>(count);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::string Log::last_line() const {
  const auto end = tail_.find_last_not_of(blanks);
  if (end == std::string::npos) return {};
  const auto before = tail_.find_last_of('\n', end);
  const auto begin = before == std::string::npos ? 0 : before + 1;
  return tail_.substr(begin, std::min(end + 1 - begin, line_bytes_max));
}

}  // namespace graymesh::workload
