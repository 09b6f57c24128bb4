// inotify, told in our words.
//
// A folder is watched by its path; one that is known by two paths (a link) is told of by both.
// Nothing here looks at files. The machine may refuse to watch (no descriptors, no memory, the
// limit fs.inotify.max_user_watches): then `complete()` is false, and someone has to look by
// himself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace graymesh::source {

struct Event {
  enum class What : std::uint8_t {
    complete,     // a file was closed after writing, or moved here
    touched,      // its attributes changed
    made,         // a file has appeared: its writer is not done, if it has one (links have none)
    open,         // a file was written to, and its writer is not done
    gone,         // deleted or moved away
    folder_came,  // made here or moved here
    folder_gone,  // deleted or moved away
    itself_gone,  // the watched folder is no longer where it was; `name` is empty
    missed,       // more happened than the kernel remembers; `folder` and `name` are empty
  };
  What what = What::missed;
  std::string folder;
  std::string name;
};

class Watch {
 public:
  // At most `folders_max` folders, beside the machine's own limit.
  explicit Watch(std::size_t folders_max);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  int fd() const {
    return fd_;
  }  // readable when there are events; -1 if the machine has no inotify for us
  bool complete() const { return refused_.empty(); }
  const std::string& refused() const { return refused_; }  // why not all is watched

  // Watches `folder` from now on. Again is harmless, and is needed when another folder may stand at
  // the path. False if there is none, or it cannot be watched.
  bool add(const std::string& folder);
  // Stops watching all but these.
  void keep_only(const std::vector<std::string>& folders);
  // A new attempt may find room.
  void forget_refusal() {
    if (fd_ >= 0) refused_.clear();
  }

  // What happened since the last call, in order; never waits.
  std::vector<Event> take();

 private:
  void drop(int id, const std::string& folder);

  int fd_ = -1;
  std::size_t folders_max_;
  std::string refused_;
  std::map<std::string, int> by_path_;
  std::map<int, std::vector<std::string>> by_id_;
};

}  // namespace graymesh::source
