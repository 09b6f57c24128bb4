// The files below the folders as they are believed to be, and when to look at which of them again.
//
// It turns events into looks, and looks into the Catalog; time is handed in, and waiting is left to
// the caller: note() what happened, then work() whenever due() has come.
//
// Disbelief is the point of it. What appears is taken at once; what disappears is often the middle
// of something (an editor truncates before it writes, git deletes before it creates, a hand slips),
// so it is believed only after a while:
//
//   a file being written       left alone until it is closed, or its writer has paused
//   a file that became empty   keeps its objects for FolderOptions::empty
//   a file or subfolder gone   keeps them until nothing else vanished for FolderOptions::vanished
//   a whole folder gone        keeps them until it is back, and for FolderOptions::returned after
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "control/source/catalog.h"
#include "control/source/source.h"
#include "control/source/watch.h"

namespace graymesh::source {

class Tree {
 public:
  using Time = Clock::Steady;

  explicit Tree(const FolderOptions& options);

  // The first reading. A missing folder is an error here, and only here.
  Status open(Time now);

  int watch_fd() const { return watch_.fd(); }
  // They came before `now`, which is asked once they are there: none is dated back.
  void note_events(Time (*now)());
  // `path` is about to be deleted by ourselves: no need to doubt it.
  void expect_gone(const std::string& path) { expected_gone_.insert(path); }

  Time due() const;
  // Does what is due; then objects() may be new.
  void work(Time now);
  ObjectsPtr objects();

 private:
  // One of FolderOptions::folders.
  struct Root {
    std::string path;        // as given
    std::string whole_path;  // absolute
    std::string ancestor;    // the nearest folder above it that exists, watched for its return
    bool present = true;
    Time stirred{};  // when a file below last came or went
  };
  // A file to be looked at later.
  struct Doubt {
    enum class About : std::uint8_t { open, fresh, empty, vanished };
    About about = About::open;
    Time due{};
    Time first{};
    std::chrono::milliseconds patience{};  // for `vanished`: since anything else stirred
  };

  void note(const Event& event, Time now);
  void note_file(const Event& event, const std::string& path, Time now);
  bool note_around(const Event& event);
  void gather(Time now);
  Time gathered_due() const;
  Time scan_due() const;

  void rescan(Time now);
  void find_roots(const Listing& listing, Time now);
  std::set<std::string> out_of_date(const Listing& listing, Time now);
  void watch_ancestors();
  void tell(const std::vector<model::Problem>& unreadable);
  void take(const std::set<std::string>& paths, Time now);
  bool wait_for(const std::string& path, const Look& look, Time now);
  void missing(const std::string& path, Time now);
  void doubt_presence(const std::string& path, std::chrono::milliseconds patience, Time now);
  void forget(const std::string& path);
  bool still_stirring(const Doubt& doubt, const Root& root, Time now) const;
  Root& root_of(const std::string& path);

  FolderOptions options_;
  Watch watch_;
  Catalog catalog_;
  std::vector<Root> roots_;
  std::set<std::string> folders_;       // that were read by the last scan
  std::set<std::string> link_targets_;  // folders elsewhere, that links lead into
  bool links_ = false;

  // What came since the last work().
  std::set<std::string> complete_;
  bool scan_ = false;
  Time first_event_{};
  Time last_event_{};

  std::map<std::string, Doubt> doubts_;
  std::set<std::string> expected_gone_;
  // The first event that is not in the Objects yet; it may come to nothing.
  std::optional<Time> since_;
  std::uint64_t number_ = 0;  // of the last Objects
  Time last_work_{};
  Time next_scan_{};
  bool scan_waits_ = false;  // for a lull: nothing depends on it
};

}  // namespace graymesh::source
