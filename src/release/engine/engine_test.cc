// The engine with a clock that stands still, instances that become ready and proxies that ACK when
// they are told to.
#include <fmt/core.h>
#include <gmock/gmock.h>

#include "release/engine/testing.h"
#include "release/plan/testing.h"

namespace graymesh::release {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;

class EngineTest : public ::testing::Test {
 public:
  EngineTest() { restart(); }

  // As after kill -9: what is not in the store is forgotten.
  void restart() {
    engine.reset();
    auto opened = Engine::open(
        {.store = *store, .runtime = runtime, .mesh = mesh, .judge = judge, .clock = clock});
    ASSERT_TRUE(opened) << opened.error().message;
    engine = std::move(*opened);
  }

  void apply(const std::string& yaml, const Actor& who = ann) {
    const auto applied = engine->apply(who, object_of(yaml));
    ASSERT_TRUE(applied) << applied.error().message;
    engine->step();
  }
  void application(const std::string& name, const std::string& more = "") {
    apply(application_object(name, 2, more)->text);
    settle();
  }
  // Until nothing moves any more: instances become ready, proxies of instances connect.
  void settle() {
    for (int turn = 0; turn < 20; ++turn) {
      runtime.all_become_ready();
      connect_ready();
      engine->step();
    }
  }
  void connect_ready() {
    std::set<std::string> there;
    for (const auto& instance : runtime.instances()) {
      there.insert("sidecar~" + instance.name);
      if (!mesh.connected.contains("sidecar~" + instance.name))
        mesh.connect("sidecar~" + instance.name, instance.address);
    }
    for (auto it = mesh.connected.begin(); it != mesh.connected.end();)
      it = it->first.starts_with("sidecar~") && !there.contains(it->first)
               ? mesh.connected.erase(it)
               : std::next(it);
  }

  std::uint64_t start(const std::string& tag, const std::string& more = "",
                      const std::string& applications = "[{name: web}]", const Actor& who = ann) {
    const auto id = engine->apply(who, object_of(release_yaml(tag, more, applications)));
    EXPECT_TRUE(id) << id.error().message;
    return id ? *id : 0;
  }
  static std::string release_yaml(const std::string& tag, const std::string& more = "",
                                  const std::string& applications = "[{name: web}]") {
    return fmt::format(
        "apiVersion: graymesh.io/v1alpha1\nkind: GrayRelease\nmetadata: {{name: {}, namespace: "
        "fe-pre}}\nspec:\n  tag: {}\n  applications: {}\n{}",
        tag, tag, applications, more);
  }

  const Release& release(std::uint64_t id) { return engine->view()->world->releases.at(id); }
  Phase phase(std::uint64_t id) { return release(id).phase; }
  std::string waits_for(std::uint64_t id) { return engine->view()->progress.at(id).waits_for; }
  std::vector<std::string> running() {
    std::vector<std::string> names;
    for (const auto& instance : runtime.instances()) names.push_back(instance.name);
    return names;
  }
  std::string object(const std::string& key) {
    const auto& objects = mesh.objects();
    return objects.contains(key) ? objects.at(key) : "";
  }

  FakeClock clock;
  std::unique_ptr<FullStore> store = std::make_unique<FullStore>();
  workload::FakeRuntime runtime{clock};
  FakeMesh mesh{clock};
  FakeJudge judge;
  std::unique_ptr<Engine> engine;
};

TEST_F(EngineTest, AnApplicationRunsItsBaseline) {
  application("web");
  EXPECT_THAT(running(), ElementsAre("web-baseline-1-1", "web-baseline-1-2"));
  EXPECT_THAT(object("DestinationRule fe-pre/web-release"), HasSubstr("name: baseline"));
  EXPECT_THAT(object("EndpointSlice fe-pre/web-graymesh"), HasSubstr("ready: true"));
}

TEST_F(EngineTest, NamespacesStandSideBySide) {
  application("web");
  std::string other = application_object("web")->text;
  other.replace(other.find("fe-pre"), 6, "fe-online");
  other.replace(other.find("web.shop"), 8, "www.shop");
  apply(other);
  settle();
  const auto before = mesh.objects();
  EXPECT_THAT(before, Contains(Key("EndpointSlice fe-online/web-graymesh")));
  start("feature-a");
  settle();
  for (const auto& [key, text] : before) {
    if (key.find(" fe-online/") != std::string::npos) {
      EXPECT_EQ(object(key), text) << key;
    }
  }
  EXPECT_THAT(object("DestinationRule fe-pre/web-release"), HasSubstr("name: feature-a"));
  restart();
  settle();
  EXPECT_THAT(object("DestinationRule fe-pre/web-release"), HasSubstr("name: feature-a"));
  EXPECT_EQ(object("EndpointSlice fe-online/web-graymesh"),
            before.at("EndpointSlice fe-online/web-graymesh"));
  runtime.kill("fe-online", "web-baseline-1-1");
  engine->step();
  EXPECT_THAT(object("EndpointSlice fe-online/web-graymesh"), HasSubstr("ready: false"));
  ASSERT_TRUE(engine->remove(ann, {model::Kind::application, "fe-online", "web"}));
  settle();
  EXPECT_THAT(mesh.objects(), Not(Contains(Key("EndpointSlice fe-online/web-graymesh"))));
  EXPECT_THAT(mesh.objects(), Contains(Key("EndpointSlice fe-pre/web-graymesh")));
  EXPECT_EQ(running().size(), 3u);
}

TEST_F(EngineTest, ALaneGoesUpAndMeetsItsRequests) {
  application("web");
  const auto id = start("feature-a");
  engine->step();
  EXPECT_EQ(phase(id), Phase::starting);
  EXPECT_EQ(waits_for(id), "0 of 1 instances of web-feature-a-2 are ready");
  EXPECT_THAT(object("VirtualService fe-pre/web-release-mesh"), "");
  settle();
  EXPECT_EQ(phase(id), Phase::gray);
  EXPECT_THAT(object("VirtualService fe-pre/web-release-mesh"), HasSubstr("feature-a/header"));
  EXPECT_THAT(running(), Contains("web-feature-a-2-1"));
  EXPECT_TRUE(engine->view()->world->lanes.contains({"fe-pre", "feature-a"}));
}

TEST_F(EngineTest, APhaseBeginsWhenTheProxiesHaveAckedTheOneBefore) {
  application("web");
  const auto id = start("feature-a");
  engine->step();
  runtime.all_become_ready();
  connect_ready();
  mesh.acks_at_once = false;
  engine->step();
  EXPECT_EQ(phase(id), Phase::subset);
  EXPECT_THAT(object("DestinationRule fe-pre/web-release"), HasSubstr("name: feature-a"));
  EXPECT_THAT(object("VirtualService fe-pre/web-release-mesh"), "");
  mesh.ack("sidecar~web-baseline-1-1");
  mesh.ack("sidecar~web-baseline-1-2");
  engine->step();
  EXPECT_EQ(phase(id), Phase::subset);
  EXPECT_EQ(waits_for(id), "2 of 3 proxies have ACKed");
  clock.advance(7ms);
  mesh.ack("sidecar~web-feature-a-2-1");
  engine->step();
  EXPECT_EQ(phase(id), Phase::routes);
  const Receipt& receipt = release(id).receipts.at("subset");
  EXPECT_EQ(receipt.proxies, 3u);
  EXPECT_EQ(receipt.acked, 3u);
  EXPECT_EQ(receipt.last, "sidecar~web-feature-a-2-1");
  EXPECT_EQ(receipt.last_ms, 7);
  EXPECT_EQ(receipt.p50_ms, 0);
}

TEST_F(EngineTest, AReadyInstanceWhoseProxyIsNotConnectedIsMissing) {
  application("web");
  mesh.connected.erase("sidecar~web-baseline-1-2");
  const auto id = start("feature-a");
  runtime.ready_at_once();
  engine->step();
  mesh.connect("sidecar~web-feature-a-2-1", runtime.instances().back().address);
  engine->step();
  EXPECT_EQ(phase(id), Phase::subset);
  EXPECT_THAT(engine->view()->progress.at(id).missing,
              Contains("web-baseline-1-2.fe-pre (not connected)"));
}

TEST_F(EngineTest, ALaggardIsHeldForIsolatedOrLeftBehind) {
  for (const auto& [policy, reached] :
       {std::pair{"hold", Phase::subset}, std::pair{"isolate", Phase::gray},
        std::pair{"goOn", Phase::gray}}) {
    application("web");
    const auto id =
        start("feature-a", fmt::format("  laggards: {{policy: {}, after: 3s}}\n", policy));
    engine->step();
    runtime.all_become_ready();
    connect_ready();
    mesh.acks_at_once = false;
    const auto others_ack = [&] {
      for (const auto& [name, proxy] : mesh.connected) {
        if (name != "sidecar~web-baseline-1-2") mesh.ack(name);
      }
      engine->step();
    };
    engine->step();
    others_ack();
    EXPECT_EQ(phase(id), Phase::subset) << policy;
    for (int turn = 0; turn < 8; ++turn) {
      clock.advance(3s);
      engine->step();
      others_ack();
    }
    EXPECT_EQ(phase(id), reached) << policy;
    const std::string slice = object("EndpointSlice fe-pre/web-graymesh");
    EXPECT_EQ(slice.find("ready: false") != std::string::npos, policy == std::string("isolate"));
    if (policy == std::string("goOn")) {
      EXPECT_THAT(release(id).receipts.at("routes").missing,
                  ElementsAre("sidecar~web-baseline-1-2"));
    }
    mesh.acks_at_once = true;
    mesh.all_ack();
    ASSERT_TRUE(engine->act(ann, id, Verb::rollback));
    settle();
    EXPECT_EQ(phase(id), Phase::rolled_back) << policy;
    EXPECT_THAT(object("EndpointSlice fe-pre/web-graymesh"), Not(HasSubstr("ready: false")));
  }
}

TEST_F(EngineTest, StepsWaitForTimePeopleAndVerdicts) {
  application("web");
  const auto id =
      start("feature-a",
            "  steps:\n  - {weight: 1, pause: {duration: 10m}}\n  - {weight: 10, pause: "
            "{approval: true}}\n  - {weight: 50, pause: {verdict: \"http://j/\"}}\n  - "
            "{weight: 100}\n");
  settle();
  const auto weights = [&] { return object("VirtualService fe-pre/web-default-mesh"); };
  EXPECT_THAT(weights(), HasSubstr("weight: 1\n"));
  EXPECT_THAT(waits_for(id), HasSubstr("step 1 (weight 1) for 600.0 s more"));
  clock.advance(10min);
  settle();
  EXPECT_THAT(weights(), HasSubstr("weight: 10\n"));
  EXPECT_EQ(waits_for(id), "approval of step 2 (weight 10)");
  ASSERT_TRUE(engine->act(bob, id, Verb::approve));
  judge.word = {Judge::Verdict::not_yet, "412 more requests"};
  settle();
  EXPECT_THAT(weights(), HasSubstr("weight: 50\n"));
  EXPECT_EQ(waits_for(id), "the verdict of http://j/: 412 more requests");
  judge.word = {Judge::Verdict::healthy, ""};
  settle();
  EXPECT_EQ(phase(id), Phase::gray);
  EXPECT_THAT(weights(), Not(HasSubstr("subset: baseline")));
}

TEST_F(EngineTest, APausedReleaseStaysWhereItIsAndMayStillBeTakenBack) {
  application("web");
  const auto id = start("feature-a");
  engine->step();
  ASSERT_TRUE(engine->act(bob, id, Verb::pause));
  settle();
  EXPECT_EQ(phase(id), Phase::starting);
  EXPECT_EQ(waits_for(id), "paused");
  ASSERT_TRUE(engine->act(bob, id, Verb::resume));
  settle();
  EXPECT_EQ(phase(id), Phase::gray);
  ASSERT_TRUE(engine->act(bob, id, Verb::pause));
  ASSERT_TRUE(engine->act(bob, id, Verb::rollback));
  settle();
  EXPECT_EQ(phase(id), Phase::rolled_back);
}

TEST_F(EngineTest, AnUnhealthyVerdictTakesItBack) {
  application("web");
  const auto id =
      start("feature-a", "  steps:\n  - {weight: 50, pause: {verdict: \"http://j/\"}}\n");
  judge.word = {Judge::Verdict::unhealthy, "5 % errors"};
  settle();
  EXPECT_EQ(phase(id), Phase::rolled_back);
  EXPECT_EQ(release(id).reason, "rolled back: unhealthy: 5 % errors");
}

TEST_F(EngineTest, AnAnalysisTakesAReleaseBackWhileItsStepWaitsForTime) {
  application("web");
  judge.word = {Judge::Verdict::not_yet, "not yet: 412 more requests"};
  const auto id = start(
      "feature-a", "  steps: [{weight: 10, analysis: {}, pause: {duration: 1h}}, {weight: 50}]\n");
  settle();
  EXPECT_EQ(waits_for(id), "the verdict of step 1 (weight 10): not yet: 412 more requests");
  judge.word = {Judge::Verdict::healthy, "healthy: web: as good"};
  settle();
  EXPECT_THAT(waits_for(id), HasSubstr("step 1 (weight 10) for 3600.0 s more"));
  judge.word = {Judge::Verdict::unhealthy, "web: 8 % failed"};
  settle();
  EXPECT_EQ(phase(id), Phase::rolled_back);
  EXPECT_EQ(release(id).reason, "rolled back: unhealthy: web: 8 % failed");
  EXPECT_TRUE(release(id).receipts.contains("rollback"));
}

TEST_F(EngineTest, AnAnalysisTakesAStepOnWithItsReason) {
  application("web");
  judge.word = {Judge::Verdict::healthy, "healthy: web: as good"};
  const auto id = start("feature-a", "  steps: [{weight: 10, analysis: {}}]\n");
  settle();
  EXPECT_EQ(phase(id), Phase::gray);
  EXPECT_EQ(release(id).reason, "healthy: web: as good");
}

TEST_F(EngineTest, AnApprovalStandsInForAVerdictThatDoesNotCome) {
  application("web");
  const auto id = start("feature-a", "  steps: [{weight: 10, analysis: {}}]\n");
  settle();
  EXPECT_EQ(phase(id), Phase::step);
  ASSERT_TRUE(engine->act(bob, id, Verb::approve));
  settle();
  EXPECT_EQ(phase(id), Phase::gray);
}

TEST_F(EngineTest, APromotionKeepsTheBaselinesCapacityAtEveryInstant) {
  application("web");
  const auto id = start("feature-a", "", "[{name: web, run: {version: v2}}]");
  settle();
  ASSERT_TRUE(engine->act(ann, id, Verb::promote));
  settle();
  EXPECT_EQ(phase(id), Phase::promoted);
  EXPECT_THAT(running(), ElementsAre("web-baseline-3-1", "web-baseline-3-2"));
  EXPECT_EQ(engine->view()->world->applications.begin()->second.baseline.run.version, "v2");
  EXPECT_THAT(object("VirtualService fe-pre/web-release-mesh"), "");
  EXPECT_THAT(object("DestinationRule fe-pre/web-release"), Not(HasSubstr("feature-a")));
  for (const auto& [revision, objects] : mesh.history) {
    if (!objects.contains("DestinationRule fe-pre/web-release")) continue;
    const auto rule =
        object_of(objects.at("DestinationRule fe-pre/web-release"))->as<model::DestinationRule>();
    const std::string wanted = rule.subsets.at(0).labels.at("graymesh.io/revision");
    int ready = 0;
    const auto slice =
        object_of(objects.at("EndpointSlice fe-pre/web-graymesh"))->as<model::EndpointSlice>();
    for (const auto& endpoint : slice.endpoints) {
      if (endpoint.ready && endpoint.pod.starts_with("web-baseline-" + wanted + "-")) ++ready;
    }
    if (revision > 3) {
      EXPECT_EQ(ready, 2) << "at revision " << revision;
    }
  }
}

TEST_F(EngineTest, AnythingMayBeRolledBackUntilItIsOver) {
  for (const Phase from :
       {Phase::starting, Phase::subset, Phase::routes, Phase::gray, Phase::new_baseline,
        Phase::switching, Phase::unrouting, Phase::unsubsetting}) {
    application("web");
    const auto before = mesh.objects();
    mesh.acks_at_once = false;
    const auto id = start("feature-a");
    for (int turn = 0; turn < 40 && phase(id) != from; ++turn) {
      if (phase(id) == Phase::gray) {
        ASSERT_TRUE(engine->act(ann, id, Verb::promote));
      }
      engine->step();
      if (phase(id) == from) break;
      runtime.all_become_ready();
      connect_ready();
      engine->step();
      if (phase(id) == from) break;
      mesh.all_ack();
      engine->step();
    }
    ASSERT_EQ(phase(id), from) << name_of(from);
    ASSERT_TRUE(engine->act(ann, id, Verb::rollback, "errors"));
    mesh.acks_at_once = true;
    mesh.all_ack();
    settle();
    EXPECT_EQ(phase(id), Phase::rolled_back) << name_of(from);
    EXPECT_EQ(release(id).reason, "rolled back by ann: errors");
    EXPECT_TRUE(release(id).receipts.contains("rollback"));
    EXPECT_EQ(mesh.objects(), before) << name_of(from);
    EXPECT_THAT(running(), ElementsAre("web-baseline-1-1", "web-baseline-1-2")) << name_of(from);
  }
}

TEST_F(EngineTest, RoutesAreWithdrawnBeforeAnyInstanceStops) {
  application("web");
  const auto id = start("feature-a");
  settle();
  mesh.acks_at_once = false;
  ASSERT_TRUE(engine->act(ann, id, Verb::rollback));
  engine->step();
  EXPECT_THAT(object("VirtualService fe-pre/web-release-mesh"), "");
  EXPECT_THAT(object("DestinationRule fe-pre/web-release"), HasSubstr("feature-a"));
  EXPECT_THAT(running(), Contains("web-feature-a-2-1"));
}

TEST_F(EngineTest, ANewerReleaseOfTheTagTakesThePlaceOfTheOneThatRuns) {
  application("web");
  const auto first = start("feature-a");
  settle();
  const auto second = start("feature-a", "", "[{name: web, run: {version: v2}}]");
  settle();
  EXPECT_EQ(phase(first), Phase::superseded);
  EXPECT_EQ(phase(second), Phase::gray);
  EXPECT_THAT(running(), ElementsAre("web-baseline-1-1", "web-baseline-1-2", "web-feature-a-3-1"));
}

TEST_F(EngineTest, SeveralApplicationsGoTogetherOrNotAtAll) {
  application("web");
  application("cart");
  const auto id = start("feature-a", "  readyWithin: 60s\n", "[{name: web}, {name: cart}]");
  engine->step();
  runtime.become_ready("fe-pre", "web-feature-a-2-1");
  connect_ready();
  engine->step();
  EXPECT_EQ(phase(id), Phase::starting);
  EXPECT_THAT(object("DestinationRule fe-pre/web-release"), Not(HasSubstr("feature-a")));
  runtime.become("fe-pre", "cart-feature-a-2-1", workload::Instance::Phase::crashing,
                 "exited with code 1");
  clock.advance(60s);
  engine->step();
  EXPECT_THAT(release(id).reason,
              "rolled back: 0 of 1 instances of cart-feature-a-2 are ready; cart-feature-a-2-1: "
              "exited with code 1 after 60 s");
  settle();
  EXPECT_EQ(phase(id), Phase::rolled_back);
  EXPECT_EQ(running().size(), 4u);
}

TEST_F(EngineTest, APlanThatCannotHoldIsRefusedWithTheStateThatBreaksIt) {
  application("web");
  start("a", "  steps: [{weight: 60}]\n");
  settle();
  const auto refused =
      engine->apply(ann, object_of(release_yaml("b", "  steps: [{weight: 50}]\n")));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::failed_precondition);
  EXPECT_THAT(refused.error().message,
              HasSubstr("at step 1 (weight 50): gray versions of fe-pre/web would get 110 %"));
  EXPECT_EQ(engine->view()->world->releases.size(), 1u);
}

TEST_F(EngineTest, AnEngineThatWasKilledGoesOnWhereItWas) {
  application("web");
  const auto id = start("feature-a");
  for (int turn = 0; turn < 30; ++turn) {
    restart();
    runtime.all_become_ready();
    connect_ready();
    engine->step();
  }
  EXPECT_EQ(phase(id), Phase::gray);
  ASSERT_TRUE(engine->act(ann, id, Verb::promote));
  for (int turn = 0; turn < 30; ++turn) {
    restart();
    runtime.all_become_ready();
    connect_ready();
    engine->step();
  }
  EXPECT_EQ(phase(id), Phase::promoted);
  EXPECT_THAT(running(), ElementsAre("web-baseline-3-1", "web-baseline-3-2"));
}

TEST_F(EngineTest, AMeshThatCannotBeWrittenStopsItAndIsTold) {
  application("web");
  mesh.fault = "cut off";
  const auto id = start("feature-a");
  engine->step();
  runtime.all_become_ready();
  const auto again = engine->step();
  EXPECT_EQ(engine->view()->trouble, "cannot write objects: cut off");
  EXPECT_TRUE(again);
  mesh.fault.clear();
  settle();
  EXPECT_EQ(engine->view()->trouble, "");
  EXPECT_EQ(phase(id), Phase::gray);
}

TEST_F(EngineTest, AStoreThatIsFullRefusesPeopleAndHoldsReleasesWhereTheyAre) {
  application("web");
  const auto id = start("feature-a");
  engine->step();
  const auto before = mesh.objects();
  store->full = true;
  EXPECT_EQ(engine->act(ann, id, Verb::rollback).error().code, Code::unavailable);
  EXPECT_FALSE(engine->apply(ann, application_object("cart")));
  settle();
  EXPECT_EQ(phase(id), Phase::starting);
  EXPECT_EQ(engine->view()->trouble, "store.db: database or disk is full");
  EXPECT_FALSE(mesh.objects().contains("Service fe-pre/cart"));
  EXPECT_EQ(object("DestinationRule fe-pre/web-release"),
            before.at("DestinationRule fe-pre/web-release"));
  store->full = false;
  settle();
  EXPECT_EQ(phase(id), Phase::gray);
  EXPECT_EQ(engine->view()->trouble, "");
}

TEST_F(EngineTest, FourEyesApproveAPromotion) {
  application("web");
  apply(
      "apiVersion: graymesh.io/v1alpha1\nkind: Environment\nmetadata: {name: p, namespace: "
      "fe-pre}\nspec: {approval: {required: 1, fourEyes: true, by: [ann, bob]}}\n");
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
      "apiVersion: graymesh.io/v1alpha1\nkind: Environment\nmetadata: {name: p, namespace: "
      "fe-pre}\nspec: {freezes: [{from: 1970-01-01T00:00:00Z, to: 1970-01-02T00:00:00Z, reason: "
      "Christmas}]}\n");
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
      "apiVersion: graymesh.io/v1alpha1\nkind: Environment\nmetadata: {name: p, namespace: "
      "fe-pre}\nspec: {freezes: [{from: 1970-01-01T00:00:00Z, to: 1970-01-02T00:00:00Z}]}\n");
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
  apply(
      "apiVersion: graymesh.io/v1alpha1\nkind: Environment\nmetadata: {name: p, namespace: "
      "fe-pre}\nspec: {baseline: {minimum: 2}}\n");
  const auto refused = engine->apply(ann, application_object("web", 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "Application fe-pre/web: replicas 1, must be 2 at least: Environment fe-pre/p: "
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

TEST_F(EngineTest, EveryActIsWrittenDown) {
  application("web");
  const auto id = start("feature-a");
  settle();
  ASSERT_TRUE(engine->act(bob, id, Verb::rollback, "errors on checkout"));
  settle();
  const auto acts = *store->acts({.object = "release/1", .who = "bob"});
  ASSERT_EQ(acts.size(), 1u);
  EXPECT_EQ(acts[0].verb, "rollback");
  EXPECT_EQ(acts[0].reason, "errors on checkout");
  EXPECT_EQ(acts[0].from, "127.0.0.1");
  EXPECT_EQ(store->acts({.object = "release/1", .who = "ann"})->at(0).verb, "start");
}

}  // namespace
}  // namespace graymesh::release
