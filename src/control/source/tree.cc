#include "control/source/tree.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <utility>

namespace graymesh::source {
namespace {

std::filesystem::path absolute(const std::string& path) {
  const auto whole = std::filesystem::absolute(path).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();
}

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

}  // namespace

Tree::Tree(const FolderOptions& options) : options_(options), watch_(options.watches_max) {
  for (const auto& folder : options.folders) {
    Root root;
    root.path = without_slash(folder.string());
    root.whole_path = absolute(root.path).string();
    roots_.push_back(std::move(root));
  }
}

Status Tree::open(Time now) {
  for (const Root& root : roots_) {
    const Look look = look_at(root.path);
    if (look.form == Look::Form::missing)
      return Error{Code::not_found, fmt::format("folder {} does not exist", root.path)};
    if (look.form == Look::Form::unreadable) {
      return Error{Code::permission_denied,
                   fmt::format("folder {} cannot be read: {}", root.path, look.why)};
    }
    if (look.form != Look::Form::folder) {
      return Error{Code::failed_precondition, fmt::format("{} is not a folder", root.path)};
    }
  }
  rescan(now);
  // Before there is anything to lose, there is nothing to doubt.
  std::set<std::string> doubted;
  for (const auto& [path, doubt] : doubts_) doubted.insert(path);
  doubts_.clear();
  take(doubted, now);
  return {};
}

// Events.

void Tree::note_events(Time (*now)()) {
  const auto events = watch_.take();
  const Time came = now();
  for (const Event& event : events) note(event, came);
}

void Tree::gather(Time now) {
  since_ = since_.value_or(now);
  if (complete_.empty() && !scan_) first_event_ = now;
  last_event_ = now;
}

ObjectsPtr Tree::objects() {
  auto newest = catalog_.objects(since_);
  const bool fresh = std::exchange(number_, newest->number) != newest->number;
  const bool came_to_nothing = complete_.empty() && !scan_ && doubts_.empty();
  if (fresh || came_to_nothing) since_.reset();
  return newest;
}

void Tree::note(const Event& event, Time now) {
  const std::string path =
      event.folder.ends_with('/') ? event.folder + event.name : event.folder + '/' + event.name;
  if (folders_.contains(event.folder) && !event.name.empty() && is_ours(event.name) &&
      event.what <= Event::What::gone) {
    note_file(event, path, now);
    return;
  }
  if (!note_around(event)) return;
  gather(now);
  scan_ = true;
}

void Tree::note_file(const Event& event, const std::string& path, Time now) {
  const auto doubt = doubts_.find(path);
  const bool open = doubt != doubts_.end() && doubt->second.about == Doubt::About::open;
  const bool found_fresh = doubt != doubts_.end() && doubt->second.about == Doubt::About::fresh;
  const bool link = event.what != Event::What::open && is_link(path);
  if (event.what == Event::What::open || (event.what == Event::What::made && !link)) {
    complete_.erase(path);
    since_ = since_.value_or(now);
    doubts_[path] = {
        .about = Doubt::About::open, .due = now + options_.unclosed, .first = now, .patience = {}};
    return;
  }
  if (event.what == Event::What::touched && open) return;
  if (open || found_fresh) doubts_.erase(doubt);
  gather(now);
  complete_.insert(path);
  scan_ = scan_ || link || links_;  // it leads elsewhere, or another may lead to it
}

// True if something came or went that only a scan can tell: folders, links, the roots themselves.
bool Tree::note_around(const Event& event) {
  using What = Event::What;
  if (event.what == What::missed) return true;
  const bool comes_or_goes =
      event.what != What::touched && event.what != What::made && event.what != What::open;
  const bool links_moved = links_ && comes_or_goes;
  if (link_targets_.contains(event.folder)) return links_moved;
  if (folders_.contains(event.folder)) {
    if (event.what == What::itself_gone) return true;
    const bool folder = event.what == What::folder_came || event.what == What::folder_gone;
    const std::string path = event.folder + '/' + event.name;
    if (links_moved || (links_ && event.what == What::made && is_link(path))) return true;
    if (event.name.starts_with('.')) return false;
    if (folder) return true;
    // A link to a folder comes and goes like a file.
    return folders_.contains(path) ||
           (event.what != What::gone && is_link(path) && look_at(path).form == Look::Form::folder);
  }
  for (const Root& root : roots_) {
    if (event.folder != root.ancestor) continue;
    const auto name = std::filesystem::path(root.whole_path).filename();
    if (!root.present || event.name == name || event.name.empty()) return true;
  }
  return false;
}

// When what was gathered is due. A lone complete file is complete in itself; many wait for each
// other.
Tree::Time Tree::gathered_due() const {
  if (complete_.empty() && !scan_) return Time::max();
  if (complete_.size() == 1 && !scan_ && first_event_ >= last_work_ + options_.settle)
    return first_event_;
  return std::min(last_event_ + options_.settle, first_event_ + options_.settle_max);
}

// A scan takes as long as some twenty changes, which would wait for it.
Tree::Time Tree::scan_due() const {
  if (!scan_waits_) return next_scan_;
  return std::clamp<Time>(last_event_ + options_.lull, next_scan_, next_scan_ + options_.lull_max);
}

Tree::Time Tree::due() const {
  Time due = std::min(gathered_due(), scan_due());
  for (const auto& [path, doubt] : doubts_) due = std::min(due, doubt.due);
  return due;
}

void Tree::work(Time now) {
  std::set<std::string> paths;
  for (const auto& [path, doubt] : doubts_) {
    if (doubt.due <= now) paths.insert(path);
  }
  const bool gathered = gathered_due() <= now;
  if (gathered) paths.merge(std::exchange(complete_, {}));
  const bool scan = (gathered && std::exchange(scan_, false)) || scan_due() <= now;
  if (!paths.empty()) take(paths, now);
  if (scan) rescan(now);
  if (gathered) last_work_ = now;
}

}  // namespace graymesh::source
