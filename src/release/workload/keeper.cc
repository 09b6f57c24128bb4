// The keeper of one instance: one thread, one poll() over signals, pipes and probes. Ends of
// children come as SIGCHLD, so nothing is looked at twice and nothing sleeps.
//
// What it shall do is a few states: it runs its two wards until it is asked to stop; then
//
//   running ─SIGTERM─> draining ─sidecar ended─> quitting ─application's group gone─> done
//                        SIGTERM to the sidecar     SIGTERM to the application, `stop` later
//                        SIGKILL
//
// We are the subreaper of all below us: what the application starts and forgets becomes our child,
// and is known to be gone.
#include <fmt/core.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>

#include "base/file.h"
#include "release/workload/folder.h"
#include "release/workload/limits.h"
#include "release/workload/prober.h"
#include "release/workload/record.h"
#include "release/workload/substitute.h"
#include "release/workload/ward.h"
#include "release/workload/workload.h"

namespace graymesh::workload {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Phase = Instance::Phase;
using Verdict = Tally::Verdict;

constexpr int exit_stopped = 0;
constexpr int exit_cannot_begin = 1;
constexpr int exit_killed = 4;
// What `graymesh sidecar run` gives Envoy to quit after the drain, and some air.
constexpr auto sidecar_quits = 6500ms;
constexpr auto sidecar_period = 250ms;
constexpr std::uint16_t sidecar_port = 15021;

void print(std::string_view line) { std::fputs(fmt::format("keeper: {}\n", line).c_str(), stderr); }

std::int64_t now_ms(const Clock& clock) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(clock.wall().time_since_epoch())
      .count();
}

Launch application_of(const Spec& spec, const fs::path& folder, const Limits& limits) {
  const auto variables = variables_of(spec);
  Launch launch{.environment = environment_of(spec, variables),
                .directory = spec.pod.directory,
                .cgroup = limits.cgroup,
                .address_space_max = limits.address_space_max};
  launch.environment[folder_variable] = folder.string();
  for (const auto& word : spec.pod.command)
    launch.command.push_back(substitute(word, launch.environment));
  return launch;
}

Launch sidecar_of(const Spec& spec, const fs::path& folder) {
  if (!spec.pod.sidecar) return {};
  std::vector<std::string> command = {
      "graymesh",
      "sidecar",
      "run",
      "--type",
      spec.pod.gateway ? "router" : "sidecar",
      "--address",
      spec.address,
      "--name",
      spec.name,
      "--namespace",
      spec.namespace_,
      "--service-account",
      spec.pod.service_account,
      "--concurrency",
      std::to_string(spec.sidecar_concurrency),
      "--drain-seconds",
      fmt::format("{:.3f}", std::chrono::duration<double>(spec.pod.drain).count())};
  if (!spec.pod.gateway) {
    command.insert(command.end(), {"--app-address", application_address(spec)});
  }
  for (const auto& plane : spec.control_planes) {
    command.insert(command.end(), {"--control-plane", plane});
  }
  for (const auto& [key, value] : spec.pod.labels) {
    command.insert(command.end(), {"--label", fmt::format("{}={}", key, value)});
  }
  command.insert(command.end(), spec.sidecar_args.begin(), spec.sidecar_args.end());
  // Our own program, even if another has taken its place on disk since.
  return {.program = "/proc/self/exe",
          .command = std::move(command),
          .environment = {{folder_variable, folder.string()}}};
}

// Where probes of the application ask, and their commands run.
Target target_of(const Spec& spec, const fs::path& folder) {
  Target target{.address = application_address(spec), .command = application_of(spec, folder, {})};
  for (const Port& port : spec.pod.ports) target.ports.push_back(port.number);
  return target;
}

// A probe's own port, or the first; with kind none all of them.
Target first_port(Target target) {
  if (target.ports.size() > 1) target.ports.resize(1);
  return target;
}

Probe with_substitutions(Probe probe, const Spec& spec) {
  for (auto& word : probe.command)
    word = substitute(word, environment_of(spec, variables_of(spec)));
  return probe;
}

Probe sidecar_probe() {
  return {.kind = Probe::Kind::http,
          .path = "/healthz/ready",
          .port = sidecar_port,
          .period = sidecar_period};
}

class Keeper {
 public:
  Keeper(const Spec& spec, const fs::path& folder, const State& before);
  int live();

 private:
  enum class Stage : std::uint8_t { running, draining, quitting, killing, done };

  void act();
  void act_running();
  void act_stopping();
  void enter(Stage stage, std::chrono::milliseconds limit);
  void judge();
  void evict(std::string reason);

  void wait();
  void take_signals();
  void take_ends();
  void application_ended(int wait_status);
  void sidecar_ended(int wait_status);
  Clock::Steady deadline() const;

  bool application_ready() const;
  bool sidecar_ready() const;
  std::string why_not() const;
  void tell();

  SystemClock clock_;
  const Spec& spec_;
  const fs::path folder_;
  const Limits limits_;
  Descriptor signals_;
  Ward application_;
  Ward sidecar_;
  Prober startup_;
  Prober liveness_;
  Prober readiness_;
  Prober sidecar_readiness_;
  std::array<Prober*, 4> probers_ = {&startup_, &liveness_, &readiness_, &sidecar_readiness_};

  Stage stage_ = Stage::running;
  Clock::Steady stage_deadline_ = Clock::Steady::max();
  bool started_ = false;  // of this life of the application: startup holds, the others are asked
  std::string evicted_;   // why the application was asked to end; empty: it was not
  Clock::Steady evict_deadline_ = Clock::Steady::max();
  bool ever_ready_;
  int restarts_before_;
  bool killed_ = false;
  State told_;
  bool told_well_ = false;
};

Descriptor open_signals() {
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int number : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&wanted, number);
  ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGHUP, SIG_IGN);
  return Descriptor(::signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC));
}

Keeper::Keeper(const Spec& spec, const fs::path& folder, const State& before)
    : spec_(spec),
      folder_(folder),
      limits_(limit(spec)),
      signals_(open_signals()),
      application_(clock_, "application", application_of(spec, folder, limits_),
                   folder / "app.log"),
      sidecar_(clock_, "sidecar", sidecar_of(spec, folder), folder / "sidecar.log"),
      startup_(clock_, with_substitutions(spec.pod.startup, spec),
               first_port(target_of(spec, folder)), false),
      liveness_(clock_, with_substitutions(spec.pod.liveness, spec),
                first_port(target_of(spec, folder)), false),
      readiness_(clock_,
                 spec.pod.readiness.kind == Probe::Kind::none
                     ? all_ports()
                     : with_substitutions(spec.pod.readiness, spec),
                 spec.pod.readiness.kind == Probe::Kind::none ? target_of(spec, folder)
                                                              : first_port(target_of(spec, folder)),
                 true),
      sidecar_readiness_(clock_, sidecar_probe(), {.address = spec.address}, true, true),
      ever_ready_(before.phase == Phase::ready || before.phase == Phase::unready),
      restarts_before_(before.keeper == 0 ? 0 : before.restarts + 1) {}

int Keeper::live() {
  while (stage_ != Stage::done) {
    act();
    tell();
    if (stage_ != Stage::done) wait();
  }
  if (!limits_.cgroup.empty()) ::rmdir(limits_.cgroup.c_str());
  return killed_ ? exit_killed : exit_stopped;
}

void Keeper::act() {
  if (stage_ == Stage::running) {
    act_running();
  } else {
    act_stopping();
  }
}

void Keeper::act_running() {
  if (!application_.running()) {
    application_.start_if_due();
    if (application_.running()) {
      started_ = false;
      startup_.start();
    }
  }
  if (!sidecar_.running()) {
    sidecar_.start_if_due();
    if (sidecar_.running()) sidecar_readiness_.start();
  }
  if (application_.running() && !started_ &&
      (!startup_.exists() || startup_.verdict() == Verdict::holds)) {
    started_ = true;
    startup_.stop();
    readiness_.start();
    liveness_.start();
  }
  judge();
  for (Prober* prober : probers_) prober->ask();
  application_.healthy(application_ready());
  sidecar_.healthy(sidecar_ready());
}

void Keeper::judge() {
  if (evicted_.empty() && application_.running()) {
    for (const Prober* prober : {&startup_, &liveness_}) {
      if (prober->verdict() != Verdict::failed) continue;
      evict(fmt::format("{} failed: {}", prober == &startup_ ? "startup" : "liveness",
                        prober->what()));
      break;
    }
  }
  if (clock_.now() >= evict_deadline_) {
    evict_deadline_ = Clock::Steady::max();
    application_.signal_group(SIGKILL);
  }
}

void Keeper::evict(std::string reason) {
  evicted_ = std::move(reason);
  evict_deadline_ = clock_.now() + spec_.pod.stop;
  for (Prober* prober : {&startup_, &liveness_, &readiness_}) prober->stop();
  application_.signal_group(SIGTERM);
}

void Keeper::enter(Stage stage, std::chrono::milliseconds limit) {
  stage_ = stage;
  stage_deadline_ = clock_.now() + limit;
}

void Keeper::act_stopping() {
  const auto late = [this] { return clock_.now() >= stage_deadline_; };
  if (stage_ == Stage::draining && (late() || !sidecar_.running())) {
    if (sidecar_.running()) {
      killed_ = true;
      sidecar_.signal_group(SIGKILL);
    }
    enter(Stage::quitting, spec_.pod.stop);
    application_.signal_group(SIGTERM);
  }
  const bool gone = !application_.running() && !application_.group_lives() && !sidecar_.running();
  if (gone && stage_ != Stage::draining) {
    stage_ = Stage::done;
  } else if (stage_ == Stage::quitting && late()) {
    killed_ = true;
    enter(Stage::killing, 5s);
    application_.signal_group(SIGKILL);
    sidecar_.signal_group(SIGKILL);
  } else if (stage_ == Stage::killing && late()) {
    print("something cannot even be killed: leaving it");
    stage_ = Stage::done;
  }
}

Clock::Steady Keeper::deadline() const {
  // A status that could not be written is tried again.
  auto until = clock_.now() + (told_well_ ? 60s : 1s);
  if (stage_ != Stage::running) return std::min(until, stage_deadline_);
  until = std::min({until, evict_deadline_, application_.next_start(), sidecar_.next_start()});
  for (const Prober* prober : probers_) until = std::min(until, prober->deadline());
  return until;
}

void Keeper::wait() {
  std::vector<pollfd> polled = {
      {signals_.get(), POLLIN, 0}, application_.interest(), sidecar_.interest()};
  for (const Prober* prober : probers_) polled.push_back(prober->interest());
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline() - clock_.now());
  const auto timeout = std::clamp<std::chrono::milliseconds>(left, 0ms, 60'000ms);
  if (::poll(polled.data(), polled.size(), static_cast<int>(timeout.count())) < 0) {
    for (pollfd& entry : polled) entry.revents = 0;  // EINTR: nothing came
  }
  if (polled[1].revents != 0) application_.read_output();
  if (polled[2].revents != 0) sidecar_.read_output();
  for (std::size_t i = 0; i < probers_.size(); ++i) probers_[i]->advance(polled[i + 3].revents);
  if (polled[0].revents != 0) take_signals();
}

void Keeper::take_signals() {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD) {
      take_ends();
    } else if (stage_ == Stage::running) {
      for (Prober* prober : probers_) prober->stop();
      enter(Stage::draining, spec_.pod.drain + sidecar_quits);
      if (sidecar_.running()) ::kill(sidecar_.pid(), SIGTERM);
    } else {
      stage_deadline_ = clock_.now();  // a second one hastens
    }
  }
}

void Keeper::take_ends() {
  int status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid == application_.pid()) {
      application_ended(status);
    } else if (pid == sidecar_.pid()) {
      sidecar_ended(status);
    } else {
      for (Prober* prober : probers_) prober->ended(pid, status);
    }
  }
}

void Keeper::application_ended(int wait_status) {
  if (stage_ != Stage::running) return application_.stopped();
  for (Prober* prober : {&startup_, &liveness_, &readiness_}) prober->stop();
  application_.fell(wait_status, evicted_);
  started_ = false;
  evicted_.clear();
  evict_deadline_ = Clock::Steady::max();
}

void Keeper::sidecar_ended(int wait_status) {
  if (stage_ != Stage::running) return sidecar_.stopped();
  sidecar_readiness_.stop();
  sidecar_.fell(wait_status, "");
}

bool Keeper::application_ready() const {
  if (!application_.wanted()) return true;
  return application_.running() && started_ && evicted_.empty() &&
         readiness_.verdict() == Verdict::holds;
}

bool Keeper::sidecar_ready() const {
  return !sidecar_.wanted() ||
         (sidecar_.running() && sidecar_readiness_.verdict() == Verdict::holds);
}

std::string Keeper::why_not() const {
  if (!evicted_.empty()) return fmt::format("application is being stopped because {}", evicted_);
  if (application_.wanted() && !started_) {
    return startup_.what().empty() ? "application is starting"
                                   : fmt::format("startup: {}", startup_.what());
  }
  if (!application_ready()) {
    return readiness_.what().empty() ? "application is starting"
                                     : fmt::format("readiness: {}", readiness_.what());
  }
  return sidecar_readiness_.what().empty() ? "sidecar is starting"
                                           : fmt::format("sidecar: {}", sidecar_readiness_.what());
}

// Writes the status if it is not what was written last.
void Keeper::tell() {
  State state{.restarts = restarts_before_ + application_.ends() + sidecar_.ends(),
              .keeper = ::getpid(),
              .application = application_.pid(),
              .sidecar = sidecar_.pid(),
              .limits = limits_.text};
  if (stage_ != Stage::running) {
    state.phase = Phase::stopping;
    state.ended = stage_ == Stage::done;
    if (stage_ == Stage::draining) state.message = "its sidecar drains";
    if (stage_ == Stage::quitting) state.message = "its application was asked to end";
  } else if (application_.wanted() && !application_.running()) {
    state.phase = Phase::crashing;
    state.message = application_.message();
  } else if (sidecar_.wanted() && !sidecar_.running()) {
    state.phase = Phase::crashing;
    state.message = sidecar_.message();
  } else if (application_ready() && sidecar_ready()) {
    state.phase = Phase::ready;
    ever_ready_ = true;
  } else {
    state.phase = ever_ready_ ? Phase::unready : Phase::starting;
    state.message = why_not();
  }
  const bool same_phase = told_.since_ms != 0 && told_.phase == state.phase;
  state.since_ms = same_phase ? told_.since_ms : now_ms(clock_);
  if (told_well_ && state == told_) return;
  const auto written = write_file(folder_ / "status.json", write_state(state));
  if (!written && told_well_) print(written.error().message);
  told_well_ = static_cast<bool>(written);
  told_ = std::move(state);
}

Result<Spec> load_spec(const fs::path& folder) {
  const auto file = folder / "spec.json";
  return read_spec(TRY(read_file(file)), file.string());
}

// Empty if there is none, or none that can be read: then it is as if this were the first life.
State load_state(const fs::path& folder) {
  const auto file = folder / "status.json";
  const auto text = read_file(file);
  if (!text) return {};
  return read_state(*text, file.string()).value_or({.keeper = -1});
}

}  // namespace

int keep(const fs::path& folder_asked) {
  const auto folder = fs::absolute(folder_asked).lexically_normal();
  const auto lock = hold(folder / "lock");
  if (!lock) {
    print(lock.error().message);
    return exit_cannot_begin;
  }
  const auto spec = load_spec(folder);
  if (!spec) {
    print(spec.error().message);
    return exit_cannot_begin;
  }
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const State before = load_state(folder);
  if (before.keeper != 0) kill_leftovers(folder);
  return Keeper(*spec, folder, before).live();
}

}  // namespace graymesh::workload
