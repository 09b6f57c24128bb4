// What stands on disk: which files below some folders are ours to read, and how they look from
// outside.
//
// Ours are regular files named *.yaml, *.yml or *.json whose own name and whose folders' names do
// not begin with a dot. Links are followed. So a mounted ConfigMap reads as one would wish:
// `a.yaml` is a link into `..data`, itself a link to a dot folder that is swapped as a whole, and
// the documents are read once, by the visible name. Each real folder is read once, by whichever
// path comes first.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "model/model.h"

namespace graymesh::source {

// A file as it looked when it was read. The time of inode changes is in it, so that a chmod that
// makes a file readable is noticed.
struct Stamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;  // since 1970
  std::int64_t changed_ns = 0;

  bool operator==(const Stamp&) const = default;
};

struct Look {
  enum class Form : std::uint8_t {
    missing,
    file,
    folder,
    other,       // a FIFO, a device, a socket: never opened
    unreadable,  // there, but the machine refuses to say more: `why`
  };
  Form form = Form::missing;
  Stamp stamp;
  std::string why;  // "Permission denied"
};

// Through links.
Look look_at(const std::string& path);

// True if the name itself is a link, or one of several names of its file: then it appears complete,
// without anyone writing to it.
bool is_link(const std::string& path);

// By name alone: "orders.yaml" yes, ".orders.yaml" and "orders.yaml~" no.
bool is_ours(std::string_view name);

struct Listing {
  struct File {
    std::string path;  // the folder as given, then the way down
    Stamp stamp;
  };
  std::vector<File> files;           // sorted by path
  std::vector<std::string> folders;  // all that were read, sorted
  // Folders that really hold what visible links lead to, if other than `folders`; sorted.
  std::vector<std::string> link_targets;
  bool links = false;                    // there are links among files or folders
  std::vector<model::Problem> problems;  // folders that could not be read
};

// Reads `folders` and all below them. `enter` is called with each folder before it is read, so that
// who watches from then on misses nothing. Folders that do not exist are left out.
Listing list(const std::vector<std::string>& folders,
             const std::function<void(const std::string&)>& enter);

// A Problem of a file or folder as a whole.
model::Problem problem_of(const std::string& path, std::string rule,
                          model::Problem::Severity severity = model::Problem::Severity::error);

}  // namespace graymesh::source
