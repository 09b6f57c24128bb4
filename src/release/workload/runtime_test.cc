// Instances from their start to their replacement: what is ready, and what is done about the rest.
#include <iostream>

#include "release/workload/instances_fixture.h"

namespace graymesh::workload {
namespace {

using testing::HasSubstr;

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
  EXPECT_NE(told_by("web-1", "application was killed by signal 9 (Killed)").phase, Phase::ready);
  std::cout << "kill -9 to on_change: " << (Steady::now() - begun) / 1us << " us\n";
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  EXPECT_EQ(instance("web-1").restarts, 1);
}

TEST_F(Instances, ThatCrashWaitLongerEachTimeAndSayWhy) {
  apply({group(script("sleep 1000 & echo boom; exit 3"))});
  const Instance third = told_by("web-1", ", 3 times in a row");
  EXPECT_EQ(third.phase, Phase::crashing);
  EXPECT_EQ(third.message,
            "application exited with code 3, 3 times in a row; next start in 0.4 s; last line of "
            "its log: boom");
  EXPECT_EQ(third.restarts, 3);
  EXPECT_LE(processes().size(), 3U) << "what they leave is killed before the next start";
}

TEST_F(Instances, ThatCannotBeStartedSayWhy) {
  apply({group({.command = {"/none/such"}, .sidecar = false})});
  EXPECT_EQ(told_by("web-1", "graymesh: cannot run /none/such: No such file or directory").phase,
            Phase::crashing);
}

TEST_F(Instances, FollowTheirReadinessProbe) {
  auto pod = server();
  const auto well = folder_ / "well";
  pod.command.back() = well;
  pod.readiness = {.kind = Probe::Kind::http, .path = "/health", .period = 20ms, .failures_max = 2};
  apply({group(pod)});
  EXPECT_EQ(told_by("web-1", "/health answered 503").phase, Phase::starting);
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
  ASSERT_TRUE(eventually([&] {
    const Instance now = instance("web-1");
    return now.restarts > 0 &&
           now.message.find("liveness failed: /bin/sh exited with code 1") != std::string::npos;
  })) << told();
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

TEST_F(Instances, AreNotReadyWithoutTheirSidecar) {
  auto pod = server();
  pod.sidecar = true;
  apply({group(pod)});
  ASSERT_TRUE(becomes("web-1", Phase::ready)) << told();
  kill_process(state("web-1").sidecar);
  EXPECT_NE(told_by("web-1", "sidecar was killed by signal 9").phase, Phase::ready);
  EXPECT_TRUE(becomes("web-1", Phase::ready)) << told();
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
