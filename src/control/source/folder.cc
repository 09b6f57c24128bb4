// The Folder: a Tree on a thread of its own, and edits that go to disk and come back by it.

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/published.h"
#include "control/source/edit.h"
#include "control/source/source.h"
#include "control/source/tree.h"

namespace graymesh::source {
namespace {

using Time = Tree::Time;

// Files change under a plan's feet only while someone else edits: a few attempts outlast a save.
constexpr int attempts_max = 5;

class WatchedFolder final : public Folder {
 public:
  WatchedFolder(const FolderOptions& options, std::function<void(ObjectsPtr)> on_change)
      : tree_(options),
        first_folder_(options.folders.front().string()),
        on_change_(std::move(on_change)),
        wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

  ~WatchedFolder() override {
    if (thread_.joinable()) {
      {
        std::lock_guard lock(mutex_);
        stop_ = true;
      }
      wake();
      thread_.join();
    }
    if (wake_ >= 0) ::close(wake_);
  }

  Status start() {
    if (wake_ < 0)
      return Error{Code::resource_exhausted, std::string("no eventfd: ") + std::strerror(errno)};
    TRY(tree_.open(now()));
    published_.publish(tree_.objects());
    thread_ = std::thread([this] { run(); });
    return {};
  }

  ObjectsPtr objects() const override { return published_.get(); }

  Result<std::vector<std::pair<model::Key, Applied>>> apply(const std::string& text) override {
    EditPlan plan = TRY(edit([&] { return plan_apply(*objects(), text, first_folder_); }));
    return std::move(plan.outcome);
  }

  Status remove(const model::Key& key) override {
    (void)TRY(
        edit([&] { return plan_remove(*objects(), key); }));  // its outcome is that it went well
    return {};
  }

 private:
  static Time now() { return std::chrono::steady_clock::now(); }

  template <typename MakePlan>
  Result<EditPlan> edit(MakePlan make_plan) {
    std::lock_guard lock(edits_);
    for (int attempt = 1;; ++attempt) {
      EditPlan plan = TRY(make_plan());
      expect(plan);
      Status status = carry_out(plan);
      if (status) return plan;
      if (status.error().code != Code::aborted || attempt == attempts_max) return status.error();
    }
  }

  void expect(const EditPlan& plan) {
    std::lock_guard lock(mutex_);
    for (const FileChange& change : plan.changes) {
      if (!change.after) expected_gone_.push_back(change.path);
    }
  }

  void wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t size =
        ::write(wake_, &one, sizeof one);  // full: it is awake already
  }

  void run() {
    while (wait()) {
      tree_.note_events(now);
      tree_.work(now());
      ObjectsPtr newest = tree_.objects();
      if (newest == published_.get()) continue;
      published_.publish(newest);
      on_change_(std::move(newest));
    }
  }

  // Until there are events, or the Tree has something due. False at the end.
  bool wait() {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(tree_.due() - now());
    pollfd ready[] = {{wake_, POLLIN, 0}, {tree_.watch_fd(), POLLIN, 0}};
    ::poll(ready, std::size(ready),
           static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000)));
    std::lock_guard lock(mutex_);
    for (const std::string& path : std::exchange(expected_gone_, {})) tree_.expect_gone(path);
    return !stop_;
  }

  Tree tree_;  // open() before the thread starts; then the thread's
  std::string first_folder_;
  std::function<void(ObjectsPtr)> on_change_;
  Published<Objects> published_;
  std::mutex edits_;  // one edit at a time
  std::mutex mutex_;
  std::vector<std::string> expected_gone_;
  bool stop_ = false;
  int wake_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Folder>> Folder::open(const FolderOptions& options,
                                             std::function<void(ObjectsPtr)> on_change) {
  if (options.folders.empty()) return Error{Code::invalid_argument, "no folder to read"};
  auto folder = std::make_unique<WatchedFolder>(options, std::move(on_change));
  TRY(folder->start());
  return std::unique_ptr<Folder>(std::move(folder));
}

}  // namespace graymesh::source
