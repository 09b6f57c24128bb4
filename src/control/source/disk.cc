#include "control/source/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <set>
#include <utility>

namespace graymesh::source {
namespace {

// Deeper than any sane tree; links in a circle end at the second visit of a folder.
constexpr int depth_max = 64;

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

Look look_of(const struct stat& info) {
  Look look;
  look.form = S_ISREG(info.st_mode)   ? Look::Form::file
              : S_ISDIR(info.st_mode) ? Look::Form::folder
                                      : Look::Form::other;
  look.stamp = {.device = info.st_dev,
                .inode = info.st_ino,
                .size = static_cast<std::uint64_t>(info.st_size),
                .modified_ns = nanoseconds(info.st_mtim),
                .changed_ns = nanoseconds(info.st_ctim)};
  return look;
}

Look look_by(int folder, const char* name) {
  struct stat info {};
  if (::fstatat(folder, name, &info, 0) == 0) return look_of(info);
  Look look;
  if (errno == ENOENT || errno == ENOTDIR) return look;
  look.form = Look::Form::unreadable;
  look.why = std::strerror(errno);
  return look;
}

// One walk over all folders.
class Walk {
 public:
  explicit Walk(const std::function<void(const std::string&)>& enter) : enter_(enter) {}

  void read(const std::string& path, int depth) {
    const Look here = look_at(path);
    if (here.form == Look::Form::unreadable) return refuse(path, here.why);
    if (here.form != Look::Form::folder) return;
    if (depth > depth_max)
      return refuse(path, fmt::format("lies more than {} folders deep", depth_max));
    if (!visited_.emplace(here.stamp.device, here.stamp.inode).second) return;
    enter_(path);
    const std::unique_ptr<DIR, CloseFolder> folder(::opendir(path.c_str()));
    if (!folder) {
      if (errno != ENOENT && errno != ENOTDIR) refuse(path, std::strerror(errno));
      return;
    }
    listing_.folders.push_back(path);
    std::vector<std::string> below;
    while (const dirent* entry = ::readdir(folder.get())) {
      if (entry->d_name[0] != '.') take(path, ::dirfd(folder.get()), *entry, below);
    }
    // Real folders first: of two ways to a folder the one without a link names its files.
    std::sort(below.begin(), below.end());
    std::stable_partition(below.begin(), below.end(),
                          [](const std::string& name) { return !is_link(name); });
    for (const std::string& name : below) read(name, depth + 1);
  }

  Listing finish() {
    const auto by_path = [](const Listing::File& a, const Listing::File& b) {
      return a.path < b.path;
    };
    std::sort(listing_.files.begin(), listing_.files.end(), by_path);
    std::sort(listing_.folders.begin(), listing_.folders.end());
    for (const std::string& target : targets_) {
      if (!std::binary_search(listing_.folders.begin(), listing_.folders.end(), target)) {
        listing_.link_targets.push_back(target);
      }
    }
    return std::move(listing_);
  }

 private:
  void take(const std::string& folder, int descriptor, const dirent& entry,
            std::vector<std::string>& below) {
    const bool ours = is_ours(entry.d_name);
    const bool may_be_folder =
        entry.d_type == DT_DIR || entry.d_type == DT_LNK || entry.d_type == DT_UNKNOWN;
    if (!ours && !may_be_folder) return;
    std::string path = folder + '/' + entry.d_name;
    const Look look = look_by(descriptor, entry.d_name);
    if (entry.d_type == DT_LNK && (ours || look.form == Look::Form::folder)) follow(path);
    if (look.form == Look::Form::folder) {
      below.push_back(std::move(path));
    } else if (ours && look.form == Look::Form::file) {
      listing_.files.push_back({std::move(path), look.stamp});
    } else if (ours && look.form == Look::Form::unreadable) {
      listing_.files.push_back({std::move(path), {}});  // its reader will say why
    }
  }

  void follow(const std::string& link) {
    listing_.links = true;
    std::error_code gone;
    const auto target = std::filesystem::canonical(link, gone);
    if (!gone) targets_.insert(target.parent_path().string());
  }

  void refuse(const std::string& path, const std::string& why) {
    listing_.problems.push_back(problem_of(
        path, fmt::format("cannot be read ({}); what was read from it before stays", why)));
  }

  const std::function<void(const std::string&)>& enter_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> visited_;
  std::set<std::string> targets_;
  Listing listing_;
};

}  // namespace

Look look_at(const std::string& path) { return look_by(AT_FDCWD, path.c_str()); }

bool is_link(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return false;
  return S_ISLNK(info.st_mode) || (S_ISREG(info.st_mode) && info.st_nlink > 1);
}

bool is_ours(std::string_view name) {
  if (name.starts_with('.')) return false;
  return name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json");
}

Listing list(const std::vector<std::string>& folders,
             const std::function<void(const std::string&)>& enter) {
  Walk walk(enter);
  for (const std::string& folder : folders) walk.read(folder, 0);
  return walk.finish();
}

model::Problem problem_of(const std::string& path, std::string rule,
                          model::Problem::Severity severity) {
  return {.severity = severity,
          .position = {.file = path, .line = 0},
          .object = {},
          .field = {},
          .value = {},
          .rule = std::move(rule)};
}

}  // namespace graymesh::source
