// run() as a whole, in a process of its own, beside a small program that plays Envoy's admin.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "sidecar/probe.h"
#include "sidecar/sidecar.h"

namespace graymesh::sidecar {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

class Run : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "graymesh-run-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    ::setenv("FAKE_ENVOY_LOG", log().c_str(), 1);
    ::unsetenv("FAKE_ENVOY_STUBBORN");
    // A loopback address of our own, so that tests run side by side.
    const auto id = static_cast<unsigned>(::getpid());
    options_.identity = {
        .address = "127.126." + std::to_string(id / 250 % 250) + "." + std::to_string(id % 250 + 1),
        .name = "web-0"};
    options_.envoy_path = "src/sidecar/testdata/fake_envoy.py";
    options_.drain_duration = 300ms;
    options_.drain_min = 100ms;
    options_.kill_after = 20s;
  }

  void TearDown() override {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    std::filesystem::remove_all(folder_);
  }

  void start() {
    pid_ = ::fork();
    ASSERT_GE(pid_, 0);
    if (pid_ == 0) {
      options_.report = [file = (folder_ / "reports").string()](std::string_view line) {
        std::ofstream(file, std::ios::app) << line << "\n";
      };
      const auto outcome = run(options_);
      ::_exit(outcome ? static_cast<int>(*outcome) : 1);
    }
  }

  // 0 when nobody answers.
  Reply readiness() {
    const SystemClock clock;
    Probe probe(clock,
                *make_address(options_.identity.address, options_.bootstrap.ports.readiness));
    probe.begin("GET", "/healthz/ready", 1s);
    for (;;) {
      pollfd polled = probe.interest();
      if (::poll(&polled, 1, 1000) <= 0) polled.revents = 0;
      if (auto reply = probe.advance(polled.revents)) return *reply;
    }
  }

  template <typename Condition>
  static bool eventually(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (std::chrono::steady_clock::now() < deadline) {
      if (condition()) return true;
      std::this_thread::sleep_for(5ms);
    }
    return false;
  }

  bool becomes_ready() {
    return eventually([this] { return readiness().status == 200; });
  }

  int exit_code() {
    int status = 0;
    ::waitpid(std::exchange(pid_, 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  pid_t envoy_pid() const {
    const auto reports = read_file(folder_ / "reports").value_or("");
    const auto at = reports.rfind("started envoy, pid ");
    return at == std::string::npos ? 0 : std::atoi(reports.c_str() + at + 19);
  }

  std::filesystem::path log() const { return folder_ / "log"; }
  std::string asked() const { return read_file(log()).value_or(""); }

  std::filesystem::path folder_;
  RunOptions options_;
  pid_t pid_ = 0;
};

TEST_F(Run, DrainsBeforeItEnds) {
  options_.drain_duration = 1500ms;  // long enough to be seen
  start();
  ASSERT_TRUE(becomes_ready());
  ::kill(pid_, SIGTERM);
  EXPECT_TRUE(eventually([this] { return readiness().status == 503; }));
  EXPECT_EQ(exit_code(), 0);
  EXPECT_THAT(asked(), HasSubstr("POST /drain_listeners?graceful"));
  EXPECT_THAT(asked(), HasSubstr("SIGTERM"));
}

TEST_F(Run, AnswersForAnEnvoyThatStandsStill) {
  start();
  ASSERT_TRUE(becomes_ready());
  ::kill(envoy_pid(), SIGSTOP);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(readiness().status, 200);
    std::this_thread::sleep_for(10ms);
  }
  ::kill(envoy_pid(), SIGCONT);
}

TEST_F(Run, StartsAnEnvoyThatDiedAgain) {
  start();
  ASSERT_TRUE(becomes_ready());
  const pid_t first = envoy_pid();
  ::kill(first, SIGKILL);
  EXPECT_TRUE(eventually([this] { return readiness().status == 503; }));
  EXPECT_TRUE(becomes_ready());
  EXPECT_NE(envoy_pid(), first);
}

TEST_F(Run, KillsAnEnvoyThatWillNotQuit) {
  ::setenv("FAKE_ENVOY_STUBBORN", "1", 1);
  options_.kill_after = 300ms;
  start();
  ASSERT_TRUE(becomes_ready());
  ::kill(pid_, SIGTERM);
  EXPECT_EQ(exit_code(), 4);
}

TEST_F(Run, TakesEnvoyAlongWhenItIsKilled) {
  start();
  ASSERT_TRUE(becomes_ready());
  const pid_t envoy = envoy_pid();
  ::kill(pid_, SIGKILL);
  // Whoever inherits it may be slow to reap it: dead is enough.
  EXPECT_TRUE(eventually([envoy] {
    const auto state = read_file("/proc/" + std::to_string(envoy) + "/stat").value_or("gone) Z");
    return state[state.rfind(')') + 2] == 'Z';
  }));
}

TEST_F(Run, GivesUpAnEnvoyThatCannotStart) {
  options_.envoy_path = "/bin/false";
  start();
  EXPECT_EQ(exit_code(), 3);
}

TEST_F(Run, RefusesWhatCannotWorkBeforeItStartsAnything) {
  options_.envoy_path = "/none/envoy";
  EXPECT_EQ(run(options_).error().code, Code::not_found);
  options_.envoy_path = "/bin/sh";
  options_.identity.labels["big"] = std::string(200'000, 'x');
  EXPECT_EQ(run(options_).error().code, Code::resource_exhausted);
}

}  // namespace
}  // namespace graymesh::sidecar
