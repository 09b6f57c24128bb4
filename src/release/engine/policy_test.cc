// What environments ask for, what files declare, and how long lanes live.
#include "release/engine/fixture.h"

namespace graymesh::release {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(EngineTest, FourEyesApproveAPromotion) {
  application("web");
  apply(environment_yaml("approval: {required: 1, fourEyes: true, by: [ann, bob]}"));
  const auto id = start("feature-a");
  settle();
  ASSERT_TRUE(engine->act(ann, id, Verb::promote));
  settle();
  EXPECT_EQ(waits_for(id), "approval of its promotion: 0 of 1");
  EXPECT_EQ(engine->act(ann, id, Verb::approve).error().code, Code::permission_denied);
  EXPECT_EQ(engine->act({"eve", ""}, id, Verb::approve).error().code, Code::permission_denied);
  ASSERT_TRUE(engine->act(bob, id, Verb::approve));
  settle();
  EXPECT_EQ(phase(id), Phase::promoted);
}

TEST_F(EngineTest, NothingIsStartedInAFreeze) {
  application("web");
  apply(
      environment_yaml("freezes: [{from: 1970-01-01T00:00:00Z, to: 1970-01-02T00:00:00Z, "
                       "reason: Christmas}]"));
  const auto refused = engine->apply(ann, object_of(release_yaml("a")));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("fe-pre is frozen for"));
  EXPECT_THAT(refused.error().message, HasSubstr("Christmas"));
}

TEST_F(EngineTest, NorIsAnotherRunDeclaredInAFreezeUntilItEnds) {
  const auto first = application_object("web");
  std::string text = first->text;
  text.replace(text.find("version: v1"), 11, "version: v2");
  const auto environment = object_of(
      environment_yaml("freezes: [{from: 1970-01-01T00:00:00Z, to: 1970-01-02T00:00:00Z}]"));
  engine->declare({first, environment});
  settle();
  engine->declare({object_of(text), environment});
  settle();
  ASSERT_EQ(engine->problems().size(), 1u);
  EXPECT_THAT(engine->problems()[0].rule, HasSubstr("fe-pre is frozen for"));
  EXPECT_EQ(engine->view()->world->applications.begin()->second.baseline.run.version, "v1");
  clock.advance(25h);
  settle();
  EXPECT_TRUE(engine->problems().empty()) << "nobody has to touch the file";
  EXPECT_EQ(engine->view()->world->applications.begin()->second.baseline.run.version, "v2");
}

TEST_F(EngineTest, ABaselineIsNotDeclaredBelowTheMinimum) {
  application("web");
  apply(environment_yaml("baseline: {minimum: 2}"));
  const auto refused = engine->apply(ann, application_object("web", 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "Application fe-pre/web: replicas 1, must be 2 at least: Environment fe-pre/policy: "
            "baseline.minimum");
  EXPECT_TRUE(engine->apply(ann, application_object("web", 3)));
}

TEST_F(EngineTest, ALaneIsReclaimedWhenItsTimeIsOver) {
  application("web");
  apply(
      "apiVersion: graymesh.io/v1alpha1\nkind: Lane\nmetadata: {name: feature-a, namespace: "
      "fe-pre}\nspec: {owner: ann, timeToLive: 72h}\n");
  const auto id = start("feature-a");
  settle();
  clock.advance(71h);
  settle();
  EXPECT_EQ(phase(id), Phase::gray);
  clock.advance(1h);
  settle();
  EXPECT_EQ(phase(id), Phase::rolled_back);
  EXPECT_FALSE(engine->view()->world->lanes.contains({"fe-pre", "feature-a"}));
}

TEST_F(EngineTest, AnotherDeclaredRunReplacesTheBaselineWithoutAGap) {
  application("web");
  auto text = application_object("web")->text;
  text.replace(text.find("version: v1"), 11, "version: v9");
  mesh.acks_at_once = false;
  apply(text);
  EXPECT_EQ(running().size(), 4u);
  runtime.all_become_ready();
  connect_ready();
  engine->step();
  EXPECT_THAT(object("DestinationRule fe-pre/web-release"),
              HasSubstr("graymesh.io/revision: \"2\""));
  EXPECT_EQ(running().size(), 4u);
  mesh.acks_at_once = true;
  mesh.all_ack();
  settle();
  EXPECT_THAT(running(), ElementsAre("web-baseline-2-1", "web-baseline-2-2"));
}

TEST_F(EngineTest, FilesLeadAndWhatTheyDeclareNoMoreIsTakenBack) {
  const auto web = application_object("web");
  const auto gray = object_of(release_yaml("feature-a"));
  engine->declare({web, gray});
  settle();
  const Release first = engine->view()->world->releases.at(1);
  EXPECT_EQ(first.phase, Phase::gray);
  EXPECT_EQ(engine->apply(ann, web).error().code, Code::failed_precondition);
  const auto acts = store->acts({})->size();
  restart();
  engine->declare({web, gray});
  settle();
  EXPECT_EQ(engine->view()->world->releases.size(), 1u);
  EXPECT_EQ(store->acts({})->size(), acts);
  engine->declare({web});
  settle();
  EXPECT_EQ(phase(1), Phase::rolled_back);
  engine->declare({});
  settle();
  EXPECT_TRUE(engine->view()->world->applications.empty());
  EXPECT_TRUE(running().empty());
  EXPECT_TRUE(mesh.objects().empty());
}

}  // namespace
}  // namespace graymesh::release
