// Instances whose keepers stop, die or outlive the Runtime, and their end.
#include <sys/resource.h>

#include "release/workload/ending.h"
#include "release/workload/instances_fixture.h"
#include "release/workload/kept.h"

namespace graymesh::workload {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

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
  ASSERT_TRUE(eventually([&] {
    const Instance now = instance("web-1");
    return now.phase == Phase::ready && now.restarts == 1;
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
  // It is told with its unreadiness, which may be over before we look.
  ASSERT_TRUE(eventually([&] { return instance("web-1").restarts == 1; })) << told();
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

class InstancesThatStop : public Instances {
 protected:
  // web-1 has been asked to end, and does when the file may_end() is there.
  void stop_one() {
    auto pod = script("trap 'while [ ! -e " + may_end() +
                      " ]; do sleep 0.02; done; echo bye; exit 0' TERM; "
                      "echo deaf; while :; do sleep 0.02; done");
    pod.stop = 60s;
    apply({group(pod)});
    ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
    ASSERT_TRUE(eventually([&] { return log("web-1").find("deaf") != std::string::npos; }))
        << told();
    apply({});
    ASSERT_TRUE(becomes("web-1", Phase::terminating)) << told();
    runtime_->release("shop", "web-1");
    ASSERT_TRUE(eventually([&] { return state("web-1").phase == Phase::stopping; })) << told();
    runtime_.reset();
  }
  std::string may_end() const { return (folder_ / "may-end").string(); }
};

TEST_F(InstancesThatStop, AreFoundStoppingAndEndWithoutBeingStartedAgain) {
  stop_one();
  begin();
  EXPECT_EQ(instance("web-1").phase, Phase::stopping);
  apply({});
  ASSERT_TRUE(write_file(may_end(), ""));
  ASSERT_TRUE(eventually([&] { return runtime_->instances().empty(); })) << told();
  EXPECT_THAT(last_log("web-1"), HasSubstr("bye"));
}

TEST_F(InstancesThatStop, AndWhoseKeeperDiedMeanwhileAreGoneAtOnceWithAllTheyHaveStarted) {
  stop_one();
  const int keeper = state("web-1").keeper;
  kill_process(keeper);
  ASSERT_TRUE(eventually([&] { return !lives(keeper); }));
  begin();
  EXPECT_THAT(runtime_->instances(), IsEmpty());
  EXPECT_THAT(processes(), IsEmpty());
}

TEST_F(Instances, WhoseKeeperCannotBeWatchedHaveNoneAndSayWhy) {
  // Its thread would have no file to open either, and nor would UBSan, which then takes every
  // object for a bad one.
  runtime_.reset();
  auto kept = Kept::make(folder_, {.namespace_ = "shop",
                                   .group = "web",
                                   .name = "web-9",
                                   .address = "127.1.9.9",
                                   .pod = script("exec sleep 1000")});
  ASSERT_TRUE(kept) << kept.error().message;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = ::dup(STDIN_FILENO);
  ::close(next);
  const rlimit full{.rlim_cur = static_cast<rlim_t>(next), .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &full), 0);
  const auto now = Clock::Steady{} + 1h;
  kept->start_keeper(this_program(), now);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_FALSE(kept->keeper);
  EXPECT_EQ(kept->message(), "cannot start its keeper: Too many open files");
  EXPECT_GT(kept->next_start, now);
  EXPECT_LT(kept->next_start, Kept::never);
  ASSERT_GT(kept->pid, 0);
  EXPECT_EQ(::kill(kept->pid, 0), -1) << "not even a zombie is left";
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

}  // namespace
}  // namespace graymesh::workload
