// The Runtime with real keepers and real processes; testing_main.cc has the programs. Each test has
// a folder and a block of addresses of its own, and leaves neither process nor folder behind.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <fstream>
#include <iostream>

#include "base/file.h"
#include "release/workload/ending.h"
#include "release/workload/folder.h"
#include "release/workload/record.h"
#include "release/workload/workload.h"

namespace graymesh::workload {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using namespace std::chrono_literals;
using Phase = Instance::Phase;
using Steady = std::chrono::steady_clock;

// As tools/demo_mesh.py claims one: by a bound socket.
class Block {
 public:
  Block() {
    for (number_ = 63; number_ > 0; --number_) {
      claim_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(15999);
      ::inet_pton(AF_INET, ("127." + std::to_string(number_) + ".255.254").c_str(),
                  &address.sin_addr);
      if (::bind(claim_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return;
    }
  }
  int number() const { return number_; }

 private:
  int number_;
  Descriptor claim_;
};

std::string this_program() { return fs::read_symlink("/proc/self/exe").string(); }

class Instances : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "graymesh-instances-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    options_ = {.folder = folder_ / "run",
                .program = this_program(),
                .block = block_.number(),
                .hold_max = 60s};
    begin();
  }

  void TearDown() override {
    if (!runtime_) begin();
    ASSERT_TRUE(runtime_->apply({}));
    EXPECT_TRUE(eventually([this] {
      for (const auto& instance : runtime_->instances()) {
        runtime_->release(instance.namespace_, instance.name);
      }
      return runtime_->instances().empty();
    })) << told();
    runtime_.reset();
    EXPECT_THAT(processes(), IsEmpty());
    std::vector<std::string> left;
    for (const auto& entry : fs::directory_iterator(options_.folder)) {
      left.push_back(entry.path().filename());
    }
    EXPECT_THAT(left, testing::UnorderedElementsAre("lock", "ended"));
    fs::remove_all(folder_);
  }

  void begin() {
    auto runtime = process_runtime(options_, [this] {
      const std::lock_guard lock(mutex_);
      ++changes_;
      changed_.notify_all();
    });
    ASSERT_TRUE(runtime) << runtime.error().message;
    runtime_ = *std::move(runtime);
  }

  // Looks again after each change that we are told of, and now and then.
  template <typename Condition>
  bool eventually(Condition condition) {
    const auto deadline = Steady::now() + 30s;
    std::unique_lock lock(mutex_);
    for (;;) {
      const auto seen = changes_;
      lock.unlock();
      if (condition()) return true;
      if (Steady::now() > deadline) return false;
      lock.lock();
      changed_.wait_for(lock, 20ms, [&] { return changes_ != seen; });
    }
  }

  Instance instance(const std::string& name) const {
    for (const auto& found : runtime_->instances()) {
      if (found.name == name) return found;
    }
    return {};
  }
  bool becomes(const std::string& name, Phase phase) {
    return eventually(
        [&] { return !instance(name).name.empty() && instance(name).phase == phase; });
  }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& found : runtime_->instances()) names.push_back(found.name);
    return names;
  }
  std::string told() const {
    std::string text;
    for (const auto& found : runtime_->instances()) {
      text += found.name + " " + std::string(name_of(found.phase)) + " " + found.message + "\n" +
              read_file(found.log).value_or("") + "\n";
    }
    return text;
  }

  fs::path home(const std::string& name) const { return options_.folder / ("shop." + name); }
  State state(const std::string& name) const {
    const auto text = read_file(home(name) / "status.json");
    return text ? read_state(*text, name).value_or({}) : State{};
  }
  std::string log(const std::string& name) const {
    return read_file(home(name) / "app.log").value_or("");
  }
  // The log of one that has ended.
  std::string last_log(const std::string& name, const std::string& file = "app.log") const {
    std::string last;
    for (const auto& entry : fs::directory_iterator(options_.folder / "ended")) {
      if (entry.path().filename().string().starts_with("shop." + name + "-")) {
        last = read_file(entry.path() / file).value_or("");
      }
    }
    return last;
  }

  // Ids of all processes of instances below our folder.
  std::vector<int> processes() const {
    std::vector<int> found;
    const std::string wanted = std::string(folder_variable) + "=" + options_.folder.string();
    for (const auto& process : fs::directory_iterator("/proc")) {
      const int pid = std::atoi(process.path().filename().c_str());
      if (pid == 0) continue;
      std::ifstream in(process.path() / "environ", std::ios::binary);
      for (std::string variable; std::getline(in, variable, '\0');) {
        if (variable.starts_with(wanted)) found.push_back(pid);
      }
      std::ifstream line(process.path() / "cmdline", std::ios::binary);
      for (std::string word; std::getline(line, word, '\0');) {
        if (word.starts_with(options_.folder.string() + "/")) found.push_back(pid);
      }
    }
    return found;
  }
  static void kill_process(int pid, int number = SIGKILL) {
    ASSERT_GT(pid, 0);  // 0 would be all of us
    ::kill(pid, number);
  }
  static bool lives(int pid) {
    const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat").value_or("gone) Z");
    return stat[stat.rfind(')') + 2] != 'Z';
  }

  Template server() const {
    return {.command = {this_program(), "serve", "$(ADDRESS)", "$(PORT)", ""},
            .ports = {{"http", 8080}},
            .sidecar = false};
  }
  static Template script(const std::string& text) {
    return {.command = {"/bin/sh", "-c", text}, .sidecar = false};
  }
  static Group group(Template pod, int replicas = 1, const std::string& name = "web") {
    return {.namespace_ = "shop", .name = name, .replicas = replicas, .pod = std::move(pod)};
  }
  void apply(std::vector<Group> wanted) {
    const auto applied = runtime_->apply(std::move(wanted));
    ASSERT_TRUE(applied) << applied.error().message;
  }
  int run(const std::vector<std::string>& words) const {
    std::string line = this_program();
    for (const auto& word : words) line += " '" + word + "'";
    const int status = std::system((line + " 2>" + (folder_ / "errors").string()).c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  Block block_;
  fs::path folder_;
  ProcessOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int changes_ = 0;
  std::unique_ptr<Runtime> runtime_;
};

TEST_F(Instances, BecomeReadyWhenTheirPortsAcceptConnections) {
  const auto begun = Steady::now();
  apply({group(server(), 2)});
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  std::cout << "apply to ready: " << (Steady::now() - begun) / 1us << " us\n";
  ASSERT_TRUE(becomes("web-2", Phase::ready)) << told();
  const Instance first = instance("web-1");
  EXPECT_EQ(first.group, "web");
  EXPECT_EQ(first.address, "127." + std::to_string(block_.number()) + ".1.1");
  EXPECT_EQ(first.message, "");
  EXPECT_EQ(instance("web-2").address, "127." + std::to_string(block_.number()) + ".1.2");
  EXPECT_THAT(log("web-1"), HasSubstr("serving"));
}

TEST_F(Instances, AreUnreadyAsSoonAsTheApplicationDiesAndComeBack) {
  apply({group(server())});
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  const auto begun = Steady::now();
  kill_process(state("web-1").application);
  ASSERT_TRUE(eventually([&] { return instance("web-1").phase != Phase::ready; }));
  std::cout << "kill -9 to on_change: " << (Steady::now() - begun) / 1us << " us\n";
  EXPECT_THAT(instance("web-1").message, HasSubstr("application was killed by signal 9 (Killed)"));
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  EXPECT_EQ(instance("web-1").restarts, 1);
}

TEST_F(Instances, ThatCrashWaitLongerEachTimeAndSayWhy) {
  apply({group(script("sleep 1000 & echo boom; exit 3"))});
  ASSERT_TRUE(eventually([&] {
    return instance("web-1").message.find(", 3 times in a row") != std::string::npos;
  })) << told();
  EXPECT_EQ(instance("web-1").phase, Phase::crashing);
  EXPECT_EQ(instance("web-1").message,
            "application exited with code 3, 3 times in a row; next start in 0.4 s; last line of "
            "its log: boom");
  EXPECT_EQ(instance("web-1").restarts, 3);
  EXPECT_LE(processes().size(), 3U) << "what they leave is killed before the next start";
}

TEST_F(Instances, ThatCannotBeStartedSayWhy) {
  apply({group({.command = {"/none/such"}, .sidecar = false})});
  ASSERT_TRUE(becomes("web-1", Phase::crashing)) << told();
  EXPECT_THAT(instance("web-1").message,
              HasSubstr("graymesh: cannot run /none/such: No such file or directory"));
}

TEST_F(Instances, FollowTheirReadinessProbe) {
  auto pod = server();
  const auto well = folder_ / "well";
  pod.command.back() = well;
  pod.readiness = {.kind = Probe::Kind::http, .path = "/health", .period = 20ms, .failures_max = 2};
  apply({group(pod)});
  ASSERT_TRUE(eventually([&] {
    return instance("web-1").message.find("/health answered 503") != std::string::npos;
  })) << told();
  EXPECT_EQ(instance("web-1").phase, Phase::starting);
  std::ofstream(well) << "";
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  fs::remove(well);
  ASSERT_TRUE(becomes("web-1", Phase::unready)) << told();
  EXPECT_EQ(instance("web-1").restarts, 0);
}

TEST_F(Instances, ThatAreNotLiveAreStartedAgain) {
  const auto well = folder_ / "well";
  std::ofstream(well) << "";
  auto pod = script("exec sleep 1000");
  pod.liveness = {.kind = Probe::Kind::command,
                  .command = {"/bin/sh", "-c", "test -e " + well.string()},
                  .period = 20ms};
  apply({group(pod)});
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  fs::remove(well);
  ASSERT_TRUE(eventually([&] { return instance("web-1").restarts > 0; })) << told();
  EXPECT_THAT(instance("web-1").message, HasSubstr("liveness failed: /bin/sh exited with code 1"));
  std::ofstream(well) << "";
  EXPECT_TRUE(becomes("web-1", Phase::ready)) << told();
}

TEST_F(Instances, AreNotAskedWhetherTheyAreLiveBeforeTheyHaveStarted) {
  const auto started = folder_ / "started";
  auto pod = script("exec sleep 1000");
  pod.startup = {.kind = Probe::Kind::command,
                 .command = {"/bin/sh", "-c", "test -e " + started.string()},
                 .period = 20ms,
                 .failures_max = 1'000'000};
  pod.liveness = {.kind = Probe::Kind::command,
                  .command = {"/bin/sh", "-c", "echo asked >> " + (folder_ / "asked").string()},
                  .period = 20ms};
  apply({group(pod)});
  ASSERT_TRUE(eventually([&] {
    return instance("web-1").message.find("startup: /bin/sh exited") != std::string::npos;
  })) << told();
  EXPECT_FALSE(fs::exists(folder_ / "asked"));
  std::ofstream(started) << "";
  EXPECT_TRUE(becomes("web-1", Phase::ready)) << told();
  EXPECT_TRUE(eventually([&] { return fs::exists(folder_ / "asked"); }));
}

TEST_F(Instances, StopInOrderSidecarFirst) {
  auto pod = server();
  pod.sidecar = true;
  pod.labels = {{"app", "web"}, {"stage", "normal"}};
  apply({group(pod)});
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  EXPECT_EQ(application_address({.address = instance("web-1").address}).substr(0, 8),
            "127." + std::to_string(block_.number() + 64) + ".");
  apply({});
  ASSERT_TRUE(becomes("web-1", Phase::terminating)) << told();
  runtime_->release("shop", "web-1");
  ASSERT_TRUE(eventually([&] { return runtime_->instances().empty(); })) << told();
  EXPECT_THAT(last_log("web-1"), HasSubstr("application asked to stop"));
  const auto sidecar = last_log("web-1", "sidecar.log");
  EXPECT_THAT(sidecar, HasSubstr("drained while the application answers"));
  EXPECT_THAT(sidecar, HasSubstr("--label\napp=web\n--label\nstage=normal"));
  EXPECT_TRUE(read_state(last_log("web-1", "status.json"), "status").value_or({}).ended);
}

TEST_F(Instances, EndWithoutARuntimeGatewaysFirst) {
  auto gateway = server();
  gateway.gateway = true;
  apply(
      {group(server(), 1), group(gateway, 1, "edge"), group(script("exec sleep 1000"), 1, "lost")});
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  ASSERT_TRUE(becomes("edge-1", Phase::ready)) << told();
  ASSERT_TRUE(becomes("lost-1", Phase::ready)) << told();
  EXPECT_THAT(living_instances(options_.folder),
              ElementsAre("shop.edge-1", "shop.lost-1", "shop.web-1"));
  runtime_.reset();
  kill_process(state("lost-1").keeper);
  ASSERT_TRUE(eventually([&] { return living_instances(options_.folder).size() == 2; }));

  std::vector<std::string> order;
  const auto ended = end_instances(options_.folder, [&](const std::string& name, std::size_t left) {
    order.push_back(name + " " + std::to_string(left));
  });
  ASSERT_TRUE(ended) << ended.error().message;
  EXPECT_THAT(order, ElementsAre("shop.edge-1 1", "shop.web-1 0"));
  EXPECT_EQ(ended->ended, 2U);
  EXPECT_EQ(ended->killed, 0U);
  EXPECT_THAT(log("web-1"), HasSubstr("application asked to stop"));
  EXPECT_THAT(living_instances(options_.folder), IsEmpty());
  EXPECT_THAT(processes(), IsEmpty());
}

TEST_F(Instances, AreNotEndedUnderARuntimeThatWouldStartThemAgain) {
  runtime_.reset();
  // A process does not see a lock of its own.
  int ready[2], go[2];
  ASSERT_EQ(::pipe(ready) + ::pipe(go), 0);
  const pid_t other = ::fork();
  if (other == 0) {
    const auto held = hold(options_.folder / "lock");
    char byte = held ? 'y' : 'n';
    (void)!::write(ready[1], &byte, 1);
    (void)!::read(go[0], &byte, 1);
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_EQ(byte, 'y');
  const auto refused = end_instances(options_.folder, [](const std::string&, std::size_t) {});
  (void)!::write(go[1], &byte, 1);
  int status = 0;
  ::waitpid(other, &status, 0);
  for (const int fd : {ready[0], ready[1], go[0], go[1]}) ::close(fd);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::failed_precondition);
  EXPECT_THAT(refused.error().message, HasSubstr(std::to_string(other)));
}

TEST_F(Instances, ThatDoNotEndWithoutARuntimeAreKilled) {
  auto deaf = script("trap '' TERM; echo deaf; while :; do sleep 1; done");
  deaf.stop = 100ms;
  apply({group(deaf)});
  ASSERT_TRUE(eventually([&] { return log("web-1").find("deaf") != std::string::npos; })) << told();
  runtime_.reset();
  const auto ended = end_instances(options_.folder, [](const std::string&, std::size_t) {});
  ASSERT_TRUE(ended) << ended.error().message;
  EXPECT_EQ(ended->ended, 1U);
  EXPECT_THAT(processes(), IsEmpty());
}

TEST_F(Instances, AreNotReadyWithoutTheirSidecar) {
  auto pod = server();
  pod.sidecar = true;
  apply({group(pod)});
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  kill_process(state("web-1").sidecar);
  ASSERT_TRUE(eventually([&] { return instance("web-1").phase != Phase::ready; }));
  EXPECT_THAT(instance("web-1").message, HasSubstr("sidecar was killed by signal 9"));
  EXPECT_TRUE(becomes("web-1", Phase::ready)) << told();
}

TEST_F(Instances, ThatWillNotStopAreKilledWithAllTheyHaveStarted) {
  auto pod = script("trap '' TERM; (trap '' TERM; sleep 1000) & sleep 1000");
  pod.stop = 200ms;
  apply({group(pod)});
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  ASSERT_TRUE(eventually([&] { return processes().size() >= 4; }));
  apply({});
  ASSERT_TRUE(becomes("web-1", Phase::terminating)) << told();
  runtime_->release("shop", "web-1");
  EXPECT_TRUE(eventually([&] { return runtime_->instances().empty(); })) << told();
  EXPECT_THAT(processes(), IsEmpty());
}

TEST_F(Instances, ThatStopAreGivenTheTimeForWhatTheirShellHasStarted) {
  // The shell goes at once; what it started says good-bye first.
  apply(
      {group(script("/bin/sh -c 'trap \"sleep 0.3; echo bye; exit 0\" TERM; "
                    "while :; do sleep 0.05; done' & trap 'exit 0' TERM; wait"))});
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  ASSERT_TRUE(eventually([&] { return processes().size() >= 4; }));
  apply({});
  ASSERT_TRUE(becomes("web-1", Phase::terminating)) << told();
  runtime_->release("shop", "web-1");
  ASSERT_TRUE(eventually([&] { return runtime_->instances().empty(); })) << told();
  EXPECT_THAT(last_log("web-1"), HasSubstr("bye"));
}

TEST_F(Instances, WhoseKeeperIsKilledAreStartedAgainAndLeaveNothing) {
  apply({group(script("sleep 1000 & sleep 1000"))});
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  ASSERT_TRUE(eventually([&] { return processes().size() >= 4; }));
  const auto before = processes();
  kill_process(state("web-1").keeper);
  ASSERT_TRUE(eventually([&] { return instance("web-1").phase != Phase::ready; }));
  ASSERT_TRUE(eventually([&] {
    return instance("web-1").phase == Phase::ready && instance("web-1").restarts == 1;
  })) << told();
  for (const int pid : before) EXPECT_FALSE(lives(pid)) << pid;
}

TEST_F(Instances, OutliveTheRuntimeAndAreTakenOver) {
  apply({group(server())});
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  const auto before = state("web-1");
  runtime_.reset();
  begin();
  EXPECT_EQ(instance("web-1").phase, Phase::ready) << "at once, without an apply()";
  kill_process(before.application);
  ASSERT_TRUE(eventually([&] { return instance("web-1").phase != Phase::ready; }));
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  apply({group(server(), 2)});
  ASSERT_TRUE(becomes("web-2", Phase::ready)) << told();
  EXPECT_EQ(instance("web-1").phase, Phase::ready);
  EXPECT_EQ(state("web-1").keeper, before.keeper);
}

TEST_F(Instances, WhoseKeeperDiedWhileNobodyLookedAreStartedAgainIfTheyShallBe) {
  apply({group(server()), group(server(), 1, "other")});
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  ASSERT_TRUE(becomes("other-1", Phase::ready)) << told();
  const auto before = processes();
  runtime_.reset();
  kill_process(state("web-1").keeper, SIGKILL);
  kill_process(state("other-1").keeper);
  ASSERT_TRUE(eventually([&] {
    return std::none_of(before.begin(), before.end(), [](int pid) { return lives(pid); });
  }));
  begin();
  EXPECT_EQ(instance("web-1").phase, Phase::crashing);
  EXPECT_THAT(names(), ElementsAre("other-1", "web-1")) << "nothing goes before apply()";
  apply({group(server())});
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  EXPECT_TRUE(eventually([&] { return names() == std::vector<std::string>{"web-1"}; }));
}

TEST_F(Instances, ThatAreTooManyWaitUntilTheyAreReleased) {
  apply({group(server(), 2)});
  ASSERT_TRUE(becomes("web-1", Phase::ready) && becomes("web-2", Phase::ready)) << told();
  apply({group(server(), 1)});
  ASSERT_TRUE(becomes("web-2", Phase::terminating)) << told();
  runtime_->release("shop", "web-1");  // is not terminating: passed over
  runtime_->release("shop", "none");
  EXPECT_TRUE(lives(state("web-2").application));
  runtime_->release("shop", "web-2");
  ASSERT_TRUE(eventually([&] { return names() == std::vector<std::string>{"web-1"}; })) << told();
  EXPECT_EQ(instance("web-1").phase, Phase::ready);
}

TEST_F(Instances, ThatNobodyReleasesGoAfterAWhile) {
  runtime_.reset();
  options_.hold_max = 100ms;
  begin();
  apply({group(server())});
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  apply({});
  EXPECT_TRUE(eventually([&] { return runtime_->instances().empty(); })) << told();
}

TEST_F(Instances, OfANewTemplateAreReadyBeforeTheOldOnesGo) {
  const auto well = folder_ / "well";
  apply({group(server(), 2)});
  ASSERT_TRUE(becomes("web-1", Phase::ready) && becomes("web-2", Phase::ready)) << told();
  auto changed = server();
  changed.command.back() = well;
  changed.readiness = {.kind = Probe::Kind::http, .period = 20ms};
  apply({group(changed, 2)});
  ASSERT_TRUE(eventually([&] { return log("web-4").find("serving") != std::string::npos; }));
  EXPECT_EQ(instance("web-1").phase, Phase::ready);
  EXPECT_EQ(instance("web-2").phase, Phase::ready);
  std::ofstream(well) << "";
  ASSERT_TRUE(becomes("web-1", Phase::terminating) && becomes("web-2", Phase::terminating));
  EXPECT_EQ(instance("web-3").phase, Phase::ready);
  EXPECT_EQ(instance("web-4").phase, Phase::ready);
  runtime_->release("shop", "web-1");
  runtime_->release("shop", "web-2");
  ASSERT_TRUE(eventually([&] { return names() == std::vector<std::string>{"web-3", "web-4"}; }));
  // What has just ended may still be spoken to.
  apply({group(changed, 3)});
  ASSERT_TRUE(becomes("web-1", Phase::ready));
  EXPECT_THAT(instance("web-1").address, testing::EndsWith(".1.5"));
}

TEST_F(Instances, ThatSomebodyElseStopsAreReplaced) {
  apply({group(server())});
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  kill_process(state("web-1").keeper, SIGTERM);
  ASSERT_TRUE(becomes("web-2", Phase::ready)) << told();
  EXPECT_TRUE(eventually([&] { return names() == std::vector<std::string>{"web-2"}; })) << told();
}

TEST_F(Instances, AreLimitedOrSayThatTheyAreNot) {
  auto pod = script("ulimit -v; exec sleep 1000");
  pod.memory_bytes_max = std::uint64_t{512} << 20;
  pod.cpus_max = 0.5;
  apply({group(pod)});
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  const auto limits = state("web-1").limits;
  if (limits.starts_with("by cgroup")) return;
  EXPECT_THAT(limits, HasSubstr("cpu is not limited"));
  EXPECT_TRUE(eventually([&] { return log("web-1") == "524288\n"; })) << log("web-1");
}

TEST_F(Instances, HaveOneKeeperAndOneRuntimeAtATime) {
  apply({group(server())});
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  EXPECT_EQ(run({"instance", "run", "--folder", home("web-1")}), 1);
  EXPECT_THAT(read_file(folder_ / "errors").value_or(""),
              HasSubstr("lock is held by process " + std::to_string(state("web-1").keeper)));
  EXPECT_EQ(run({"runtime", options_.folder}), static_cast<int>(Code::failed_precondition));
}

TEST_F(Instances, OfWhichTheSpecCannotBeReadArePutAside) {
  runtime_.reset();
  fs::create_directories(home("web-1"));
  std::ofstream(home("web-1") / "spec.json") << R"({"namespace": 5, "template": {"ports": 7}})";
  EXPECT_EQ(run({"instance", "run", "--folder", home("web-1")}), 1);
  EXPECT_THAT(read_file(folder_ / "errors").value_or(""),
              HasSubstr("spec.json: namespace must be a string; namespace must be there; group "
                        "must be there; name must be there; address must be in 127.0.0.0/10; "
                        "template.ports must be a list"));
  fs::create_directories(options_.folder / ".new-shop.web-2");
  fs::create_directories(options_.folder / "somebody's");
  begin();
  EXPECT_THAT(runtime_->instances(), IsEmpty());
  EXPECT_FALSE(fs::exists(home("web-1")));
  EXPECT_FALSE(fs::exists(options_.folder / ".new-shop.web-2"));
  EXPECT_TRUE(fs::remove(options_.folder / "somebody's"));
}

TEST_F(Instances, OfWhichTheStatusCannotBeReadAreUnready) {
  apply({group(server())});
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  const int application = state("web-1").application;
  ASSERT_TRUE(write_file(home("web-1") / "status.json", "{\"phase\": \"happy\"}"));
  ASSERT_TRUE(becomes("web-1", Phase::unready)) << told();
  EXPECT_THAT(instance("web-1").message, HasSubstr("phase is \"happy\", which is none of ours"));
  // The keeper's next word mends it.
  kill_process(application);
  EXPECT_TRUE(eventually([&] { return instance("web-1").restarts == 1; })) << told();
}

TEST_F(Instances, ThatCannotBeAreRefusedAllAtOnce) {
  const auto refused = runtime_->apply(
      {{.namespace_ = "Shop", .name = "web", .replicas = -1, .pod = {.sidecar = false}}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::invalid_argument);
  EXPECT_EQ(refused.error().message,
            "group Shop/web: namespace must be a DNS label\n"
            "group Shop/web: replicas must be 0 to 1000\n"
            "group Shop/web: command must be there, for there is no sidecar either");
}

}  // namespace
}  // namespace graymesh::workload
