// A rule that nobody would meet, or that would hide another's, is refused with the other's name.
#include <gmock/gmock.h>

#include "release/plan/routing.h"
#include "release/plan/testing.h"

namespace graymesh::release {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

model::GrayMatch header(const std::string& name, model::StringMatch::Kind kind,
                        const std::string& value) {
  model::GrayMatch match;
  match.headers[name] = {.kind = kind, .value = value};
  return match;
}

class HiddenTest : public ::testing::Test {
 public:
  using Kind = model::StringMatch::Kind;
  HiddenTest() { add_application(world, "web"); }

  // One that meets its requests.
  void running(const std::string& tag, std::vector<model::GrayMatch> match) {
    Release release = release_of(world, tag, {"web"});
    release.spec.match = std::move(match);
    release.phase = Phase::gray;
    world.releases[release.id] = release;
  }
  std::vector<std::string> refusals(const std::string& tag, std::vector<model::GrayMatch> match,
                                    const std::vector<std::uint32_t>& weights = {}) {
    World next = world;
    Release release = release_of(next, tag, {"web"}, weights);
    release.spec.match = std::move(match);
    return check(next, release, team);
  }
  void team_wrote(const std::string& name, const std::string& spec, const std::string& meta = "") {
    team.push_back(
        object_of("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: "
                  "{name: " +
                  name + ", namespace: fe-pre" + meta + "}\nspec: " + spec + "\n"));
  }

  World world;
  std::vector<model::ObjectPtr> team;
};

TEST_F(HiddenTest, AnEqualOrNarrowerMatchBehindAnothersIsRefused) {
  running("a", {header("user", Kind::prefix, "beta")});
  EXPECT_THAT(
      refusals("b", {header("user", Kind::exact, "beta-7")}),
      ElementsAre("b/match-1 of fe-pre/web would be met by nobody: it is hidden by a/match-1 "
                  "of release 1"));
  EXPECT_THAT(refusals("b", {header("user", Kind::exact, "gamma")}), IsEmpty());
  EXPECT_THAT(
      refusals("b", {header("user", Kind::exact, "gamma"), header("user", Kind::prefix, "beta")}),
      ElementsAre(HasSubstr("b/match-2 of fe-pre/web would be met by nobody")));
}

TEST_F(HiddenTest, AWiderMatchBeforeAnothersIsRefused) {
  running("b", {header("user", Kind::exact, "beta-7")});
  EXPECT_THAT(refusals("a", {header("user", Kind::prefix, "beta")}),
              ElementsAre("a/match-1 of fe-pre/web would hide b/match-1 of release 1"));
  EXPECT_THAT(refusals("c", {header("user", Kind::prefix, "beta")}), IsEmpty())
      << "behind it, it takes the rest";
}

TEST_F(HiddenTest, AMatchOfAllLanesHidesEachOfThem) {
  running("feature-a", {});
  EXPECT_THAT(refusals("b", {header("canarytag", Kind::present, "")}),
              ElementsAre("b/match-1 of fe-pre/web would hide feature-a/header of release 1"));
  model::GrayMatch cookie;
  cookie.cookies["canarytag"] = {.kind = Kind::exact, .value = "feature-a"};
  EXPECT_THAT(refusals("b", {cookie}),
              ElementsAre("b/match-1 of fe-pre/web would hide feature-a/cookie of release 1"));
  EXPECT_THAT(refusals("feature-b", {}), IsEmpty()) << "lanes stand side by side";
}

TEST_F(HiddenTest, ItsOwnSecondMatchBehindItsFirstIsRefused) {
  EXPECT_THAT(
      refusals("b", {header("user", Kind::prefix, "b"), header("user", Kind::exact, "bob")}),
      ElementsAre(HasSubstr("b/match-2 of fe-pre/web would be met by nobody: it is hidden "
                            "by b/match-1")));
}

TEST_F(HiddenTest, ANewerReleaseOfTheTagHidesNothingOfTheOneItReplaces) {
  running("b", {header("user", Kind::exact, "bob")});
  EXPECT_THAT(refusals("b", {header("user", Kind::exact, "bob")}), IsEmpty());
}

TEST_F(HiddenTest, ARuleOfTheTeamThatItWouldHideIsNamed) {
  team_wrote("web-team",
             "{hosts: [web], http: [{name: beta, match: [{headers: {user: {exact: bob}}, uri: "
             "{prefix: /api}}], route: [{destination: {host: web}}]}, {route: [{destination: "
             "{host: web}}]}]}");
  EXPECT_THAT(refusals("b", {header("user", Kind::exact, "bob")}),
              ElementsAre("b/match-1 of fe-pre/web would hide http[0] \"beta\" of VirtualService "
                          "fe-pre/web-team"));
  EXPECT_THAT(refusals("b", {header("user", Kind::exact, "eve")}), IsEmpty());
}

TEST_F(HiddenTest, OnlyTheSameHostAtTheSameGatewayCounts) {
  const std::string rule =
      "http: [{match: [{headers: {user: {exact: bob}}}], route: [{destination: {host: web}}]}]}";
  team_wrote("elsewhere", "{hosts: [web.shop.example], gateways: [ingress/other], " + rule);
  team_wrote("other-host", "{hosts: [cart], " + rule);
  team_wrote("unseen",
             "{hosts: [web.shop.example], gateways: [ingress/shop], exportTo: ['.'], " + rule);
  EXPECT_THAT(refusals("b", {header("user", Kind::exact, "bob")}), IsEmpty());
  team_wrote("there", "{hosts: [web.shop.example], gateways: [ingress/shop], " + rule);
  EXPECT_THAT(refusals("b", {header("user", Kind::exact, "bob")}),
              ElementsAre(HasSubstr("VirtualService fe-pre/there")));
}

TEST_F(HiddenTest, AWeightThatTheTeamTakesEveryRequestOfIsRefused) {
  const std::string all = "http: [{name: all, route: [{destination: {host: web}}]}]}";
  team_wrote("in-the-mesh", "{hosts: [web], " + all);
  EXPECT_THAT(refusals("b", {}, {10}), IsEmpty()) << "users at the gateway meet it";
  team_wrote("at-the-gateway", "{hosts: [web, web.shop.example], gateways: [ingress/shop], " + all);
  EXPECT_THAT(refusals("b", {}, {10}),
              ElementsAre("the weights of fe-pre/web would be met by nobody: http[0] \"all\" of "
                          "VirtualService fe-pre/in-the-mesh takes every request before"));
  EXPECT_THAT(refusals("b", {}), IsEmpty()) << "a lane goes before the team's";
}

TEST_F(HiddenTest, APersonsRuleOfPrecedenceReleaseGoesByItsName) {
  const std::string rule =
      "{hosts: [web], http: [{match: [{headers: {user: {prefix: b}}}], route: [{destination: "
      "{host: web}}]}]}";
  team_wrote("a-first", rule, ", labels: {graymesh.io/precedence: release}");
  EXPECT_THAT(refusals("b", {header("user", Kind::exact, "bob")}),
              ElementsAre(HasSubstr("would be met by nobody: it is hidden by http[0] of "
                                    "VirtualService fe-pre/a-first")));
}

TEST_F(HiddenTest, ConnectionsHaveNoHeaders) {
  Application& web = world.applications.at({"fe-pre", "web"});
  web.object = object_of(
      "apiVersion: graymesh.io/v1alpha1\nkind: Application\nmetadata: {name: web, namespace: "
      "fe-pre}\nspec: {ports: [{name: redis, port: 6379, protocol: Redis}], run: {command: "
      "[./web]}, replicas: 2}\n");
  EXPECT_THAT(refusals("b", {header("user", Kind::exact, "bob")}),
              ElementsAre(HasSubstr("fe-pre/web has no HTTP port")));
  EXPECT_THAT(refusals("b", {}), IsEmpty());
}

}  // namespace
}  // namespace graymesh::release
