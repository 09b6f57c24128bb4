// The Tree's eyes: scans of all folders, and looks at single files.
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "control/source/tree.h"

namespace graymesh::source {
namespace {

// Grain of file times: younger than that, a file found by a scan may still be in the making.
constexpr std::chrono::milliseconds fresh{10};

// A doubt that keeps being fed is believed after this many times its patience.
constexpr int patience_max = 10;

bool is_below(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path.starts_with(folder) &&
         (folder.ends_with('/') || path[folder.size()] == '/');
}

bool is_fresh(const Stamp& stamp) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::nanoseconds(stamp.modified_ns) + fresh > now;
}

}  // namespace

void Tree::rescan(Time now) {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::string> paths;
  for (const Root& root : roots_) paths.push_back(root.path);
  watch_.forget_refusal();
  const Listing listing = list(paths, [&](const std::string& folder) { watch_.add(folder); });
  folders_ = {listing.folders.begin(), listing.folders.end()};
  link_targets_ = {listing.link_targets.begin(), listing.link_targets.end()};
  links_ = listing.links;
  for (const std::string& folder : link_targets_) watch_.add(folder);
  find_roots(listing, now);
  take(out_of_date(listing, now), now);
  watch_ancestors();
  tell(listing.problems);

  // Looking around costs at most half a percent of a core, however large the folders are.
  const auto cost = std::chrono::steady_clock::now() - begin;
  const bool blind = !watch_.complete() || std::any_of(roots_.begin(), roots_.end(),
                                                       [](const Root& r) { return !r.present; });
  scan_waits_ = !blind;
  next_scan_ = now + std::max<Time::duration>(blind ? options_.poll : options_.rescan, 200 * cost);
}

// What the scan found to be other than it was believed to be.
std::set<std::string> Tree::out_of_date(const Listing& listing, Time now) {
  std::set<std::string> look_again;
  std::set<std::string> present;
  const auto& known = catalog_.files();
  for (const Listing::File& file : listing.files) {
    present.insert(file.path);
    const auto doubt = doubts_.find(file.path);
    if (doubt != doubts_.end() && doubt->second.about != Doubt::About::vanished) continue;
    const auto found = known.find(file.path);
    const bool as_before = found != known.end() && found->second->stamp == file.stamp &&
                           !found->second->young && !found->second->failed;
    if (found == known.end() && is_fresh(file.stamp)) {
      doubts_[file.path] = {
          .about = Doubt::About::fresh, .due = now + fresh, .first = now, .patience = {}};
    } else if (!as_before || doubt != doubts_.end()) {
      look_again.insert(file.path);
    }
  }
  for (const auto& [path, file] : known) {
    if (present.contains(path) || doubts_.contains(path) || !root_of(path).present) continue;
    look_again.insert(path);
  }
  return look_again;
}

void Tree::find_roots(const Listing& listing, Time now) {
  for (Root& root : roots_) {
    const bool was = std::exchange(root.present, look_at(root.path).form == Look::Form::folder);
    if (was || !root.present) continue;
    // It is back. Its files may still be on their way: those not here yet get more time.
    std::set<std::string> missed;
    for (const auto& [path, file] : catalog_.files()) {
      if (is_below(path, root.path)) missed.insert(path);
    }
    for (const Listing::File& file : listing.files) missed.erase(file.path);
    for (const std::string& path : missed) doubt_presence(path, options_.returned, now);
  }
}

// Keeps an eye on the folder above each root, or, while that is gone too, the nearest one above.
void Tree::watch_ancestors() {
  std::vector<std::string> keep(folders_.begin(), folders_.end());
  keep.insert(keep.end(), link_targets_.begin(), link_targets_.end());
  for (Root& root : roots_) {
    auto above = std::filesystem::path(root.whole_path);
    do {
      above = above.parent_path();
      root.ancestor = above.string();
    } while (!watch_.add(root.ancestor) && look_at(root.ancestor).form != Look::Form::folder &&
             above.has_relative_path());
    keep.push_back(root.ancestor);
  }
  watch_.keep_only(keep);
}

void Tree::tell(const std::vector<model::Problem>& unreadable) {
  using Severity = model::Problem::Severity;
  std::vector<model::Problem> notes;
  for (const Root& root : roots_) {
    if (root.present) continue;
    const auto& files = catalog_.files();
    const auto count = std::count_if(files.begin(), files.end(), [&](const auto& file) {
      return is_below(file.first, root.path);
    });
    notes.push_back(problem_of(
        root.path,
        fmt::format("is gone; what its {} files had goes on until the folder is back", count)));
  }
  notes.insert(notes.end(), unreadable.begin(), unreadable.end());
  if (!watch_.complete()) {
    const auto why = fmt::format("is not watched as a whole ({}): changes are found every {} ms",
                                 watch_.refused(), options_.poll.count());
    for (const Root& root : roots_) notes.push_back(problem_of(root.path, why, Severity::warning));
  }
  catalog_.note(std::move(notes));
}

// Looks.

Tree::Root& Tree::root_of(const std::string& path) {
  for (Root& root : roots_) {
    if (is_below(path, root.path)) return root;
  }
  return roots_.front();
}

void Tree::take(const std::set<std::string>& paths, Time now) {
  std::vector<ToRead> due;
  for (const std::string& path : paths) {
    const Look look = look_at(path);
    if (look.form == Look::Form::missing || look.form == Look::Form::folder ||
        look.form == Look::Form::other) {
      missing(path, now);
    } else if (look.form == Look::Form::unreadable || !wait_for(path, look, now)) {
      const auto found = catalog_.files().find(path);
      const bool known = found != catalog_.files().end();
      const auto doubt = doubts_.find(path);
      const bool back = doubt != doubts_.end() && doubt->second.about == Doubt::About::vanished;
      if (!known || back) root_of(path).stirred = now;
      if (doubt != doubts_.end()) doubts_.erase(doubt);
      std::optional<std::uint64_t> hash;
      if (known && !found->second->failed) hash = found->second->hash;
      due.push_back({path, hash});
    }
  }
  std::vector<Reading> readings = read_all(due, options_.file_bytes_max);
  for (std::size_t i = 0; i < due.size(); ++i) {
    const std::string& path = due[i].path;
    const auto found = catalog_.files().find(path);
    const File* before = found == catalog_.files().end() ? nullptr : found->second.get();
    if (readings[i].failure && look_at(path).form == Look::Form::missing) {
      missing(path, now);  // it went away between the look and the reading
    } else {
      catalog_.set(path, absorb(before, path, std::move(readings[i])));
    }
  }
}

// True if the file is better looked at later.
bool Tree::wait_for(const std::string& path, const Look& look, Time now) {
  const auto known = catalog_.files().find(path);
  const auto doubt = doubts_.find(path);
  if (look.stamp.size == 0 && known != catalog_.files().end() &&
      !known->second->standings.empty()) {
    if (doubt == doubts_.end() || doubt->second.about != Doubt::About::empty) {
      doubts_[path] = {
          .about = Doubt::About::empty, .due = now + options_.empty, .first = now, .patience = {}};
      return true;
    }
    return now < doubt->second.due;
  }
  if (doubt == doubts_.end() || doubt->second.about != Doubt::About::fresh) return false;
  doubt->second.due = now + fresh;
  return is_fresh(look.stamp) && now < doubt->second.first + options_.settle_max;
}

void Tree::missing(const std::string& path, Time now) {
  if (!catalog_.files().contains(path)) {
    doubts_.erase(path);
    return;
  }
  if (expected_gone_.erase(path) > 0) return forget(path);
  Root& root = root_of(path);
  if (!root.present) {
    doubts_.erase(path);
    return;
  }
  const auto found = doubts_.find(path);
  if (found == doubts_.end() || found->second.about != Doubt::About::vanished) {
    root.stirred = now;
    doubt_presence(path, options_.vanished, now);
    return;
  }
  Doubt& doubt = found->second;
  if (now < doubt.due) return;
  root.present = look_at(root.path).form == Look::Form::folder;
  if (!root.present) {
    doubts_.erase(found);  // with the whole folder: find_roots will doubt it anew when that is back
    next_scan_ = now;
  } else if (still_stirring(doubt, root, now)) {
    doubt.due =
        std::min(root.stirred + doubt.patience, doubt.first + patience_max * doubt.patience);
  } else {
    forget(path);
  }
}

void Tree::doubt_presence(const std::string& path, std::chrono::milliseconds patience, Time now) {
  doubts_[path] = {
      .about = Doubt::About::vanished, .due = now + patience, .first = now, .patience = patience};
  catalog_.set(path, doubted(*catalog_.files().at(path)));
}

bool Tree::still_stirring(const Doubt& doubt, const Root& root, Time now) const {
  return now < root.stirred + doubt.patience && now < doubt.first + patience_max * doubt.patience;
}

void Tree::forget(const std::string& path) {
  doubts_.erase(path);
  catalog_.set(path, nullptr);
}

}  // namespace graymesh::source
