// Back behind a promotion that was over, and on to another environment.
#include "release/engine/fixture.h"

namespace graymesh::release {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class PassageTest : public EngineFixture {
 public:
  void apply(const std::string& yaml, const Actor& who = ann) {
    const auto applied = engine->apply(who, object_of(yaml));
    ASSERT_TRUE(applied) << applied.error().message;
    settle();
  }
  void application(const std::string& name, const std::string& namespace_ = "fe-pre") {
    std::string text = application_object(name)->text;
    text.replace(text.find("fe-pre"), 6, namespace_);
    apply(text);
  }
  void environment(const std::string& namespace_, const std::string& spec) {
    apply(environment_yaml(spec, namespace_));
  }
  std::uint64_t start(const std::string& tag, const std::string& applications = "",
                      const std::string& more = "", const std::string& namespace_ = "fe-pre") {
    const auto id = engine->apply(
        ann, object_of(release_yaml(tag, more,
                                    applications.empty()
                                        ? fmt::format("[{{name: web, run: {{version: {}}}}}]", tag)
                                        : applications,
                                    namespace_)));
    EXPECT_TRUE(id) << id.error().message;
    settle();
    return id ? *id : 0;
  }
  std::uint64_t promoted(const std::string& tag, const std::string& applications = "") {
    const std::uint64_t id = start(tag, applications);
    must(id, Verb::promote);
    EXPECT_EQ(phase(id), Phase::promoted);
    return id;
  }
  void must(std::uint64_t id, Verb verb, const std::string& reason = "") {
    const Status done = engine->act(ann, id, verb, reason);
    ASSERT_TRUE(done) << done.error().message;
    settle();
  }
  // What it says instead of doing it.
  std::string refusal(std::uint64_t id, Verb verb) {
    const Status done = engine->act(ann, id, verb);
    return done ? "" : done.error().message;
  }
  Result<std::uint64_t> promote_to(std::uint64_t id, const std::string& namespace_,
                                   const std::string& applications = "[{name: web}]",
                                   const Actor& who = bob) {
    const std::string& tag = release(id).spec.tag;
    auto started =
        engine->promote_to(who, id, object_of(release_yaml(tag, "", applications, namespace_)));
    settle();
    return started;
  }
  const Artefact& baseline(const std::string& name = "web",
                           const std::string& namespace_ = "fe-pre") {
    return engine->view()->world->applications.at({namespace_, name}).baseline;
  }
};

// Back behind a promotion ------------------------------------------------------------------------

TEST_F(PassageTest, APromotedReleaseIsRolledBackWithAReceipt) {
  application("web");
  const auto id = promoted("v2");
  ASSERT_EQ(baseline().run.version, "v2");
  must(id, Verb::rollback, "errors on checkout");
  EXPECT_EQ(phase(id), Phase::rolled_back);
  EXPECT_EQ(baseline().run.version, "v1");
  EXPECT_EQ(release(id).reason, "rolled back by ann: errors on checkout");
  const Receipt& receipt = release(id).receipts.at("rollback");
  EXPECT_GE(receipt.proxies, 4u);
  EXPECT_EQ(receipt.acked, receipt.proxies);
  EXPECT_THAT(running(), ElementsAre("web-baseline-4-1", "web-baseline-4-2"));
}

TEST_F(PassageTest, TheWayBackKeepsTheBaselinesCapacityAndSwitchesByAck) {
  application("web");
  const auto id = promoted("v2");
  mesh.acks_at_once = false;
  ASSERT_TRUE(engine->act(ann, id, Verb::rollback));
  engine->step();
  EXPECT_EQ(phase(id), Phase::back_baseline) << "nothing is switched before it is ready";
  const std::string rule = "DestinationRule fe-pre/web-release";
  EXPECT_THAT(mesh.objects().at(rule), HasSubstr("revision: \"3\""));
  runtime.all_become_ready();
  engine->step();
  connect_ready();
  EXPECT_EQ(phase(id), Phase::back_switching);
  EXPECT_THAT(mesh.objects().at(rule), HasSubstr("revision: \"4\""));
  EXPECT_EQ(running().size(), 4u) << "both are there until every proxy has switched";
  for (const auto& [proxy, state] : mesh.connected) {
    if (proxy != mesh.connected.begin()->first) mesh.ack(proxy);
  }
  engine->step();
  EXPECT_EQ(phase(id), Phase::back_switching) << "one has not";
  EXPECT_EQ(engine->view()->progress.at(id).missing.size(), 1u);
  restart();
  engine->step();
  EXPECT_EQ(phase(id), Phase::back_switching);
  mesh.acks_at_once = true;
  mesh.all_ack();
  settle();
  EXPECT_EQ(phase(id), Phase::rolled_back);
  EXPECT_EQ(running().size(), 2u);
}

TEST_F(PassageTest, ALaterPromotionIsNamedAndMustGoBackFirst) {
  application("web");
  const auto second = promoted("v2"), third = promoted("v3");
  EXPECT_EQ(refusal(second, Verb::rollback),
            "release 1 (web/v2) cannot be rolled back: release 2 (web/v3) was promoted later: roll "
            "that back first");
  must(third, Verb::rollback);
  EXPECT_EQ(baseline().run.version, "v2");
  must(second, Verb::rollback);
  EXPECT_EQ(baseline().run.version, "v1");
  EXPECT_THAT(refusal(third, Verb::rollback),
              HasSubstr("cannot be rolled back: it is over (rolled-back)"));
}

TEST_F(PassageTest, ABaselineThatWasDeclaredSinceStays) {
  application("web");
  const auto id = promoted("v2");
  std::string text = application_object("web")->text;
  text.replace(text.find("version: v1"), 11, "version: v9");
  apply(text);
  ASSERT_EQ(baseline().run.version, "v9");
  EXPECT_EQ(refusal(id, Verb::rollback),
            "release 1 (web/v2) cannot be rolled back: the baseline of fe-pre/web was changed "
            "since, by another declared run");
}

TEST_F(PassageTest, APromotedRunThatIsDeclaredAfterwardsChangesNothing) {
  application("web");
  const auto id = promoted("v2");
  const auto before = running();
  std::string text = application_object("web")->text;
  text.replace(text.find("version: v1"), 11, "version: v2");
  apply(text);
  EXPECT_EQ(running(), before);
  must(id, Verb::rollback);
  EXPECT_EQ(baseline().run.version, "v1");
  EXPECT_EQ(phase(id), Phase::rolled_back);
}

TEST_F(PassageTest, AnApplicationThatIsGoneIsNotBroughtBack) {
  application("web");
  const auto id = promoted("v2");
  ASSERT_TRUE(engine->remove(ann, {model::Kind::application, "fe-pre", "web"}));
  settle();
  EXPECT_THAT(refusal(id, Verb::rollback), HasSubstr("fe-pre/web is not there any more"));
}

TEST_F(PassageTest, WhatDoesNotComeUpAgainLeavesThePromotionAsItIs) {
  application("web");
  const auto id = promoted("v2");
  const auto over = release(id).over;
  ASSERT_TRUE(engine->act(ann, id, Verb::rollback));
  engine->step();
  clock.advance(6min);
  engine->step();
  EXPECT_EQ(phase(id), Phase::promoted);
  EXPECT_THAT(release(id).reason, StartsWith("not rolled back: not ready within 300 s: 0 of 2 "
                                             "instances of web-baseline-4 are ready"));
  EXPECT_LE(release(id).over, over);
  settle();
  EXPECT_EQ(baseline().run.version, "v2");
  EXPECT_THAT(running(), ElementsAre("web-baseline-3-1", "web-baseline-3-2"));
  must(id, Verb::rollback);
  EXPECT_EQ(baseline().run.version, "v1") << "it may be asked for again";
}

TEST_F(PassageTest, SeveralApplicationsGoBackTogether) {
  application("web");
  application("cart");
  const auto id =
      promoted("v2", "[{name: web, run: {version: v2}}, {name: cart, run: {version: v2}}]");
  const auto cart = promoted("v3", "[{name: cart, run: {version: v3}}]");
  EXPECT_THAT(refusal(id, Verb::rollback), HasSubstr("release 2 (cart/v3) was promoted later"));
  must(cart, Verb::rollback);
  must(id, Verb::rollback);
  EXPECT_EQ(baseline("web").run.version, "v1");
  EXPECT_EQ(baseline("cart").run.version, "v1");
}

TEST_F(PassageTest, ANewReleaseOfTheTagDoesNotCutTheWayBackShort) {
  application("web");
  const auto id = promoted("v2");
  ASSERT_TRUE(engine->act(ann, id, Verb::rollback));
  engine->step();
  const auto next = start("v2");
  EXPECT_EQ(phase(next), Phase::gray);
  EXPECT_EQ(phase(id), Phase::rolled_back);
  EXPECT_EQ(baseline().run.version, "v1");
}

TEST_F(PassageTest, ThatARequestWasDoneIsKeptWithWhatItDid) {
  application("web");
  const auto object = object_of(release_yaml("v2", "", "[{name: web}]", "fe-pre"));
  const Once once{.key = "build-17", .request = "0123abcd"};
  store->full = true;
  EXPECT_FALSE(engine->apply(ann, object, "", once));
  EXPECT_FALSE(*store->reply("build-17")) << "neither of them";
  store->full = false;
  const auto id = engine->apply(ann, object, "", once);
  ASSERT_TRUE(id);
  EXPECT_EQ(*store->reply("build-17"), R"({"request":"0123abcd","release":1})");
  settle();
  ASSERT_TRUE(engine->act(ann, *id, Verb::rollback, "", {.key = "back-17", .request = "ff"}));
  EXPECT_EQ(*store->reply("back-17"), R"({"request":"ff","release":1})");
}

// On to another environment ----------------------------------------------------------------------

TEST_F(PassageTest, WhatIsProvenStartsElsewhereAsTheSameArtefact) {
  for (const char* namespace_ : {"fe-pre", "fe-online"}) {
    application("web", namespace_);
    application("cart", namespace_);
  }
  const auto id = start("v2",
                        "[{name: web, run: {version: v2, environment: {COLOUR: red}}}, "
                        "{name: cart, run: {version: v2}}]");
  // What its baseline there differs in does not get into the artefact.
  std::string text = application_object("web")->text;
  text.replace(text.find("fe-pre"), 6, "fe-online");
  text.replace(text.find("version: v1"), 11, "version: v1, directory: /srv");
  apply(text);

  const auto started = promote_to(id, "fe-online", "[{name: web}, {name: cart, replicas: 2}]");
  ASSERT_TRUE(started) << started.error().message;
  EXPECT_EQ(phase(*started), Phase::gray);
  EXPECT_EQ(release(*started).name.namespace_, "fe-online");
  EXPECT_EQ(release(*started).from, id);
  EXPECT_EQ(release(*started).started_by, bob);
  for (const Member& member : release(id).members)
    EXPECT_EQ(run_hash(release(*started).member(member.application)->gray.run),
              run_hash(member.gray.run));
  EXPECT_EQ(release(*started).member("cart")->gray.replicas, 2u);
  ASSERT_EQ(release(id).promoted_to.size(), 1u);
  EXPECT_EQ(release(id).promoted_to[0].release, *started);
  const auto acts = *store->acts({.namespace_ = "fe-pre", .object = "release/1", .who = "bob"});
  ASSERT_EQ(acts.size(), 1u);
  EXPECT_EQ(acts[0].verb, "promote");
  EXPECT_EQ(acts[0].detail, R"({"to":"fe-online","release":2})");
  restart();
  EXPECT_EQ(release(id).promoted_to[0].release, *started);
}

TEST_F(PassageTest, WhatIsNotProvenMayNotGoOn) {
  application("web");
  application("web", "fe-online");
  const auto id = start("v2", "", "  steps: [{weight: 10, pause: {approval: true}}]\n");
  EXPECT_EQ(promote_to(id, "fe-online").error().message,
            "release 1 (web/v2) is not proven in fe-pre: it is step, must be gray or promoted");
  ASSERT_TRUE(engine->act(bob, id, Verb::approve));
  settle();
  EXPECT_EQ(promote_to(id, "fe-pre").error().code, Code::invalid_argument);
  EXPECT_EQ(
      engine->promote_to(bob, 99, object_of(release_yaml("v2", "", "[{name: web}]", "fe-online")))
          .error()
          .code,
      Code::not_found);
}

TEST_F(PassageTest, WhatRunsThereAlreadyIsNotStartedTwice) {
  application("web");
  application("web", "fe-online");
  const auto id = start("v2");
  const auto online = promote_to(id, "fe-online");
  ASSERT_TRUE(online);
  EXPECT_EQ(promote_to(id, "fe-online").error().message,
            "release 2 (web/v2) of fe-online runs what release 1 (web/v2) proved already");
  must(*online, Verb::promote);
  EXPECT_EQ(promote_to(id, "fe-online").error().message,
            "what release 1 (web/v2) proved is the baseline of fe-online already");
}

TEST_F(PassageTest, AllOfItGoesOnOrNothing) {
  for (const char* namespace_ : {"fe-pre", "fe-online"}) application("web", namespace_);
  application("cart");
  const auto id = start("v2", "[{name: web}, {name: cart}]");
  EXPECT_THAT(promote_to(id, "fe-online").error().message, HasSubstr("all of its applications"));
  EXPECT_EQ(promote_to(id, "fe-online", "[{name: web}, {name: cart}]").error().message,
            "application fe-online/cart is not known");
}

TEST_F(PassageTest, WhereAnEnvironmentPromotesToNothingElseComesIn) {
  application("web");
  application("web", "fe-online");
  environment("fe-pre", "promoteTo: fe-online");
  const auto direct = engine->apply(
      ann, object_of(release_yaml("v2", "", "[{name: web, run: {version: v2}}]", "fe-online")));
  ASSERT_FALSE(direct);
  EXPECT_THAT(direct.error().message,
              HasSubstr("Environment fe-pre/policy: promoteTo is fe-online, which takes only what "
                        "is proven there, and web's artefact (version v2, run "));
  std::string changed = application_object("web")->text;
  changed.replace(changed.find("fe-pre"), 6, "fe-online");
  changed.replace(changed.find("version: v1"), 11, "version: v2");
  const auto declared = engine->apply(ann, object_of(changed));
  ASSERT_FALSE(declared) << "nor by declaring it";
  EXPECT_THAT(declared.error().message, HasSubstr("promoteTo is fe-online"));

  const auto id = start("v2");
  EXPECT_TRUE(promote_to(id, "fe-online"));
  apply(changed);
  must(id, Verb::rollback);
  const auto late = engine->apply(
      ann, object_of(release_yaml("other", "", "[{name: web, run: {version: v2}}]", "fe-online")));
  EXPECT_FALSE(late) << "what was taken back proves nothing";
}

TEST_F(PassageTest, PromoteToOfAnEnvironmentIsTheOnlyWayOn) {
  application("web");
  application("web", "fe-lab");
  environment("fe-pre", "promoteTo: fe-online");
  const auto id = start("v2");
  EXPECT_EQ(promote_to(id, "fe-lab").error().message,
            "Environment fe-pre/policy: promoteTo is fe-online, so release 1 (web/v2) may not go "
            "to fe-lab");
  const auto circle =
      engine->apply(ann, object_of("apiVersion: graymesh.io/v1alpha1\nkind: Environment\n"
                                   "metadata: {name: p, namespace: x}\nspec: {promoteTo: x}\n"));
  EXPECT_EQ(circle.error().message, "Environment x/p: promoteTo x, must be another namespace");
}

TEST_F(PassageTest, AFreezeThereHoldsItBackAndFourEyesLookAtItsPromotion) {
  application("web");
  application("web", "fe-online");
  const auto id = promoted("v2");
  environment("fe-online",
              "freezes: [{from: '1970-01-01T00:00:00Z', to: '2100-01-01T00:00:00Z', reason: "
              "holidays}]");
  EXPECT_THAT(promote_to(id, "fe-online").error().message, HasSubstr("holidays"));
  environment("fe-online", "approval: {required: 1, fourEyes: true}");
  const auto online = promote_to(id, "fe-online");
  ASSERT_TRUE(online) << online.error().message;
  must(*online, Verb::promote);
  EXPECT_EQ(phase(*online), Phase::gray);
  EXPECT_EQ(engine->act(bob, *online, Verb::approve).error().message,
            "bob started release 2: fe-online asks for four eyes");
  must(*online, Verb::approve);
  EXPECT_EQ(baseline("web", "fe-online").run, baseline().run);
}

// On by itself ------------------------------------------------------------------------------------

TEST_F(PassageTest, APromotedReleaseGoesOnByItselfOnceWhereverTheEngineIsKilled) {
  application("web");
  application("web", "fe-online");
  environment("fe-pre", "promoteTo: fe-online");
  const auto id =
      start("v2", "", "  match: [{headers: {user: {exact: beta}}}]\n  promoteTo: fe-online\n");
  EXPECT_EQ(engine->view()->world->releases.size(), 1u) << "not before it is promoted";
  ASSERT_TRUE(engine->act(bob, id, Verb::promote));
  // Each engine lives for one step only, and some find the store full.
  for (int turn = 0; turn < 40; ++turn) {
    restart();
    runtime.all_become_ready();
    connect_ready();
    store->full = turn % 3 == 0;
    engine->step();
    store->full = false;
  }
  clock.advance(61s);
  settle();
  ASSERT_EQ(engine->view()->world->releases.size(), 2u);
  ASSERT_EQ(release(id).promoted_to, (std::vector<Passage>{{"fe-online", 2}}));
  const Release& there = release(2);
  EXPECT_EQ(there.name.namespace_, "fe-online");
  EXPECT_EQ(there.phase, Phase::gray) << "gates of its own";
  EXPECT_EQ(there.from, id);
  EXPECT_EQ(there.spec.match, release(id).spec.match);
  EXPECT_EQ(there.members.at(0).gray.run, release(id).members.at(0).gray.run);
  EXPECT_EQ(there.spec.promote_to, "") << "it goes no further";
  const auto acts = *store->acts({.namespace_ = "fe-online", .object = "release/2"});
  EXPECT_EQ(acts.back().verb, "start");
  EXPECT_EQ(acts.back().who, "ann");
  EXPECT_EQ(acts.back().from, "promoteTo of release 1");
  must(2, Verb::rollback);
  clock.advance(2min);
  settle();
  EXPECT_EQ(engine->view()->world->releases.size(), 2u) << "what was taken back is not tried again";
}

TEST_F(PassageTest, WhatGoesOnByItselfMeetsTheGatesThere) {
  application("web");
  environment("fe-online", "approval: {required: 1, fourEyes: true}");
  const auto id = start("v2", "", "  promote: true\n  promoteTo: fe-online\n");
  ASSERT_EQ(phase(id), Phase::promoted);
  const auto waits = [&] { return engine->view()->progress.at(id).waits_for; };
  EXPECT_EQ(waits(), "its release in fe-online: application fe-online/web is not known");
  application("web", "fe-online");
  environment("fe-online",
              "approval: {required: 1, fourEyes: true}, freezes: [{from: '1970-01-01T00:00:00Z', "
              "to: '2100-01-01T00:00:00Z', reason: holidays}]");
  clock.advance(61s);
  settle();
  EXPECT_THAT(waits(), AllOf(HasSubstr("fe-online is frozen"), HasSubstr("holidays")));
  environment("fe-online", "approval: {required: 1, fourEyes: true}");
  clock.advance(61s);
  settle();
  ASSERT_EQ(phase(2), Phase::gray) << "it waits for an approval of its promotion";
  EXPECT_FALSE(engine->view()->progress.contains(id));
  EXPECT_EQ(engine->act(ann, 2, Verb::approve).error().message,
            "ann started release 2: fe-online asks for four eyes");
  ASSERT_TRUE(engine->act(bob, 2, Verb::approve));
  settle();
  EXPECT_EQ(phase(2), Phase::promoted);
  EXPECT_EQ(baseline("web", "fe-online").run, baseline().run);
}

TEST_F(PassageTest, WhatIsNotTheBaselineAnyMoreOrRunsThereStays) {
  application("web");
  const auto id = start("v2", "", "  promote: true\n  promoteTo: fe-online\n");
  const auto next = promoted("v3");
  EXPECT_TRUE(release(id).stays);
  EXPECT_EQ(release(id).reason,
            "not released in fe-online: what it runs is not the baseline any more");
  application("web", "fe-online");
  EXPECT_TRUE(promote_to(next, "fe-online"));
  must(3, Verb::promote);
  const auto same =
      start("v3", "[{name: web, run: {version: v3}}]", "  promote: true\n  promoteTo: fe-online\n");
  EXPECT_THAT(release(same).reason, HasSubstr("is the baseline of fe-online already"));
  clock.advance(2min);
  settle();
  EXPECT_EQ(engine->view()->world->releases.size(), 4u);
}

TEST_F(PassageTest, PromoteToIsRefusedWhereTheEnvironmentPromotesElsewhere) {
  application("web");
  environment("fe-pre", "promoteTo: fe-online");
  const auto refused = engine->apply(ann, object_of(release_yaml("v2", "  promoteTo: fe-lab\n")));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "Environment fe-pre/policy: promoteTo is fe-online, so promoteTo may not be fe-lab");
}

// Rules of the team
// --------------------------------------------------------------------------------

TEST_F(PassageTest, AReleaseThatWouldHideATeamsRuleIsRefusedByEveryWayIn) {
  application("web");
  mesh.team.push_back(object_of(
      "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: web-team, "
      "namespace: fe-pre}\nspec: {hosts: [web], http: [{name: beta, match: [{headers: {canarytag: "
      "{exact: v2}}}], route: [{destination: {host: web}}]}]}\n"));
  const std::string refused =
      "v2/header of fe-pre/web would hide http[0] \"beta\" of VirtualService fe-pre/web-team";
  const auto object = object_of(release_yaml("v2", "", "[{name: web}]", "fe-pre"));
  EXPECT_EQ(engine->apply(ann, object).error().message, refused);
  EXPECT_THAT(*engine->plan(object), ElementsAre(refused));
  engine->declare({object});
  ASSERT_EQ(engine->problems().size(), 1u);
  EXPECT_EQ(engine->problems()[0].rule, refused);
  mesh.team.clear();
  engine->declare({object});
  EXPECT_TRUE(engine->problems().empty());
  EXPECT_EQ(engine->view()->world->releases.size(), 1u);
}

}  // namespace
}  // namespace graymesh::release
