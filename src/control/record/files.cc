#include "control/record/files.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>
#include <utility>

namespace graymesh::record {
namespace {

constexpr std::string_view prefix = "record-";
constexpr std::string_view suffix = ".segment";

Error failed(const std::filesystem::path& path, std::string_view what, const std::error_code& why) {
  return {Code::internal, fmt::format("{}: cannot {}: {}", path.string(), what, why.message())};
}

}  // namespace

Result<std::vector<File>> files_of(const std::filesystem::path& folder) {
  std::vector<File> files;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename();
    if (!name.starts_with(prefix) || !name.ends_with(suffix)) continue;
    const auto digits = std::string_view(name).substr(
        prefix.size(), name.size() - std::min(name.size(), prefix.size() + suffix.size()));
    File file{.path = at->path()};
    const auto [last, fault] =
        std::from_chars(digits.data(), digits.data() + digits.size(), file.begun);
    if (fault != std::errc() || last != digits.data() + digits.size()) continue;
    std::error_code gone;  // trimmed meanwhile
    file.size = at->file_size(gone);
    if (!gone) files.push_back(std::move(file));
  }
  if (error) return failed(folder, "read it", error);
  std::ranges::sort(files, {}, &File::begun);
  return files;
}

std::filesystem::path file_of(const std::filesystem::path& folder, Milliseconds begun) {
  return folder / fmt::format("{}{:013}{}", prefix, begun, suffix);
}

Result<std::vector<File>> trim(const std::filesystem::path& folder, std::uint64_t bytes_max,
                               std::chrono::milliseconds age_max, Milliseconds now) {
  auto files = TRY(files_of(folder));
  std::uint64_t bytes = 0;
  for (const auto& file : files) bytes += file.size;
  while (files.size() > 1 && (bytes > bytes_max || files[1].begun < now - age_max.count())) {
    std::error_code error;
    std::filesystem::remove(files.front().path, error);
    if (error) return failed(files.front().path, "delete it", error);
    bytes -= files.front().size;
    files.erase(files.begin());
  }
  return files;
}

Result<Lock> Lock::take(const std::filesystem::path& folder) {
  const auto file = folder / "lock";
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return failed(file, "open it", {errno, std::generic_category()});
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    ::close(fd);
    return Error{
        Code::failed_precondition,
        fmt::format("{}: another graymeshd keeps its record in this folder", file.string())};
  }
  return Lock(fd);
}

Lock::Lock(Lock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Lock::~Lock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace graymesh::record
