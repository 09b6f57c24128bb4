// Which instances start and which leave, told with the FakeRuntime, which does what plan() says.
#include "release/workload/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "release/workload/fake.h"

namespace graymesh::workload {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Phase = Instance::Phase;

class Planned : public testing::Test {
 protected:
  static Group web(int replicas, const std::string& version) {
    return {
        .namespace_ = "shop", .name = "web", .replicas = replicas, .pod = {.command = {version}}};
  }
  std::vector<std::string> seen() const {
    std::vector<std::string> seen;
    for (const auto& found : runtime_.instances()) {
      seen.push_back(found.name + " " + std::string(name_of(found.phase)));
    }
    return seen;
  }
  void apply(std::vector<Group> wanted) { ASSERT_TRUE(runtime_.apply(std::move(wanted))); }

  FakeClock clock_;
  int changes_ = 0;
  FakeRuntime runtime_{clock_, [this] { ++changes_; }};
};

TEST_F(Planned, MissingOnesStartUnderTheLowestNames) {
  apply({web(2, "v1")});
  EXPECT_THAT(seen(), ElementsAre("web-1 starting", "web-2 starting"));
  EXPECT_EQ(changes_, 1);
  apply({web(3, "v1")});
  EXPECT_THAT(seen(), ElementsAre("web-1 starting", "web-2 starting", "web-3 starting"));
}

TEST_F(Planned, ARollStartsAllNewOnesAndLetsTheOldGoWhenAllAreReady) {
  apply({web(2, "v1")});
  runtime_.all_become_ready();
  apply({web(2, "v2")});
  EXPECT_THAT(seen(),
              ElementsAre("web-1 ready", "web-2 ready", "web-3 starting", "web-4 starting"));
  runtime_.become_ready("shop", "web-3");
  EXPECT_THAT(seen(), ElementsAre("web-1 ready", "web-2 ready", "web-3 ready", "web-4 starting"));
  runtime_.become_ready("shop", "web-4");
  EXPECT_THAT(seen(),
              ElementsAre("web-1 terminating", "web-2 terminating", "web-3 ready", "web-4 ready"));
  runtime_.release("shop", "web-1");
  runtime_.hold_max_passes();
  EXPECT_THAT(seen(), ElementsAre("web-3 ready", "web-4 ready"));
}

TEST_F(Planned, ARollThatIsOverrunLeavesTheOnesThatServe) {
  apply({web(1, "v1")});
  runtime_.all_become_ready();
  apply({web(1, "v2")});
  apply({web(1, "v3")});
  EXPECT_THAT(seen(), ElementsAre("web-1 ready", "web-3 starting")) << "v2 served nobody";
  apply({web(1, "v1")});
  EXPECT_THAT(seen(), ElementsAre("web-1 ready"));
}

TEST_F(Planned, SurplusThatServesLeastGoesFirst) {
  apply({web(3, "v1")});
  runtime_.become_ready("shop", "web-2");
  runtime_.become_ready("shop", "web-3");
  apply({web(2, "v1")});
  EXPECT_THAT(seen(), ElementsAre("web-2 ready", "web-3 ready"));
  apply({web(1, "v1")});
  EXPECT_THAT(seen(), ElementsAre("web-2 ready", "web-3 terminating"));
  runtime_.kill("shop", "web-3");
  EXPECT_THAT(seen(), ElementsAre("web-2 ready")) << "it takes no requests: nothing to wait for";
}

TEST_F(Planned, WhatIsNotNamedGoesAndIsNotTakenBack) {
  apply({web(1, "v1")});
  runtime_.all_become_ready();
  apply({});
  EXPECT_THAT(seen(), ElementsAre("web-1 terminating"));
  apply({web(1, "v1")});
  EXPECT_THAT(seen(), ElementsAre("web-1 terminating", "web-2 starting"));
  runtime_.release("shop", "web-2");
  runtime_.release("shop", "web-1");
  EXPECT_THAT(seen(), ElementsAre("web-2 starting"));
}

TEST_F(Planned, AnOutdatedSidecarIsRolled) {
  const Group group = web(1, "v1");
  const std::vector<Group> wanted = {group};
  const Living old{"shop", "web", "web-1", &group.pod, true, Phase::ready};
  const auto steps = plan(wanted, {&old, 1});
  ASSERT_EQ(steps.start.size(), 1U);
  EXPECT_EQ(steps.start[0].name, "web-2");
  EXPECT_THAT(steps.leave, IsEmpty());
}

TEST_F(Planned, GroupsThatCannotBeRunAreAllNamed) {
  auto bad = web(1, "v1");
  bad.pod.ports = {{"http", 0}, {"http", 1}};
  bad.pod.readiness = {.kind = Probe::Kind::command, .failures_max = 0};
  bad.pod.startup = {.kind = Probe::Kind::http, .period = std::chrono::milliseconds(0)};
  bad.pod.cpus_max = -1;
  bad.pod.environment = {{"a=b", ""}};
  const auto refused = runtime_.apply({bad, web(1, "v1")});
  ASSERT_FALSE(refused);
  for (const char* rule :
       {"port \"http\" must be 1 to 65535", "port \"http\" is there twice",
        "readiness.command must", "readiness.failures_max must", "startup.period must",
        "cpus_max must", "environment \"a=b\"", "group shop/web: is there twice"}) {
    EXPECT_THAT(refused.error().message, HasSubstr(rule));
  }
  EXPECT_THAT(seen(), IsEmpty());
}

}  // namespace
}  // namespace graymesh::workload
