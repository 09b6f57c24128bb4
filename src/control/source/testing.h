// What the tests of this room share: a folder that goes away by itself, short objects to put into
// it, and a Folder whose every change is kept, so that a test can ask what was ever seen.
#pragma once

#include <fcntl.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "control/source/source.h"

namespace graymesh::source::testing {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class TempFolder {
 public:
  TempFolder() {
    std::string name = (fs::temp_directory_path() / "graymesh-source-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TempFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const fs::path& path() const { return path_; }
  fs::path operator/(const std::string& name) const { return path_ / name; }

  // In place, as `cat >` does; folders on the way are made.
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << text;
  }
  // As careful editors do.
  void replace(const std::string& name, const std::string& text) const {
    ASSERT_TRUE(write_file(path_ / name, text));
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  fs::path path_;
};

// A small object of a strict kind. "adress" for `field` makes it bad.
inline std::string entry(const std::string& name, const std::string& address,
                         const std::string& field = "address") {
  return fmt::format(
      "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\n"
      "metadata: {{name: {}, namespace: shop}}\nspec:\n  {}: {}\n",
      name, field, address);
}

inline model::Key key(const std::string& name) {
  return {model::Kind::workload_entry, "shop", name};
}

// The address that serves, "" if none does.
inline std::string address(const Objects& objects, const std::string& name) {
  const auto found = objects.entries.find(key(name));
  if (found == objects.entries.end() || !found->second.serving) return "";
  return found->second.serving->as<model::WorkloadEntry>().address;
}

// All that is wrong with one name, one problem a line.
inline std::string errors(const Objects& objects, const std::string& name) {
  const auto found = objects.entries.find(key(name));
  std::string text;
  if (found == objects.entries.end()) return text;
  for (const auto& problem : found->second.errors) text += to_string(problem) + '\n';
  return text;
}

inline std::string nameless(const Objects& objects) {
  std::string text;
  for (const auto& problem : objects.nameless) text += to_string(problem) + '\n';
  return text;
}

// A file as people write them: comments around and between, and not all of it ours.
inline constexpr const char* commented =
    "# Owned by the shop team.\n"
    "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\n"
    "metadata: {name: a, namespace: shop}\nspec:\n  address: 10.0.0.1  # primary\n"
    "# end of a\n"
    "--- # the second\n"
    "\n# about b\n"
    "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\n"
    "metadata: {name: b, namespace: shop}\nspec:\n  address: 10.0.0.2\n"
    "# end of b\n\n"
    "---\n"
    "{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}}\n"
    "---\n"
    "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\n"
    "metadata: {name: c, namespace: shop}\nspec:\n  address: 10.0.0.3";

// An open Folder and all that it ever said.
class Watched {
 public:
  explicit Watched(const TempFolder& place) : Watched(FolderOptions{.folders = {place.path()}}) {}

  explicit Watched(FolderOptions options) {
    // What is promised must not come true only because someone looks around every five seconds.
    if (options.rescan == FolderOptions{}.rescan) options.rescan = 10min;
    // Nor must what a test writes be believed half done because the machine stood still meanwhile.
    if (options.unclosed == FolderOptions{}.unclosed) options.unclosed = 10min;
    auto opened = Folder::open(options, [this](ObjectsPtr objects) { keep(std::move(objects)); });
    EXPECT_TRUE(opened) << (opened ? "" : opened.error().message);
    if (!opened) std::abort();
    folder = std::move(*opened);
    std::lock_guard lock(mutex_);
    if (!newest_) newest_ = folder->objects();
  }
  ~Watched() {
    hold(false);
    folder.reset();
  }

  // The newest that on_change was given; at first, what was read by open().
  ObjectsPtr now() const {
    std::lock_guard lock(mutex_);
    return newest_;
  }

  // True as soon as `holds` of the newest Objects; false after ten seconds.
  bool becomes(const std::function<bool(const Objects&)>& holds) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, [&] { return holds(*newest_); });
  }
  bool becomes(const std::string& name, const std::string& at) {
    return becomes([&](const Objects& objects) { return address(objects, name) == at; });
  }

  // All changes so far, without the first state.
  std::vector<ObjectsPtr> history() const {
    std::lock_guard lock(mutex_);
    return history_;
  }
  bool ever(const std::function<bool(const Objects&)>& holds) const {
    for (const ObjectsPtr& objects : history()) {
      if (holds(*objects)) return true;
    }
    return false;
  }
  bool was_ever_without(const std::string& name) const {
    return ever([&](const Objects& objects) { return address(objects, name).empty(); });
  }

  // Keeps the Folder's thread inside on_change, from its next change on.
  void hold(bool on) {
    std::lock_guard lock(mutex_);
    held_ = on;
    changed_.notify_all();
  }

  std::unique_ptr<Folder> folder;

 private:
  void keep(ObjectsPtr objects) {
    std::unique_lock lock(mutex_);
    newest_ = objects;
    history_.push_back(std::move(objects));
    changed_.notify_all();
    changed_.wait(lock, [&] { return !held_; });
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  ObjectsPtr newest_;
  std::vector<ObjectsPtr> history_;
  bool held_ = false;
};

}  // namespace graymesh::source::testing
