// Instances as processes of this machine: the Runtime's one thread. It gathers what came (orders,
// status files by inotify, ends of keepers by pidfd), does what plan() says, and tells if what is
// to be seen has changed.
//
//   FOLDER/   lock  FE-PRE.WEB-1/ ...  .new-FE-PRE.WEB-2/ (being made)  ended/FE-PRE.WEB-0-<ms>/
//
// A folder gets its name when all is in it (kept.h), and leaves by a rename (ended.h): whenever we
// die, each instance is there or it is not.
#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

extern "C" {  // which glibc 2.36 has forgotten
#include <sys/pidfd.h>
}

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <tuple>

#include "base/descriptor.h"
#include "release/workload/address.h"
#include "release/workload/ended.h"
#include "release/workload/folder.h"
#include "release/workload/kept.h"
#include "release/workload/plan.h"
#include "release/workload/workload.h"

namespace graymesh::workload {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Phase = Instance::Phase;

constexpr auto retry = 1000ms;  // of what the machine refused: a folder, a watch

void print(std::string_view line) {
  std::fputs(fmt::format("instances: {}\n", line).c_str(), stderr);
}

class Processes final : public Runtime {
 public:
  Processes(const ProcessOptions& options, std::function<void()> on_change)
      : options_(options), on_change_(std::move(on_change)) {}
  ~Processes() override;
  Status open();

  Status apply(std::vector<Group> wanted) override;
  std::vector<Instance> instances() const override;
  void release(const std::string& namespace_, const std::string& name) override;

 private:
  void take_over();
  void load(const fs::path& folder);
  void watch(Kept& kept);

  void live();
  void take_orders();
  bool act();
  void start(const Steps::Start& step);
  Result<Kept> make(const Group& group, const std::string& name) const;
  void leave(Kept& kept);
  void remove(const std::string& key);

  void wait();
  void take_events();
  Clock::Steady deadline() const;
  bool publish();

  const ProcessOptions options_;
  const std::function<void()> on_change_;
  SystemClock clock_;
  fs::path folder_;
  Descriptor lock_;
  Descriptor wake_;
  Descriptor inotify_;
  bool blind_ = false;                // inotify was refused for one: look at all, now and then
  std::map<std::string, Kept> kept_;  // by the name of their folder
  Ended ended_;
  std::optional<std::vector<Group>> wanted_;
  Clock::Steady retry_ = Clock::Steady::min();  // not to start new ones before

  mutable std::mutex mutex_;  // of what follows
  std::optional<std::vector<Group>> new_wanted_;
  std::vector<std::string> released_;
  std::vector<Instance> published_;

  std::atomic<bool> ending_{false};
  std::thread thread_;
};

// ---- what there is when we come

Status Processes::open() {
  std::error_code error;
  folder_ = fs::absolute(options_.folder).lexically_normal();
  fs::create_directories(folder_, error);
  if (error) {
    return Error{Code::internal,
                 fmt::format("cannot make {}: {}", folder_.string(), error.message())};
  }
  lock_ = TRY(hold(folder_ / "lock"));
  wake_.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  inotify_.reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!wake_) {
    return Error{Code::resource_exhausted, fmt::format("no eventfd: {}", std::strerror(errno))};
  }
  TRY(ended_.open(folder_ / "ended"));
  take_over();
  publish();
  thread_ = std::thread([this] { live(); });
  return {};
}

void Processes::take_over() {
  std::error_code error;
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    if (entry.is_directory(error)) folders.push_back(entry.path());
  }
  for (const auto& folder : folders) {
    if (folder.filename().string().starts_with(making)) {
      fs::remove_all(folder, error);
    } else if (fs::exists(folder / "spec.json", error)) {  // any other is not ours to touch
      load(folder);
    }
  }
}

void Processes::load(const fs::path& folder) {
  const std::string key = folder.filename().string();
  Kept& kept = kept_[key] = Kept::found(folder, clock_.now());
  const bool alive = static_cast<bool>(kept.keeper);
  if (!kept.fault.empty()) {
    print(kept.fault);
    if (!alive) remove(key);
    return;
  }
  watch(kept);
  kept.refresh();
  if (alive) {
    kept.stopping = kept.told.phase == Phase::stopping;
    if (kept.stopping) kept.stop_deadline = kept.stops_until(clock_.now());
  } else if (kept.told.phase == Phase::stopping) {
    kill_leftovers(folder);
    remove(key);
  } else {
    kept.keeper_end = "its keeper is gone";
  }
}

void Processes::watch(Kept& kept) {
  kept.watch =
      inotify_ ? ::inotify_add_watch(inotify_.get(), kept.folder.c_str(), IN_MOVED_TO) : -1;
  if (kept.watch < 0) blind_ = true;
}

// ---- orders, from any thread

Processes::~Processes() {
  ending_ = true;
  if (wake_) (void)::eventfd_write(wake_.get(), 1);
  if (thread_.joinable()) thread_.join();
}

Status Processes::apply(std::vector<Group> wanted) {
  TRY(check(wanted));
  {
    const std::lock_guard lock(mutex_);
    new_wanted_ = std::move(wanted);
  }
  (void)::eventfd_write(wake_.get(), 1);
  return {};
}

std::vector<Instance> Processes::instances() const {
  const std::lock_guard lock(mutex_);
  return published_;
}

void Processes::release(const std::string& namespace_, const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    released_.push_back(key_of(namespace_, name));
  }
  (void)::eventfd_write(wake_.get(), 1);
}

// ---- the thread

void Processes::live() {
  while (!ending_) {
    take_orders();
    while (act()) {
    }
    if (publish()) on_change_();
    wait();
  }
}

void Processes::take_orders() {
  std::vector<std::string> released;
  {
    const std::lock_guard lock(mutex_);
    if (new_wanted_) wanted_ = std::exchange(new_wanted_, std::nullopt);
    released.swap(released_);
  }
  for (const auto& key : released) {
    const auto found = kept_.find(key);
    if (found != kept_.end() && found->second.terminating)
      found->second.leaves = Clock::Steady::min();
  }
}

// One round of doing what is to be done now. True if it may have brought about more to do.
bool Processes::act() {
  const auto now = clock_.now();
  if (wanted_) {
    std::vector<Living> living;
    for (const auto& [key, kept] : kept_) {
      const Spec& spec = kept.spec;
      living.push_back({.namespace_ = spec.namespace_,
                        .group = spec.group,
                        .name = spec.name,
                        .pod = &spec.pod,
                        .outdated = spec.pod.sidecar &&
                                    (spec.control_planes != options_.control_planes ||
                                     spec.sidecar_concurrency != options_.sidecar_concurrency ||
                                     spec.sidecar_args != options_.sidecar_args),
                        .phase = kept.phase()});
    }
    const Steps steps = plan(*wanted_, living);
    for (const Living* instance : steps.leave) {
      leave(kept_.at(key_of(instance->namespace_, instance->name)));
    }
    if (now >= retry_) {
      for (const auto& step : steps.start) start(step);
    }
  }
  std::vector<std::string> gone;
  for (auto& [key, kept] : kept_) {
    const bool leaving = kept.terminating && !kept.stopping;
    if (leaving && (now >= kept.leaves || !kept.ready())) kept.stop(now);
    if (kept.stopping && !kept.keeper) gone.push_back(key);
    if (kept.keeper && now >= kept.stop_deadline) {
      kept.stop_deadline = Kept::never;
      ::pidfd_send_signal(kept.keeper.get(), SIGKILL, nullptr, 0);
    }
    // Of those whose keeper we found dead, the ones that shall be are known with the first apply().
    if (!kept.keeper && !kept.stopping && wanted_ && kept.next_start == Kept::never) {
      kept.next_start = now;
    }
    if (!kept.keeper && !kept.stopping && now >= kept.next_start) {
      kept.start_keeper(options_.program.string(), now);
    }
  }
  for (const auto& key : gone) {
    if (!kept_.at(key).told.ended) kill_leftovers(kept_.at(key).folder);
    remove(key);
  }
  return !gone.empty();
}

void Processes::start(const Steps::Start& step) {
  const Group& group = *step.group;
  auto made = make(group, step.name);
  if (!made) {
    print(fmt::format("cannot start {}/{}: {}", group.namespace_, step.name, made.error().message));
    retry_ = clock_.now() + retry;
    return;
  }
  watch(*made);
  made->start_keeper(options_.program.string(), clock_.now());
  kept_[key_of(group.namespace_, step.name)] = *std::move(made);
}

Result<Kept> Processes::make(const Group& group, const std::string& name) const {
  std::set<Loopback> taken;
  ended_.add_addresses(taken);
  for (const auto& [key, kept] : kept_) {
    if (const auto address = parse_loopback(kept.spec.address)) taken.insert(*address);
  }
  const auto address =
      allocate(static_cast<std::uint8_t>(options_.block), group.pod.gateway, taken);
  if (!address) {
    return Error{Code::resource_exhausted,
                 fmt::format("no address is left in 127.{}.0.0/16", options_.block)};
  }
  return Kept::make(folder_, {.namespace_ = group.namespace_,
                              .group = group.name,
                              .name = name,
                              .address = to_string(*address),
                              .pod = group.pod,
                              .control_planes = options_.control_planes,
                              .sidecar_concurrency = options_.sidecar_concurrency,
                              .sidecar_args = options_.sidecar_args});
}

void Processes::leave(Kept& kept) {
  kept.terminating = true;
  kept.leaves = clock_.now() + options_.hold_max;
}

void Processes::remove(const std::string& key) {
  const auto found = kept_.find(key);
  const Kept& kept = found->second;
  if (kept.watch >= 0) ::inotify_rm_watch(inotify_.get(), kept.watch);
  const Status moved = ended_.add(key, kept.folder, kept.spec.address, clock_.wall());
  if (!moved) print(moved.error().message);
  kept_.erase(found);
}

Clock::Steady Processes::deadline() const {
  const auto now = clock_.now();
  auto until = now + (blind_ ? retry : 60'000ms);
  if (retry_ > now) until = std::min(until, retry_);
  for (const auto& [key, kept] : kept_) {
    until = std::min({until, kept.next_start, kept.stop_deadline});
    if (kept.terminating && !kept.stopping) until = std::min(until, kept.leaves);
  }
  return until;
}

void Processes::wait() {
  std::vector<pollfd> polled = {{wake_.get(), POLLIN, 0}, {inotify_.get(), POLLIN, 0}};
  std::vector<Kept*> keepers;
  for (auto& [key, kept] : kept_) {
    if (!kept.keeper) continue;
    polled.push_back({kept.keeper.get(), POLLIN, 0});
    keepers.push_back(&kept);
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline() - clock_.now());
  const auto timeout = std::clamp<std::chrono::milliseconds>(left, 0ms, 60'000ms);
  if (::poll(polled.data(), polled.size(), static_cast<int>(timeout.count())) < 0) return;
  if (polled[0].revents != 0) {
    eventfd_t count = 0;
    (void)::eventfd_read(wake_.get(), &count);
  }
  if (polled[1].revents != 0) take_events();
  if (blind_) {
    for (auto& [key, kept] : kept_) kept.refresh();
  }
  for (std::size_t i = 0; i < keepers.size(); ++i) {
    if (polled[i + 2].revents != 0) keepers[i]->keeper_ended(clock_.now());
  }
}

void Processes::take_events() {
  std::set<int> changed;
  bool missed = false;
  alignas(inotify_event) char buffer[1 << 16];
  for (ssize_t size = 0; (size = ::read(inotify_.get(), buffer, sizeof buffer)) > 0;) {
    for (ssize_t at = 0; at < size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      missed |= (event->mask & IN_Q_OVERFLOW) != 0;
      if (event->len > 0 && std::string_view(event->name) == "status.json") {
        changed.insert(event->wd);
      }
    }
  }
  for (auto& [key, kept] : kept_) {
    if (missed || changed.contains(kept.watch)) kept.refresh();
  }
}

// ---- what is to be seen

// True if something is otherwise than it was.
bool Processes::publish() {
  std::vector<Instance> now;
  for (auto& [key, kept] : kept_) {
    kept.shown = kept.describe(clock_.wall());
    now.push_back(kept.shown);
  }
  std::sort(now.begin(), now.end(), [](const Instance& a, const Instance& b) {
    return std::tie(a.namespace_, a.name) < std::tie(b.namespace_, b.name);
  });
  const std::lock_guard lock(mutex_);
  if (now == published_) return false;
  published_ = std::move(now);
  return true;
}

Status check_options(const ProcessOptions& options) {
  if (options.folder.empty())
    return Error{Code::invalid_argument, "instances: folder must be there"};
  if (options.block < 0 || options.block > 63) {
    return Error{Code::invalid_argument,
                 fmt::format("instances: block is {}, must be 0 to 63", options.block)};
  }
  if (::access(options.program.c_str(), X_OK) != 0) {
    return Error{Code::not_found, fmt::format("instances: program {}: {}", options.program.string(),
                                              std::strerror(errno))};
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Runtime>> process_runtime(const ProcessOptions& options,
                                                 std::function<void()> on_change) {
  TRY(check_options(options));
  auto runtime = std::make_unique<Processes>(options, std::move(on_change));
  TRY(runtime->open());
  return std::unique_ptr<Runtime>(std::move(runtime));
}

}  // namespace graymesh::workload
