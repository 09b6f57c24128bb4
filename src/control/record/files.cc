#include "control/record/files.h"

#include <fmt/core.h>

#include <algorithm>
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
        std::from_chars(digits.data(), digits.data() + digits.size(), file.key);
    if (fault != std::errc() || last != digits.data() + digits.size()) continue;
    std::error_code gone;  // trimmed meanwhile
    file.size = at->file_size(gone);
    if (!gone) files.push_back(std::move(file));
  }
  if (error) return failed(folder, "read it", error);
  std::ranges::sort(files, {}, &File::key);
  return files;
}

std::filesystem::path file_of(const std::filesystem::path& folder, Milliseconds key) {
  return folder / fmt::format("{}{:013}{}", prefix, key, suffix);
}

Result<std::vector<File>> trim(const std::filesystem::path& folder, std::uint64_t bytes_max,
                               std::chrono::milliseconds age_max, Milliseconds now) {
  auto files = TRY(files_of(folder));
  std::uint64_t bytes = 0;
  for (const auto& file : files) bytes += file.size;
  while (files.size() > 1 && (bytes > bytes_max || files[1].key < now - age_max.count())) {
    std::error_code error;
    std::filesystem::remove(files.front().path, error);
    if (error) return failed(files.front().path, "delete it", error);
    bytes -= files.front().size;
    files.erase(files.begin());
  }
  return files;
}

}  // namespace graymesh::record
