#include "control/source/watch.h"

#include <fmt/core.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

namespace graymesh::source {
namespace {

using What = Event::What;

constexpr std::uint32_t interest = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB |
                                   IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF |
                                   IN_MOVE_SELF | IN_ONLYDIR;

What meaning(std::uint32_t mask) {
  const bool folder = (mask & IN_ISDIR) != 0;
  if ((mask & IN_Q_OVERFLOW) != 0) return What::missed;
  if ((mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) != 0) return What::itself_gone;
  if ((mask & (IN_DELETE | IN_MOVED_FROM)) != 0) return folder ? What::folder_gone : What::gone;
  if ((mask & IN_MOVED_TO) != 0) return folder ? What::folder_came : What::complete;
  if ((mask & IN_CREATE) != 0) return folder ? What::folder_came : What::made;
  if ((mask & IN_CLOSE_WRITE) != 0) return What::complete;
  if ((mask & IN_MODIFY) != 0) return What::open;
  // A folder's permissions changed: as good as a folder that came.
  return folder ? What::folder_came : What::touched;
}

}  // namespace

Watch::Watch(std::size_t folders_max)
    : fd_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)), folders_max_(folders_max) {
  if (fd_ < 0) refused_ = fmt::format("inotify is not to be had: {}", std::strerror(errno));
}

Watch::~Watch() {
  if (fd_ >= 0) ::close(fd_);
}

bool Watch::add(const std::string& folder) {
  if (fd_ < 0) return false;
  const auto known = by_path_.find(folder);
  if (known == by_path_.end() && by_path_.size() >= folders_max_) {
    refused_ = fmt::format("the limit of {} watched folders is reached", folders_max_);
    return false;
  }
  const int id = ::inotify_add_watch(fd_, folder.c_str(), interest);
  if (id < 0) {
    if (errno == ENOSPC) refused_ = "the machine's limit fs.inotify.max_user_watches is reached";
    if (errno == ENOMEM) refused_ = "the kernel has no memory for inotify";
    if (known != by_path_.end()) drop(known->second, folder);
    return false;
  }
  if (known != by_path_.end() && known->second != id) drop(known->second, folder);
  by_path_[folder] = id;
  auto& paths = by_id_[id];
  if (std::find(paths.begin(), paths.end(), folder) == paths.end()) paths.push_back(folder);
  return true;
}

void Watch::keep_only(const std::vector<std::string>& folders) {
  const std::set<std::string> keep(folders.begin(), folders.end());
  std::vector<std::pair<int, std::string>> others;
  for (const auto& [path, id] : by_path_) {
    if (!keep.contains(path)) others.emplace_back(id, path);
  }
  for (const auto& [id, path] : others) drop(id, path);
}

void Watch::drop(int id, const std::string& folder) {
  by_path_.erase(folder);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  std::erase(found->second, folder);
  if (!found->second.empty()) return;
  by_id_.erase(found);
  ::inotify_rm_watch(fd_, id);  // fails if the folder is gone, and the watch with it
}

std::vector<Event> Watch::take() {
  std::vector<Event> events;
  alignas(inotify_event) char buffer[1 << 16];
  for (;;) {
    const ssize_t size = fd_ < 0 ? -1 : ::read(fd_, buffer, sizeof buffer);
    if (size <= 0) return events;
    for (ssize_t at = 0; at < size;) {
      const auto* raw = reinterpret_cast<const inotify_event*>(buffer + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + raw->len);
      const What what = meaning(raw->mask);
      if (what == What::missed) {
        events.push_back({});
        continue;
      }
      const auto found = by_id_.find(raw->wd);
      if (found == by_id_.end()) continue;  // of a watch that was dropped meanwhile
      if ((raw->mask & IN_IGNORED) != 0) {
        for (const std::string& path : found->second) {
          const auto newest = by_path_.find(path);
          if (newest != by_path_.end() && newest->second == raw->wd) by_path_.erase(newest);
        }
        by_id_.erase(found);
        continue;
      }
      const std::string name = raw->len > 0 ? std::string(raw->name) : std::string();
      for (const std::string& path : found->second) events.push_back({what, path, name});
    }
  }
}

}  // namespace graymesh::source
