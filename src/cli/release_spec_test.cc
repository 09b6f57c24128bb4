// The words of a command line, and what becomes of them.
#include "cli/release_spec.h"

#include <gtest/gtest.h>

#include "cli/istio.h"
#include "cli/release_line.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

TEST(ShellWords, AreSplitAsAShellDoes) {
  const auto words = shell_words(R"(./web --name 'a b' "c \"d\" \e" e\ f  "")");
  ASSERT_TRUE(words);
  EXPECT_EQ(*words, (std::vector<std::string>{"./web", "--name", "a b", "c \"d\" \\e", "e f", ""}));
  EXPECT_FALSE(shell_words("'open"));
  EXPECT_FALSE(shell_words("end\\"));
}

TEST(Matches, AreKindsNamesAndWaysToCompare) {
  EXPECT_EQ(
      match_of("header:user^=be,cookie:ring=1,query:a~=x.*,app:admin").value_or({}),
      json::parse(R"({"headers": {"user": {"prefix": "be"}}, "cookies": {"ring": {"exact": "1"}},
                            "query": {"a": {"regex": "x.*"}}, "sourceApplication": "admin"})"));
  EXPECT_EQ(match_of("header:a=b\\,c=d").value_or({}),
            json::parse(R"({"headers": {"a": {"exact": "b,c=d"}}})"));
  for (const char* bad : {"canarytag=x", "header:x", "header:=x", "header:^=x", "body:a=b", "app:"})
    EXPECT_FALSE(match_of(bad)) << bad;
}

TEST(GrayReleases, AreMadeOfWords) {
  const auto made = gray_release({.applications = "web,cart",
                                  .namespace_ = "fe-pre",
                                  .tag = "v2",
                                  .sets = {"version=2.0", "cart.replicas=3",
                                           "web.command=./web 'a b'", "environment.LEVEL=debug"},
                                  .matches = {"header:user=ann", "cookie:ring=1"},
                                  .steps = {1, 100},
                                  .pause = "10m"});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ((*made)["metadata"]["name"], "web-v2");
  const json& spec = (*made)["spec"];
  EXPECT_EQ(spec["applications"][0]["run"]["command"], (json{"./web", "a b"}));
  EXPECT_EQ(spec["applications"][1]["replicas"], 3);
  EXPECT_EQ(spec["applications"][1]["run"]["environment"]["LEVEL"], "debug");
  EXPECT_EQ(spec["match"].size(), 2u);
  EXPECT_EQ(gray_release({.applications = "web", .tag = "JIRA-7"}).value()["metadata"]["name"],
            "web-jira-7")
      << "a tag may be in upper case, an object's name may not";
  EXPECT_EQ(spec["steps"][1], (json{{"weight", 100}, {"pause", {{"duration", "10m"}}}}));
}

TEST(GrayReleases, AreAnalysedByAPrometheusWhereOneIsNamed) {
  ReleaseWords words{.applications = "web", .tag = "x", .steps = {1, 50}, .analysis = true};
  EXPECT_EQ(gray_release(words).value()["spec"]["steps"][1]["analysis"], json::object());
  words.analysis = false;
  words.prometheus = "http://127.0.0.1:9090";
  const json steps = gray_release(words).value()["spec"]["steps"];
  ASSERT_EQ(steps.size(), 2u);
  for (const json& step : steps)
    EXPECT_EQ(step["analysis"], (json{{"proxies", false}, {"prometheus", words.prometheus}}));
}

TEST(GrayReleases, OfTheLanesOwnHeaderAreTheLane) {
  const auto lane =
      gray_release({.applications = "web", .tag = "x", .matches = {"header:canarytag=x"}});
  ASSERT_TRUE(lane);
  EXPECT_FALSE((*lane)["spec"].contains("match"));
  const auto other =
      gray_release({.applications = "web", .tag = "x", .matches = {"header:canarytag=y"}});
  ASSERT_TRUE(other);
  EXPECT_EQ((*other)["spec"]["match"].size(), 1u);
}

TEST(GrayReleases, AreRefusedWhereWordsContradict) {
  for (const auto& words : {ReleaseWords{.applications = "web", .weight = 1, .steps = {1}},
                            ReleaseWords{.applications = "web", .pause = "10m"},
                            ReleaseWords{.applications = "web", .prometheus = "http://p"},
                            ReleaseWords{.applications = "web,"},
                            ReleaseWords{.applications = "web", .sets = {"colour=red"}},
                            ReleaseWords{.applications = "web", .sets = {"replicas=two"}}})
    EXPECT_FALSE(gray_release(words));
}

const json rolled_back = json::parse(R"({
  "id": 12, "tag": "v2", "namespace": "fe-pre", "phase": "rolled-back", "weight": 0, "reached": true,
  "over": "2026-01-01T00:00:00.000Z", "reason": "rolled back by ann", "startedBy": "ann",
  "applications": [{"name": "web", "instances": []}], "steps": [], "progress": null,
  "receipts": {"rollback": {"proxies": 4, "acked": 4, "p99_ms": 31.0}},
  "receipt": {"what": "rollback", "proxies": 4, "acked": 4, "p50_ms": 3.5, "p99_ms": 31, "last_ms": 31,
              "last": "p4", "missing": [], "refused": []}})");

TEST(Receipts, BeginAsScriptsExpectThem) {
  const std::string line = receipt_line(rolled_back);
  EXPECT_TRUE(line.starts_with(
      R"({"proxies":4,"acked":4,"p50_ms":3.5,"p99_ms":31,"last":"p4","missing":[])"))
      << line;
  EXPECT_TRUE(is_so(rolled_back));
  json missing = rolled_back;
  missing["receipt"]["missing"] = {"p3"};
  EXPECT_FALSE(is_so(missing)) << "a proxy has not ACKed";
  json unreached = rolled_back;
  unreached["reached"] = false;
  EXPECT_FALSE(is_so(unreached));
  json waiting = rolled_back;
  waiting["receipt"] = nullptr;
  EXPECT_FALSE(is_so(waiting));
  EXPECT_FALSE(receipt_line(waiting).empty());
}

TEST(Lines, SayWhereItIsAndWhy) {
  EXPECT_EQ(line_of(rolled_back), "release 12 web/v2: rolled-back, weight 0%; rolled back by ann");
  json on_its_way = {{"id", 12},
                     {"tag", "v2"},
                     {"phase", "routes"},
                     {"weight", 0},
                     {"held", false},
                     {"applications", {{{"name", "web"}}}},
                     {"progress",
                      {{"waiting", true},
                       {"acked", 3},
                       {"proxies", 4},
                       {"waitsFor", "3 of 4 proxies have ACKed"}}}};
  EXPECT_EQ(line_of(on_its_way), "release 12 web/v2: routes, weight 0%, 3 of 4 proxies ACKed");
  on_its_way["progress"] = {{"waiting", false}, {"waitsFor", "promote or rollback"}};
  EXPECT_EQ(line_of(on_its_way),
            "release 12 web/v2: routes, weight 0%; waits for promote or rollback");
  on_its_way["held"] = true;
  EXPECT_EQ(line_of(on_its_way), "release 12 web/v2: routes, weight 0%, paused");
}

json service(const std::string& name, const std::string& precedence, const json& hosts,
             const std::string& route, bool ours = true) {
  json out = {{"apiVersion", "networking.istio.io/v1"},
              {"kind", "VirtualService"},
              {"metadata", {{"name", name}, {"namespace", "fe-pre"}}},
              {"spec", {{"hosts", hosts}, {"http", {{{"name", route}}}}}}};
  if (ours) out["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "graymesh";
  if (!precedence.empty()) out["metadata"]["labels"]["graymesh.io/precedence"] = precedence;
  out["metadata"]["annotations"]["graymesh.io/sticky"] = "cookie=x";
  // Of our own gateways.
  out["spec"]["http"][0]["headers"]["response"]["set"]["x-graymesh-site"] = "https://x fe-pre";
  return out;
}

TEST(Istio, GetsOneVirtualServiceForAHostReleaseBeforeTeamBeforeDefault) {
  const json merged = merged_for_istio(
      {service("web-default", "default", {"web"}, "default"),
       service("team", "", {"web.fe-pre.svc.cluster.local", "other"}, "team", false),
       service("web-release", "release", {"web"}, "release"),
       service("far", "", {"far"}, "far", false)},
      json::array());
  ASSERT_EQ(merged.size(), 2u) << merged.dump(1);
  const auto& whole = merged[1];
  EXPECT_EQ(whole["metadata"]["name"], "web-release");
  EXPECT_EQ(whole["spec"]["hosts"], json{"web.fe-pre.svc.cluster.local"});
  ASSERT_EQ(whole["spec"]["http"].size(), 3u);
  EXPECT_EQ(whole["spec"]["http"][0]["name"], "release");
  EXPECT_EQ(whole["spec"]["http"][1]["name"], "team");
  EXPECT_EQ(whole["spec"]["http"][2]["name"], "default");
  EXPECT_EQ(whole.dump().find("graymesh.io/"), std::string::npos) << whole;
  EXPECT_FALSE(whole["spec"]["http"][0].contains("headers")) << whole;
  // What is left of the team's own, whose host we took over.
  EXPECT_EQ(merged[0]["metadata"]["name"], "team");
  EXPECT_EQ(merged[0]["spec"]["hosts"], json{"other.fe-pre.svc.cluster.local"});
}

TEST(Istio, GetsTheSubsetsOfAHostInOneDestinationRule) {
  json ours = {{"kind", "DestinationRule"},
               {"metadata",
                {{"name", "web-release"},
                 {"namespace", "fe-pre"},
                 {"labels", {{"app.kubernetes.io/managed-by", "graymesh"}}},
                 {"annotations", {{"graymesh.io/fallback", "v2=baseline"}}}}},
               {"spec", {{"host", "web"}, {"subsets", {{{"name", "baseline"}}}}}}};
  json team = ours;
  team["metadata"] = {{"name", "a-team"}, {"namespace", "fe-pre"}};
  team["spec"] = {{"host", "web"},
                  {"trafficPolicy", {{"loadBalancer", {{"simple", "RANDOM"}}}}},
                  {"subsets", {{{"name", "mine"}}}}};
  const json merged = merged_for_istio(json::array(), {team, ours});
  ASSERT_EQ(merged.size(), 1u);
  EXPECT_EQ(merged[0]["metadata"]["name"], "web-release");
  EXPECT_EQ(merged[0]["spec"]["subsets"].size(), 2u);
  EXPECT_TRUE(merged[0]["spec"].contains("trafficPolicy"));
  EXPECT_FALSE(merged[0]["metadata"].contains("annotations"));
}

}  // namespace
}  // namespace graymesh::cli
