// Lanes that nobody uses, with a clock that stands still.
#include <gmock/gmock.h>

#include "release/engine/testing.h"
#include "release/plan/testing.h"

namespace graymesh::release {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using ::testing::HasSubstr;

const Name lane_name{"fe-pre", "feature-a"};

class IdleTest : public ::testing::Test {
 public:
  IdleTest() {
    restart();
    apply(application_object("web", 2)->text);
    apply(
        "apiVersion: graymesh.io/v1alpha1\nkind: Environment\nmetadata: {name: pre, namespace: "
        "fe-pre}\nspec: {lanes: {idle: 4h}}\n");
    id = start("feature-a");
  }

  void restart(bool measures = true) {
    engine.reset();
    usage.emplace(clock.wall());
    auto opened = Engine::open({.store = *store,
                                .runtime = runtime,
                                .mesh = mesh,
                                .judge = judge,
                                .clock = clock,
                                .usage = measures ? &*usage : nullptr});
    ASSERT_TRUE(opened) << opened.error().message;
    engine = std::move(*opened);
  }
  std::uint64_t apply(const std::string& yaml) {
    const auto applied = engine->apply(ann, object_of(yaml));
    EXPECT_TRUE(applied) << applied.error().message;
    settle();
    return applied ? *applied : 0;
  }
  std::uint64_t start(const std::string& tag, const std::string& more = "") {
    return apply("apiVersion: graymesh.io/v1alpha1\nkind: GrayRelease\nmetadata: {name: " + tag +
                 ", namespace: fe-pre}\nspec:\n  tag: " + tag +
                 "\n  applications: [{name: web}]\n" + more);
  }
  void settle() {
    for (int turn = 0; turn < 20; ++turn) {
      runtime.all_become_ready();
      for (const auto& instance : runtime.instances()) {
        if (!mesh.connected.contains(instance.name)) mesh.connect(instance.name, instance.address);
      }
      wake = engine->step();
    }
  }
  void pass(std::chrono::minutes time) {
    clock.advance(time);
    settle();
  }
  void use() {
    usage->used[lane_name] = clock.wall();
    settle();
  }
  Phase phase() { return engine->view()->world->releases.at(id).phase; }
  bool there() { return engine->view()->world->lanes.contains(lane_name); }
  std::string unmeasured() {
    const auto view = engine->view();
    const auto found = view->unmeasured.find(lane_name);
    return found == view->unmeasured.end() ? "" : found->second;
  }

  FakeClock clock;
  std::unique_ptr<FullStore> store = std::make_unique<FullStore>();
  workload::FakeRuntime runtime{clock};
  FakeMesh mesh{clock};
  FakeJudge judge;
  std::optional<FakeUsage> usage;
  std::unique_ptr<Engine> engine;
  std::uint64_t id = 0;
  std::optional<Clock::Wall> wake;
};

TEST_F(IdleTest, ALaneThatNobodyUsesIsReclaimed) {
  EXPECT_EQ(usage->followed, std::set<Name>{lane_name});
  pass(3h + 59min);
  EXPECT_EQ(phase(), Phase::gray);
  EXPECT_LE(*wake, clock.wall() + 1min) << "it is looked at again in time";
  pass(1min);
  EXPECT_EQ(phase(), Phase::rolled_back);
  EXPECT_EQ(engine->view()->world->releases.at(id).reason, "its lane was not used any more");
  EXPECT_FALSE(there());
  EXPECT_TRUE(usage->followed.empty());
}

TEST_F(IdleTest, ARequestKeepsIt) {
  for (int turn = 0; turn < 5; ++turn) {
    pass(3h);
    use();
  }
  EXPECT_EQ(phase(), Phase::gray);
  pass(4h);
  EXPECT_EQ(phase(), Phase::rolled_back);
}

TEST_F(IdleTest, TheLanesOwnTimeGoesBeforeTheEnvironments) {
  apply(
      "apiVersion: graymesh.io/v1alpha1\nkind: Lane\nmetadata: {name: feature-a, namespace: "
      "fe-pre}\nspec: {idle: 9h}\n");
  pass(8h);
  EXPECT_EQ(phase(), Phase::gray);
  pass(1h);
  EXPECT_FALSE(there());
}

TEST_F(IdleTest, WhatPeopleDoKeepsIt) {
  pass(3h);
  ASSERT_TRUE(engine->act(ann, id, Verb::pause, {}));
  ASSERT_TRUE(engine->act(ann, id, Verb::resume, {}));
  pass(3h);
  EXPECT_EQ(phase(), Phase::gray);
  pass(1h);
  EXPECT_EQ(phase(), Phase::rolled_back);
}

TEST_F(IdleTest, AReleaseWithAShareOrOnItsWayIsInUse) {
  ASSERT_TRUE(engine->act(ann, id, Verb::rollback, {}));
  settle();
  id = start("feature-a", "  steps: [{weight: 10, pause: {approval: true}}]\n");
  ASSERT_EQ(phase(), Phase::step);
  pass(24h);
  EXPECT_EQ(phase(), Phase::step) << "it waits for its approval";
  ASSERT_TRUE(engine->act(ann, id, Verb::approve, {}));
  settle();
  ASSERT_EQ(phase(), Phase::gray);
  pass(24h);
  EXPECT_EQ(phase(), Phase::gray) << "a tenth of the users are in it, and name no lane";
}

TEST_F(IdleTest, AfterARestartIdlenessBeginsAnew) {
  pass(3h);
  restart();
  pass(3h);
  EXPECT_EQ(phase(), Phase::gray) << "nobody knows what was while graymeshd was down";
  pass(1h);
  EXPECT_EQ(phase(), Phase::rolled_back);
}

TEST_F(IdleTest, TheLastRequestIsWrittenDownButSeldom) {
  const auto used = [&] { return engine->view()->world->lanes.at(lane_name).used; };
  const auto before = used();
  clock.advance(30s);
  use();
  EXPECT_EQ(used(), before);
  clock.advance(30s);
  use();
  EXPECT_EQ(used(), clock.wall());
  const auto last = clock.wall();
  restart();
  EXPECT_EQ(used(), last);
}

TEST_F(IdleTest, WhatIsNotMeasuredIsNotHeldAgainstALane) {
  EXPECT_EQ(unmeasured(), "");
  restart(false);
  pass(100h);
  EXPECT_EQ(phase(), Phase::gray);
  EXPECT_THAT(unmeasured(), HasSubstr("no proxy tells of requests"));
  restart();
  settle();
  EXPECT_EQ(unmeasured(), "");
}

TEST_F(IdleTest, AnOlderSidecarOrOneThatIsAwayDoesNotMeasure) {
  const std::string gray = runtime.instances().back().name;
  ASSERT_THAT(gray, HasSubstr("feature-a"));
  mesh.connected.at(gray).tells = false;
  pass(100h);
  EXPECT_EQ(phase(), Phase::gray);
  EXPECT_THAT(unmeasured(), HasSubstr(gray + " was started by an older graymesh"));
  mesh.tells = true;
  mesh.connected.erase(gray);
  clock.advance(1h);
  engine->step();
  EXPECT_THAT(unmeasured(), HasSubstr(gray + " is not connected"));
  settle();
  EXPECT_EQ(unmeasured(), "");
  pass(3h);
  EXPECT_EQ(phase(), Phase::gray) << "nobody knows who came before";
  pass(1h);
  EXPECT_EQ(phase(), Phase::rolled_back);
}

}  // namespace
}  // namespace graymesh::release
