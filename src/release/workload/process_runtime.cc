// Instances as processes of this machine: the Runtime's one thread. It gathers what came (orders,
// status files by inotify, ends of keepers by pidfd), does what plan() says, and tells if what is
// to be seen has changed.
//
//   FOLDER/   lock  FE-PRE.WEB-1/ ...  .new-FE-PRE.WEB-2/ (being made)  ended/FE-PRE.WEB-0-<ms>/
//
// A folder gets its name when all is in it, and leaves by a rename: whenever we die, each instance
// is there or it is not.
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {  // which glibc 2.36 has forgotten
#include <sys/pidfd.h>
}

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <mutex>
#include <set>
#include <thread>
#include <tuple>

#include "base/file.h"
#include "release/workload/address.h"
#include "release/workload/backoff.h"
#include "release/workload/child.h"
#include "release/workload/folder.h"
#include "release/workload/plan.h"
#include "release/workload/record.h"
#include "release/workload/workload.h"

namespace graymesh::workload {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Phase = Instance::Phase;

constexpr std::size_t ended_max = 50;    // folders kept for people to look into
constexpr auto keeper_stops = 20'000ms;  // beyond drain and stop; then the keeper itself is stuck
constexpr auto retry = 1000ms;           // of what the machine refused: a folder, a watch
constexpr std::string_view making = ".new-";

void print(std::string_view line) {
  std::fputs(fmt::format("instances: {}\n", line).c_str(), stderr);
}

std::int64_t unix_ms(Clock::Wall time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

Clock::Wall wall_of(std::int64_t milliseconds) {
  return Clock::Wall(std::chrono::milliseconds(milliseconds));
}

// An instance and its keeper, as the thread knows them.
struct Kept {
  fs::path folder;
  Spec spec;
  std::string fault;  // of spec.json or status.json; empty: both can be read
  State told;         // by the keeper, or by the one before it
  Descriptor keeper;  // a pidfd; none: it does not run
  pid_t pid = 0;
  Clock::Steady started{};
  Backoff backoff;
  Clock::Steady next_start = Clock::Steady::max();  // of the keeper
  std::string keeper_end;
  int watch = -1;
  bool ever_ready = false;
  Clock::Steady leaves = Clock::Steady::max();  // terminating: when at the latest
  bool terminating = false;
  bool stopping = false;  // the keeper was told
  Clock::Steady stop_deadline = Clock::Steady::max();
  Instance shown;

  bool told_by_keeper() const { return keeper && told.keeper == pid; }
  bool ready() const { return fault.empty() && told_by_keeper() && told.phase == Phase::ready; }
};

struct Ended {
  fs::path folder = {};
  std::int64_t time_ms = 0;
  std::optional<Loopback> address = {};
};

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
  void take_over_ended();
  void load(const fs::path& folder);
  bool attach(Kept& kept);
  void watch(Kept& kept);
  void refresh(Kept& kept);

  void live();
  void take_orders();
  bool act();
  void start(const Steps::Start& step);
  Status make(const Spec& spec, Kept& kept);
  void start_keeper(Kept& kept);
  void leave(Kept& kept);
  void stop(Kept& kept);
  void keeper_ended(Kept& kept);
  void remove(const std::string& key);
  void prune_ended();

  void wait();
  void take_events();
  Clock::Steady deadline() const;
  Phase phase_of(const Kept& kept) const;
  std::string message_of(const Kept& kept) const;
  Instance describe(const Kept& kept) const;
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
  std::deque<Ended> ended_;           // oldest first
  std::optional<std::vector<Group>> wanted_;
  Clock::Steady retry_ = Clock::Steady::min();  // not to start new ones before

  mutable std::mutex mutex_;  // of what follows
  std::optional<std::vector<Group>> new_wanted_;
  std::vector<std::string> released_;
  std::vector<Instance> published_;

  std::atomic<bool> ending_{false};
  std::thread thread_;
};

std::string key_of(const std::string& namespace_, const std::string& name) {
  return fmt::format("{}.{}", namespace_, name);
}

// ---- what there is when we come

Status Processes::open() {
  std::error_code error;
  folder_ = fs::absolute(options_.folder).lexically_normal();
  fs::create_directories(folder_ / "ended", error);
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
  take_over_ended();
  take_over();
  publish();
  thread_ = std::thread([this] { live(); });
  return {};
}

void Processes::take_over_ended() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_ / "ended", error)) {
    const std::string name = entry.path().filename().string();
    Ended ended{.folder = entry.path()};
    const auto dash = name.rfind('-') + 1;  // 0 if there is none
    std::from_chars(name.data() + dash, name.data() + name.size(), ended.time_ms);
    if (const auto text = read_file(entry.path() / "spec.json")) {
      if (const auto spec = read_spec(*text, "")) ended.address = parse_loopback(spec->address);
    }
    ended_.push_back(std::move(ended));
  }
  std::sort(ended_.begin(), ended_.end(),
            [](const Ended& a, const Ended& b) { return a.time_ms < b.time_ms; });
  prune_ended();
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
  Kept& kept = kept_[key];
  kept.folder = folder;
  const auto file = folder / "spec.json";
  const auto text = read_file(file);
  const auto spec = text ? read_spec(*text, file.string()) : Result<Spec>(text.error());
  if (!spec) {
    kept.fault = spec.error().message;
  } else if (key_of(spec->namespace_, spec->name) != key) {
    kept.fault = fmt::format("{}: is of {}/{}", file.string(), spec->namespace_, spec->name);
  } else {
    kept.spec = *spec;
  }
  const bool alive = attach(kept);
  if (!kept.fault.empty()) {
    print(kept.fault);
    if (!alive) return remove(key);
    const auto dot = key.find('.');
    kept.spec = {.namespace_ = key.substr(0, dot),
                 .name = key.substr(dot == std::string::npos ? 0 : dot + 1)};
    return;
  }
  watch(kept);
  refresh(kept);
  if (alive) {
    kept.stopping = kept.told.phase == Phase::stopping;
  } else if (kept.told.phase == Phase::stopping) {
    kill_leftovers(folder);
    remove(key);
  } else {
    kept.keeper_end = "its keeper is gone";
  }
}

// Finds the keeper that holds the instance's lock. False: there is none.
bool Processes::attach(Kept& kept) {
  const auto lock = kept.folder / "lock";
  const pid_t pid = holder(lock);
  if (pid == 0) return false;
  kept.keeper.reset(::pidfd_open(pid, 0));
  if (!kept.keeper || holder(lock) != pid) {  // ended meanwhile: the number may be another's
    kept.keeper.reset();
    return false;
  }
  kept.pid = pid;
  kept.started = clock_.now();
  return true;
}

void Processes::watch(Kept& kept) {
  kept.watch =
      inotify_ ? ::inotify_add_watch(inotify_.get(), kept.folder.c_str(), IN_MOVED_TO) : -1;
  if (kept.watch < 0) blind_ = true;
}

void Processes::refresh(Kept& kept) {
  const auto file = kept.folder / "status.json";
  const auto text = read_file(file);
  if (!text) return;  // the keeper has not come so far
  auto state = read_state(*text, file.string());
  kept.fault = state ? "" : state.error().message;
  if (!state) return;
  kept.told = *std::move(state);
  kept.ever_ready |= kept.told.phase == Phase::ready || kept.told.phase == Phase::unready;
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
                        .phase = phase_of(kept)});
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
    if (leaving && (now >= kept.leaves || !kept.ready())) stop(kept);
    if (kept.stopping && !kept.keeper) gone.push_back(key);
    if (kept.keeper && now >= kept.stop_deadline) {
      kept.stop_deadline = Clock::Steady::max();
      ::pidfd_send_signal(kept.keeper.get(), SIGKILL, nullptr, 0);
    }
    // Of those whose keeper we found dead, the ones that shall be are known with the first apply().
    if (!kept.keeper && !kept.stopping && wanted_ && kept.next_start == Clock::Steady::max()) {
      kept.next_start = now;
    }
    if (!kept.keeper && !kept.stopping && now >= kept.next_start) start_keeper(kept);
  }
  for (const auto& key : gone) {
    if (!kept_.at(key).told.ended) kill_leftovers(kept_.at(key).folder);
    remove(key);
  }
  return !gone.empty();
}

void Processes::start(const Steps::Start& step) {
  std::set<Loopback> taken;
  const auto take = [&](const std::optional<Loopback>& address) {
    if (address) taken.insert(*address);
  };
  for (const auto& [key, kept] : kept_) take(parse_loopback(kept.spec.address));
  for (const Ended& ended : ended_) take(ended.address);
  const Group& group = *step.group;
  const auto address =
      allocate(static_cast<std::uint8_t>(options_.block), group.pod.gateway, taken);
  Status made = Error{Code::resource_exhausted,
                      fmt::format("no address is left in 127.{}.0.0/16", options_.block)};
  Kept kept;
  if (address) {
    made = make({.namespace_ = group.namespace_,
                 .group = group.name,
                 .name = step.name,
                 .address = to_string(*address),
                 .pod = group.pod,
                 .control_planes = options_.control_planes,
                 .sidecar_concurrency = options_.sidecar_concurrency,
                 .sidecar_args = options_.sidecar_args},
                kept);
  }
  if (!made) {
    print(fmt::format("cannot start {}/{}: {}", group.namespace_, step.name, made.error().message));
    retry_ = clock_.now() + retry;
    return;
  }
  watch(kept);
  start_keeper(kept);
  kept_[key_of(group.namespace_, step.name)] = std::move(kept);
}

Status Processes::make(const Spec& spec, Kept& kept) {
  const std::string key = key_of(spec.namespace_, spec.name);
  const auto temporary = folder_ / fmt::format("{}{}", making, key);
  std::error_code error;
  fs::remove_all(temporary, error);
  fs::create_directory(temporary, error);
  if (!error) {
    TRY(write_file(temporary / "spec.json", write_spec(spec)));
    fs::rename(temporary, folder_ / key, error);
  }
  if (error)
    return Error{Code::internal, fmt::format("{}: {}", temporary.string(), error.message())};
  kept.folder = folder_ / key;
  kept.spec = spec;
  return {};
}

void Processes::start_keeper(Kept& kept) {
  const std::string program = options_.program.string();
  const std::string folder = kept.folder.string();
  const std::string log = (kept.folder / "keeper.log").string();
  const std::array<const char*, 6> arguments = {program.c_str(), "instance",     "run",
                                                "--folder",      folder.c_str(), nullptr};
  kept.next_start = Clock::Steady::max();
  kept.started = clock_.now();
  const pid_t pid = ::fork();
  if (pid == 0) {
    // We have threads: only what is async-signal-safe. A session of its own, so that neither our
    // terminal nor our end reaches it; it stays our child, so that we learn how it ends.
    ::setsid();
    const int input = ::open("/dev/null", O_RDWR);
    const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ::dup2(input, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    // Not one of our sockets: a port would stay taken for as long as the instance lives.
    ::close_range(3, ~0U, 0);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execv(arguments[0], const_cast<char* const*>(arguments.data()));
    ::_exit(127);
  }
  if (pid > 0) kept.keeper.reset(::pidfd_open(pid, 0));
  kept.pid = pid;
  if (!kept.keeper) {
    if (pid > 0) ::kill(pid, SIGKILL);
    kept.keeper_end = fmt::format("cannot start its keeper: {}", std::strerror(errno));
    kept.next_start = clock_.now() + kept.backoff.ended(0s);
  }
}

void Processes::leave(Kept& kept) {
  kept.terminating = true;
  kept.leaves = clock_.now() + options_.hold_max;
}

void Processes::stop(Kept& kept) {
  kept.stopping = true;
  if (!kept.keeper) return;
  ::pidfd_send_signal(kept.keeper.get(), SIGTERM, nullptr, 0);
  kept.stop_deadline = clock_.now() + kept.spec.pod.drain + kept.spec.pod.stop + keeper_stops;
}

void Processes::keeper_ended(Kept& kept) {
  siginfo_t info{};
  const bool ours =
      ::waitid(P_PIDFD, static_cast<id_t>(kept.keeper.get()), &info, WEXITED | WNOHANG) == 0;
  kept.keeper.reset();
  refresh(kept);
  if (kept.told.keeper == kept.pid && kept.told.ended) kept.stopping = true;
  if (kept.stopping) return;  // act() does the rest
  if (attach(kept)) return;   // it had ended because there is another
  std::string how = "ended";
  if (ours) {
    how = info.si_code == CLD_EXITED ? fmt::format("exited with code {}", info.si_status)
                                     : fmt::format("was killed by signal {} ({})", info.si_status,
                                                   ::strsignal(info.si_status));
  }
  const auto now = clock_.now();
  const auto wait = kept.backoff.ended(now - kept.started);
  kept.next_start = now + wait;
  kept.keeper_end = fmt::format("its keeper {}; next start in {:.1f} s", how,
                                std::chrono::duration<double>(wait).count());
  const auto log = read_file(kept.folder / "keeper.log").value_or("");
  const auto end = log.find_last_not_of('\n');
  if (end == std::string::npos) return;
  const auto before = log.find_last_of('\n', end);
  kept.keeper_end +=
      fmt::format("; last line of its log: {}", log.substr(before + 1, end - before));
}

void Processes::remove(const std::string& key) {
  const auto found = kept_.find(key);
  if (found->second.watch >= 0) ::inotify_rm_watch(inotify_.get(), found->second.watch);
  const auto time = unix_ms(clock_.wall());
  Ended ended{.folder = folder_ / "ended" / fmt::format("{}-{}", key, time),
              .time_ms = time,
              .address = parse_loopback(found->second.spec.address)};
  std::error_code error;
  fs::rename(found->second.folder, ended.folder, error);
  if (error) {
    print(fmt::format("cannot move {} to {}: {}", found->second.folder.string(),
                      ended.folder.string(), error.message()));
    fs::remove_all(found->second.folder, error);
  } else {
    ended_.push_back(std::move(ended));
  }
  kept_.erase(found);
  prune_ended();
}

void Processes::prune_ended() {
  std::error_code error;
  for (; ended_.size() > ended_max; ended_.pop_front())
    fs::remove_all(ended_.front().folder, error);
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
    for (auto& [key, kept] : kept_) refresh(kept);
  }
  for (std::size_t i = 0; i < keepers.size(); ++i) {
    if (polled[i + 2].revents != 0) keeper_ended(*keepers[i]);
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
    if (missed || changed.contains(kept.watch)) refresh(kept);
  }
}

// ---- what is to be seen

Phase Processes::phase_of(const Kept& kept) const {
  if (kept.stopping) return Phase::stopping;
  if (kept.terminating) return Phase::terminating;
  if (!kept.keeper) return Phase::crashing;
  if (!kept.told_by_keeper()) return kept.ever_ready ? Phase::unready : Phase::starting;
  if (!kept.fault.empty()) return Phase::unready;
  return kept.told.phase;
}

std::string Processes::message_of(const Kept& kept) const {
  if (!kept.fault.empty()) return kept.fault;
  if (kept.told_by_keeper()) return kept.told.message;
  return kept.keeper ? "its keeper is starting" : kept.keeper_end;
}

Instance Processes::describe(const Kept& kept) const {
  const Spec& spec = kept.spec;
  Instance instance{
      .namespace_ = spec.namespace_,
      .group = spec.group,
      .name = spec.name,
      .address = spec.address,
      .labels = spec.pod.labels,
      .ports = spec.pod.ports,
      .phase = phase_of(kept),
      .restarts = kept.told.restarts,
      .message = message_of(kept),
      .log = kept.folder / (spec.pod.command.empty() ? "sidecar.log" : "app.log"),
  };
  if (kept.told_by_keeper() && kept.told.phase == instance.phase) {
    instance.since = wall_of(kept.told.since_ms);
  } else {
    const bool same = kept.shown.phase == instance.phase && kept.shown.since != Clock::Wall{};
    instance.since = same ? kept.shown.since : clock_.wall();
  }
  return instance;
}

// True if something is otherwise than it was.
bool Processes::publish() {
  std::vector<Instance> now;
  for (auto& [key, kept] : kept_) {
    kept.shown = describe(kept);
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
