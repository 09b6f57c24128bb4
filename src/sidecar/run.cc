// The loop of one sidecar: feels for signals, the child's end, the admin's replies and readiness
// probes with one poll(), and lets Lifecycle and Readiness decide. One thread; nothing here waits
// for anything else.
#include <fmt/core.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <random>

#include "base/file.h"
#include "sidecar/door.h"
#include "sidecar/lifecycle.h"
#include "sidecar/probe.h"
#include "sidecar/process.h"
#include "sidecar/readiness.h"
#include "sidecar/sidecar.h"

namespace graymesh::sidecar {
namespace {

using namespace std::chrono_literals;

constexpr auto probe_often = 100ms;  // while something is about to change
constexpr auto probe_calm = 1000ms;
// Longer than most pushes take to apply; a slower one costs a reconnect, not readiness.
constexpr auto probe_timeout = 2000ms;

// Signals come as bytes of a descriptor for as long as this lives.
class Signals {
 public:
  Signals() {
    sigset_t wanted;
    sigemptyset(&wanted);
    for (const int number : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&wanted, number);
    ::pthread_sigmask(SIG_BLOCK, &wanted, &before_);
    descriptor_.reset(::signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC));
  }
  ~Signals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  int descriptor() const { return descriptor_.get(); }
  int next() {  // 0: none
    signalfd_siginfo info;
    return ::read(descriptor_.get(), &info, sizeof info) == sizeof info
               ? static_cast<int>(info.ssi_signo)
               : 0;
  }

 private:
  Descriptor descriptor_;
  sigset_t before_;
};

class Sidecar {
 public:
  Sidecar(const RunOptions& options, std::vector<std::string> command, Address admin)
      : options_(options),
        command_(std::move(command)),
        readiness_(clock_),
        lifecycle_(clock_,
                   {.drain_duration = options.drain_duration,
                    .drain_min = options.drain_min,
                    .kill_after = options.kill_after},
                   std::random_device{}()),
        probe_(clock_, admin),
        probe_due_(clock_.now()) {}

  Result<Outcome> live();

 private:
  Reply answer(std::string_view path) const;
  Status act(Lifecycle::Action action);
  void ask();
  void hear(const Reply& reply);
  void take_signal(int number);
  void take_end(int wait_status);
  void wait(Door& door);
  template <typename... Args>
  void report(fmt::format_string<Args...> format, Args&&... args) const {
    const auto line = fmt::format(format, std::forward<Args>(args)...);
    if (options_.report) return options_.report(line);
    std::fputs(fmt::format("sidecar {}.{}: {}\n", options_.identity.name,
                           options_.identity.namespace_, line)
                   .c_str(),
               stderr);
  }

  enum class Question : std::uint8_t { ready, configured, drain, connections };

  const RunOptions& options_;
  const std::vector<std::string> command_;
  SystemClock clock_;
  Signals signals_;
  Process envoy_;
  Readiness readiness_;
  Lifecycle lifecycle_;
  Probe probe_;
  Question question_ = Question::ready;
  Clock::Steady probe_due_;
  Clock::Steady started_{};
  bool drain_asked_ = false;
  bool reported_ready_ = false;
};

Reply Sidecar::answer(std::string_view path) const {
  if (path != "/healthz/ready") return {404, "only /healthz/ready is here\n"};
  return {readiness_.ready() ? 200 : 503, readiness_.text() + "\n"};
}

Status Sidecar::act(Lifecycle::Action action) {
  switch (action) {
    case Lifecycle::Action::none:
    case Lifecycle::Action::finish:
      return {};
    case Lifecycle::Action::start:
      envoy_ = TRY(Process::start(command_));
      started_ = probe_due_ = clock_.now();
      lifecycle_.started();
      readiness_.started();
      report("started envoy, pid {}", envoy_.pid());
      return {};
    case Lifecycle::Action::drain:
      readiness_.drain();
      probe_.cancel();
      probe_due_ = clock_.now();
      report("draining for up to {:.1f} s",
             std::chrono::duration<double>(options_.drain_duration).count());
      return {};
    case Lifecycle::Action::quit:
      envoy_.signal(SIGTERM);
      return {};
    case Lifecycle::Action::kill:
      report("envoy does not quit, killing it");
      envoy_.signal(SIGKILL);
      return {};
  }
  return {};
}

// Puts the one question that matters most now to the admin, if it is time and it is not busy.
void Sidecar::ask() {
  if (probe_.busy() || !envoy_.running() || clock_.now() < probe_due_) return;
  probe_due_ = clock_.now() + probe_often;  // should it not even get a socket
  const bool draining = lifecycle_.state() == Lifecycle::State::draining;
  if (draining && !drain_asked_) {
    question_ = Question::drain;
    return probe_.begin("POST", "/drain_listeners?graceful", probe_timeout);
  }
  question_ = draining                        ? Question::connections
              : readiness_.wants_configured() ? Question::configured
                                              : Question::ready;
  const std::string_view paths[] = {"/ready", configured_query, "", connections_query};
  probe_.begin("GET", paths[static_cast<std::size_t>(question_)], probe_timeout);
}

void Sidecar::hear(const Reply& reply) {
  switch (question_) {
    case Question::ready:
      readiness_.answered(read_ready(reply.status, reply.body));
      break;
    case Question::configured:
      readiness_.configured(reply.status == 200 && read_configured(reply.body));
      break;
    case Question::drain:
      drain_asked_ = reply.status == 200;
      break;
    case Question::connections:
      if (reply.status == 200) {
        lifecycle_.connections(read_connections(reply.body, options_.bootstrap.ports.stats));
      }
      break;
  }
  probe_due_ = clock_.now() + (readiness_.ready() ? probe_calm : probe_often);
  if (readiness_.wants_configured() && question_ == Question::ready) probe_due_ = clock_.now();
  if (readiness_.ready() && !reported_ready_) {
    report("ready after {:.2f} s", std::chrono::duration<double>(clock_.now() - started_).count());
  }
  reported_ready_ = readiness_.ready();
}

void Sidecar::take_signal(int number) {
  if (number == SIGCHLD) {
    if (const auto end = envoy_.reap()) take_end(*end);
    return;
  }
  lifecycle_.signalled();
}

void Sidecar::take_end(int wait_status) {
  const bool asked = lifecycle_.state() != Lifecycle::State::running;
  lifecycle_.exited(readiness_.was_live());
  readiness_.exited();
  probe_.cancel();
  if (asked) return;
  const double lived = std::chrono::duration<double>(clock_.now() - started_).count();
  const auto end = describe_end(wait_status);
  if (lifecycle_.state() == Lifecycle::State::done) {
    report("envoy ended {} after {:.1f} s; it was started {} times and never live: giving up", end,
           lived, Lifecycle::starts_max);
  } else {
    report("envoy ended {} after {:.1f} s; restart {} in {:.2f} s", end, lived,
           lifecycle_.restarts(), std::chrono::duration<double>(lifecycle_.backoff()).count());
  }
}

void Sidecar::wait(Door& door) {
  std::vector<pollfd> polled = {{signals_.descriptor(), POLLIN, 0}, probe_.interest()};
  door.interest(polled);
  auto until = std::min(lifecycle_.deadline(), door.deadline());
  if (probe_.busy()) until = std::min(until, probe_.deadline());
  if (!probe_.busy() && envoy_.running()) until = std::min(until, probe_due_);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock_.now());
  const auto timeout = std::clamp<std::chrono::milliseconds>(left, 0ms, 60'000ms);
  if (::poll(polled.data(), polled.size(), static_cast<int>(timeout.count())) < 0) {
    for (pollfd& entry : polled) entry.revents = 0;  // EINTR: nothing came
  }
  while (const int number = signals_.next()) take_signal(number);
  if (const auto reply = probe_.advance(polled[1].revents)) hear(*reply);
  door.advance(polled.data() + 2);
}

Result<Outcome> Sidecar::live() {
  const Ports& ports = options_.bootstrap.ports;
  Door door = TRY(Door::open(clock_, options_.identity.address, ports.readiness,
                             [this](std::string_view path) { return answer(path); }));
  report("readiness at http://{}:{}/healthz/ready, admin at http://{}:{}/",
         options_.identity.address, door.port(), admin_address(options_.identity), ports.admin);
  for (;;) {
    for (auto action = lifecycle_.next(); action != Lifecycle::Action::none;
         action = lifecycle_.next()) {
      TRY(act(action));
      if (action == Lifecycle::Action::finish) return lifecycle_.outcome();
    }
    ask();
    wait(door);
  }
}

}  // namespace

Result<Outcome> run(const RunOptions& options) {
  std::string config = TRY(bootstrap(options.identity, options.bootstrap));
  // The kernel's MAX_ARG_STRLEN is 128 KiB.
  if (config.size() >= std::size_t{128} * 1024) {
    return Error{
        Code::resource_exhausted,
        fmt::format("proxy {}: its bootstrap has {} bytes, Envoy can be given 131071: fewer "
                    "labels and annotations",
                    options.identity.name, config.size())};
  }
  const auto envoy = TRY(find_envoy(options.envoy_path));
  const Address admin =
      TRY(make_address(admin_address(options.identity), options.bootstrap.ports.admin));
  ::setenv("OTEL_RESOURCE_ATTRIBUTES", span_attributes(options.identity).c_str(), 0);
  if (!options.bootstrap_file.empty()) TRY(write_file(options.bootstrap_file, config + "\n"));
  return Sidecar(options, envoy_command(options, envoy.string(), std::move(config)), admin).live();
}

}  // namespace graymesh::sidecar
