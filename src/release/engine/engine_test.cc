// The life of releases, with a clock that stands still.
#include "release/engine/fixture.h"

namespace graymesh::release {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;

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
  mesh.ack("sidecar~web-baseline-1-1.fe-pre");
  mesh.ack("sidecar~web-baseline-1-2.fe-pre");
  engine->step();
  EXPECT_EQ(phase(id), Phase::subset);
  EXPECT_EQ(waits_for(id), "2 of 3 proxies have ACKed");
  clock.advance(7ms);
  mesh.ack("sidecar~web-feature-a-2-1.fe-pre");
  engine->step();
  EXPECT_EQ(phase(id), Phase::routes);
  const Receipt& receipt = release(id).receipts.at("subset");
  EXPECT_EQ(receipt.proxies, 3u);
  EXPECT_EQ(receipt.acked, 3u);
  EXPECT_EQ(receipt.last, "sidecar~web-feature-a-2-1.fe-pre");
  EXPECT_EQ(receipt.last_ms, 7);
  EXPECT_EQ(receipt.p50_ms, 0);
}

TEST_F(EngineTest, AReadyInstanceWhoseProxyIsNotConnectedIsMissing) {
  application("web");
  mesh.connected.erase("sidecar~web-baseline-1-2.fe-pre");
  const auto id = start("feature-a");
  runtime.ready_at_once();
  engine->step();
  mesh.connect("sidecar~web-feature-a-2-1.fe-pre", runtime.instances().back().address);
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
        if (name != "sidecar~web-baseline-1-2.fe-pre") mesh.ack(name);
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
                  ElementsAre("sidecar~web-baseline-1-2.fe-pre"));
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
  EXPECT_FALSE(engine->view()->progress.contains(id)) << "who asked is not told what is over";
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

// A hook's words are cut off after some bytes, perhaps in the middle of a character.
TEST_F(EngineTest, AVerdictOfAnyBytesTakesItBackAndIsKept) {
  application("web");
  const auto id =
      start("feature-a", "  steps:\n  - {weight: 50, pause: {verdict: \"http://j/\"}}\n");
  judge.word = {Judge::Verdict::unhealthy, "5 % der Aufrufe sch\xc3"};
  settle();
  EXPECT_EQ(phase(id), Phase::rolled_back);
  restart();
  EXPECT_EQ(release(id).reason, "rolled back: unhealthy: 5 % der Aufrufe sch\xef\xbf\xbd");
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
    EXPECT_EQ(release(id).receipts.contains("rollback"), from != Phase::starting)
        << name_of(from) << ": there is nothing to withdraw from one that is starting";
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

TEST_F(EngineTest, ANewerReleaseOfATagThatDoesNotComeUpTakesNothingFromTheOneBefore) {
  application("web");
  const auto first = start("feature-a");
  settle();
  const std::string rule = object("DestinationRule fe-pre/web-release");
  const std::uint64_t since = mesh.revision;
  const auto second =
      start("feature-a", "  readyWithin: 60s\n", "[{name: web, run: {version: v2}}]");
  engine->step();
  ASSERT_EQ(phase(second), Phase::starting);
  clock.advance(60s);
  for (int i = 0; i < 10; ++i) engine->step();
  EXPECT_EQ(phase(second), Phase::rolled_back);
  EXPECT_EQ(phase(first), Phase::gray);
  for (const auto& [revision, objects] : mesh.history) {
    if (revision >= since) {
      EXPECT_EQ(objects.at("DestinationRule fe-pre/web-release"), rule);
    }
  }
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
              "rolled back: not ready within 60 s: 0 of 1 instances of cart-feature-a-2 are ready; "
              "cart-feature-a-2-1: exited with code 1");
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
