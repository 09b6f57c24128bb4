// All files together: which of them has the say for each Key, and the Objects that come of it.
//
// Several documents may claim one Key. The first by (path, line) that is or was good serves; the
// others are refused by name of the first, and one of them takes over when the first goes away.
// What merely is kept from an older text (Standing::found) steps back behind anyone who is really
// there.
//
// One changed file costs what its own Keys cost, and a copy of the table of all of them.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/source/file.h"
#include "control/source/source.h"

namespace graymesh::source {

class Catalog {
 public:
  Catalog();

  // What `path` says from now on; null: it is gone.
  void set(const std::string& path, FilePtr file);
  const std::map<std::string, FilePtr>& files() const { return files_; }

  // Problems of folders and of watching, beside those of files.
  void note(std::vector<model::Problem> notes);

  // All of it, as a new Objects with the next number, or, if nothing changed, the last one.
  ObjectsPtr objects(std::optional<Clock::Steady> since = {});

 private:
  struct Claim {
    FilePtr file;
    const Standing* standing;
  };

  void withdraw(const File& file);
  void enter(const FilePtr& file);
  Entry resolve(const model::Key& key, const std::vector<Claim>& claims) const;
  std::optional<Entry> entry_of(const model::Key& key) const;
  std::vector<model::Problem> nameless() const;

  ObjectsPtr current_;
  std::map<std::string, FilePtr> files_;
  std::map<model::Key, std::vector<Claim>> claims_;  // by (found, path, line)
  std::set<model::Key> touched_;
  std::map<std::string, std::size_t> passed_over_;
  std::set<std::string> with_nameless_;  // paths
  std::vector<model::Problem> notes_;
};

}  // namespace graymesh::source
