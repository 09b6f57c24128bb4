// Where objects come from: folders of YAML and JSON, watched.
//
// Every document stands alone. One that becomes bad leaves its last good state in place and names
// its fault; one that vanishes (file deleted, document removed, folder gone) is gone, unless its
// file still exists but cannot be read as a whole right now (half-written: then the last good state
// of all its objects stays until it can be read again). One of `folders` that is gone as a whole is
// taken for an accident: its objects go on, an error says so, and its files count again when it is
// back.
//
// Inside: disk (what stands there), watch (inotify), file (one file as believed), catalog (all
// files together), tree (when to look at what again), edit (apply and remove), folder (the thread).
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "control/source/entries.h"
#include "model/model.h"

namespace graymesh::source {

// All objects at one instant: immutable, cheap to copy. Two documents of one Key: the one that was
// read first (by file path, then line) serves, and the other is refused by name of the first.
struct Objects {
  std::uint64_t number = 0;                        // grows by one with every change
  Entries entries;                                 // by Key
  std::vector<model::Problem> nameless;            // errors of documents whose Key is not known
  std::map<std::string, std::size_t> passed_over;  // "apps/v1 Deployment" -> count
  std::size_t files = 0;
  // When the first event came of what changed in this one; none: it was found without one.
  std::optional<Clock::Steady> since{};
};
using ObjectsPtr = std::shared_ptr<const Objects>;

struct FolderOptions {
  std::vector<std::filesystem::path>
      folders;  // read recursively: *.yaml, *.yml, *.json; no dot files
  // Events of one save come as several (create, write, close, rename). The folder is read again
  // when it has been quiet for this long, or when `settle_max` has passed; a lone rename or
  // close_write is complete in itself and is taken at once.
  std::chrono::milliseconds settle{2};
  std::chrono::milliseconds settle_max{50};
  // A file being written is left alone until it is closed, or its writer has paused for this long.
  std::chrono::milliseconds unclosed{500};
  // What disappears is believed only after a while. An editor truncates a file before it writes:
  std::chrono::milliseconds empty{100};
  // Git deletes a file before it makes it anew, and `rm -r` empties a folder before that goes
  // itself (and leaves its last good state): gone is what is gone when nothing else vanished for
  // this long.
  std::chrono::milliseconds vanished{100};
  // A whole folder that was gone is back; its files may be still on their way.
  std::chrono::milliseconds returned{1000};
  // All files are looked at by their times every so often, should an event have been missed.
  std::chrono::milliseconds rescan{5000};
  // Changes would wait for that: it is put off until none has come for so long, a minute at most.
  std::chrono::milliseconds lull{100}, lull_max{60'000};
  // The same where not all folders can be watched, or one is gone.
  std::chrono::milliseconds poll{1000};
  std::size_t watches_max = 1u << 20;      // folders; the machine has a limit of its own
  std::size_t file_bytes_max = 64u << 20;  // some 100,000 objects
};

class Folder {
 public:
  // Reads everything once, before it returns (a missing folder is an error; unreadable files are
  // problems of their own), then watches by inotify on a thread of its own. objects() are the
  // first; `on_change` is called on that thread with every one after.
  static Result<std::unique_ptr<Folder>> open(const FolderOptions& options,
                                              std::function<void(ObjectsPtr)> on_change);
  virtual ~Folder() = default;  // stops the thread

  virtual ObjectsPtr objects() const = 0;

  // Edits of the folder itself, as a person would make them: they come back by the watch.
  //
  // Writes each object of `text` (YAML or JSON, many documents) where an object of its Key stands
  // already, replacing just that document of its file; a new one gets a file of its own in the
  // first folder. All of them are checked before the first is written: invalid_argument names every
  // problem. Returns the Keys written, in order, each with what happened.
  enum class Applied : std::uint8_t { created, configured, unchanged };
  virtual Result<std::vector<std::pair<model::Key, Applied>>> apply(const std::string& text) = 0;
  // Takes the document out of its file, and deletes a file that has no other. not_found.
  virtual Status remove(const model::Key& key) = 0;
};

}  // namespace graymesh::source
