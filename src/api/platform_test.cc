// Objects, releases and lanes as a client of the API sees them.
#include "api/platform.h"

#include "api/platform_fixture.h"

namespace graymesh::api {
namespace {

TEST_F(PlatformApi, AppliesShowsListsAndDeletesObjectsWithTheirHash) {
  const Answer applied = post("/api/v1/applications", application("web"));
  ASSERT_EQ(applied.status, 200) << applied.body;
  EXPECT_EQ(applied.body["spec"]["run"]["version"], "v1");
  const Answer shown = get("/api/v1/applications/fe-pre/web");
  EXPECT_EQ(shown.body["metadata"]["name"], "web");
  EXPECT_EQ(shown.header("ETag"), applied.header("ETag"));
  EXPECT_EQ(get("/api/v1/applications?namespace=fe-pre").body["items"].size(), 1u);
  EXPECT_TRUE(get("/api/v1/applications?namespace=other").body["items"].empty());

  ASSERT_EQ(remove("/api/v1/applications/fe-pre/web").status, 200);
  EXPECT_EQ(get("/api/v1/applications/fe-pre/absent").status, 404);
}

TEST_F(PlatformApi, ChangesOnlyWhatIsStillAsItWasRead) {
  const std::string etag = post("/api/v1/applications", application("web")).header("ETag");
  const std::string changed = application("web", "  hosts: [w.example]\n  gateways: [i/g]\n");
  EXPECT_EQ(post("/api/v1/applications", changed, {{"If-Match", "\"0000000000000000\""}}).status,
            412);
  const Answer matched = post("/api/v1/applications", changed, {{"If-Match", etag}});
  EXPECT_EQ(matched.status, 200) << matched.body;
  EXPECT_NE(matched.header("ETag"), etag);
  EXPECT_EQ(post("/api/v1/applications", changed, {{"If-Match", etag}}).status, 412);
  EXPECT_EQ(post("/api/v1/applications", changed, {{"If-None-Match", "*"}}).status, 412);
  EXPECT_EQ(remove("/api/v1/applications/fe-pre/web", {{"If-Match", etag}}).status, 412);
}

TEST_F(PlatformApi, TellsEverythingThatIsWrongWithABodyAtOnce) {
  std::string bad = application("web", "  replica: 3\n  stopp: {}\n");
  const Answer refused = post("/api/v1/applications", bad);
  EXPECT_EQ(refused.status, 422);
  EXPECT_EQ(refused.header("Content-Type"), "application/problem+json");
  EXPECT_EQ(refused.body["errors"].size(), 2u) << refused.body;
  EXPECT_EQ(post("/api/v1/lanes", application("web")).status, 422) << "another kind";
  EXPECT_EQ(post("/api/v1/applications", application("a") + "---\n" + application("b")).status, 422)
      << "two of them";
  EXPECT_EQ(post("/api/v1/applications/fe-pre/cart", application("web")).status, 422)
      << "not what the path names";
}

TEST_F(PlatformApi, PagesListsWithoutGapsOrRepeats) {
  for (const char* name : {"a", "b", "c", "d", "e"})
    ASSERT_EQ(post("/api/v1/applications", application(name)).status, 200);
  std::string seen, next;
  do {
    const Answer page = get("/api/v1/applications?limit=2&continue=" + next);
    for (const auto& item : page.body["items"]) seen += item["metadata"]["name"];
    if (page.body["continue"].is_null()) break;
    next = page.body["continue"];
  } while (seen.size() < 10);
  EXPECT_EQ(seen, "abcde");
  EXPECT_EQ(get("/api/v1/applications?limit=0").status, 400);
}

TEST_F(PlatformApi, StartsAReleaseAndWaitsUntilItIsGray) {
  const std::string id = gray_web("feature-a");
  const Answer shown = get("/api/v1/releases/" + id + "?until=started");
  EXPECT_EQ(shown.body["tag"], "feature-a");
  EXPECT_EQ(shown.body["reached"], true);
  EXPECT_EQ(shown.body["receipt"]["proxies"], 3);
  EXPECT_EQ(shown.body["receipt"]["missing"], json::array());
  EXPECT_EQ(shown.body["applications"][0]["instances"][0]["ready"], true) << shown.body;
  EXPECT_EQ(shown.body["progress"]["waitsFor"], "promote or rollback");
  EXPECT_EQ(get("/api/v1/releases?tag=feature-a&active=true").body["items"].size(), 1u);
  EXPECT_EQ(get("/api/v1/releases?application=cart").body["items"].size(), 0u);
  EXPECT_EQ(get("/api/v1/releases/99").status, 404);
}

TEST_F(PlatformApi, RollsBackWithTheReceiptAndSaysWhoAndWhy) {
  const std::string id = gray_web("feature-a");
  const Answer back = post("/api/v1/releases/" + id + "/rollback?wait=20",
                           R"({"reason": "errors on checkout"})", {{"X-Graymesh-User", "bob"}});
  ASSERT_EQ(back.status, 200) << back.body;
  EXPECT_EQ(back.body["phase"], "rolled-back");
  EXPECT_EQ(back.body["reached"], true);
  json keys = json::array();
  for (const auto& [key, value] : back.body["receipt"].items()) keys.push_back(key);
  EXPECT_EQ(keys, (json{"acked", "last", "last_ms", "missing", "p50_ms", "p99_ms", "proxies",
                        "refused", "what"}));
  const Answer history = get("/api/v1/history?who=bob");
  ASSERT_EQ(history.body["items"].size(), 1u) << history.body;
  EXPECT_EQ(history.body["items"][0]["verb"], "rollback");
  EXPECT_EQ(history.body["items"][0]["reason"], "errors on checkout");
  EXPECT_EQ(history.body["items"][0]["from"], "127.0.0.1");
  EXPECT_EQ(post("/api/v1/releases/" + id + "/promote").status, 409) << "it is over";
}

TEST_F(PlatformApi, PromotesAndTheFiguresKnowIt) {
  const std::string id = gray_web("feature-a");
  const Answer promoted = post("/api/v1/releases/" + id + "/promote?wait=20");
  EXPECT_EQ(promoted.body["phase"], "promoted") << promoted.body;
  EXPECT_EQ(promoted.body["receipt"]["missing"], json::array());
  const Answer figures = get("/api/v1/figures?days=1");
  EXPECT_EQ(figures.body["all"]["promoted"], 1) << figures.body;
  EXPECT_EQ(figures.body["teams"]["shop"]["grayShare"], 1.0);
  EXPECT_EQ(figures.body["namespaces"]["fe-pre"]["rollbackRate"], 0.0);
  EXPECT_TRUE(figures.body["all"]["rollbackMedianSeconds"].is_null());
}

TEST_F(PlatformApi, RefusesAPlanThatDoesNotHoldWithItsReasons) {
  ASSERT_EQ(post("/api/v1/applications", application("web")).status, 200);
  json absent = gray("x");
  absent["spec"]["applications"][0]["name"] = "nowhere";
  const Answer dry = post("/api/v1/releases?dryRun=true", absent.dump());
  EXPECT_EQ(dry.status, 200);
  EXPECT_EQ(dry.body["holds"], false);
  const Answer refused = post("/api/v1/releases", absent.dump());
  EXPECT_EQ(refused.status, 409) << refused.body;
  EXPECT_FALSE(refused.body["errors"].empty());
  EXPECT_EQ(post("/api/v1/releases?dryRun=true", gray("x").dump()).body["holds"], true);
  EXPECT_TRUE(get("/api/v1/releases").body["items"].empty()) << "a dry run starts nothing";
}

TEST_F(PlatformApi, DoesARequestSentTwiceOnce) {
  ASSERT_EQ(post("/api/v1/applications", application("web")).status, 200);
  const httplib::Headers key = {{"Idempotency-Key", "build-17"}};
  const Answer first = post("/api/v1/releases?wait=20", gray("x").dump(), key);
  const Answer again = post("/api/v1/releases?wait=20", gray("x").dump(), key);
  EXPECT_EQ(first.header("Idempotent-Replayed"), "");
  EXPECT_EQ(again.header("Idempotent-Replayed"), "true");
  EXPECT_EQ(first.body["id"], again.body["id"]);
  EXPECT_EQ(get("/api/v1/releases").body["items"].size(), 1u);
  EXPECT_EQ(post("/api/v1/releases", gray("y").dump(), key).status, 422) << "another body";
  EXPECT_EQ(post("/api/v1/lanes", gray("x").dump(), key).status, 422) << "another path";
}

// As if graymeshd had been killed after the act, and before its answer was kept.
TEST_F(PlatformApi, ARequestThatWasDoneIsNotDoneAgainAlsoIfItsAnswerWasLost) {
  const auto lose_answer = [&](const std::string& key) {
    json kept = json::parse(platform_.store->reply(key)->value());
    for (const char* field : {"body", "etag"}) kept.erase(field);
    ASSERT_TRUE(platform_.store->commit({.replies = {{key, kept.dump()}}}));
  };
  const httplib::Headers app_key = {{"Idempotency-Key", "app-1"}},
                         key = {{"Idempotency-Key", "r-1"}};
  const Answer applied = post("/api/v1/applications", application("web"), app_key);
  lose_answer("app-1");
  const Answer again = post("/api/v1/applications", application("web"), app_key);
  EXPECT_EQ(again.header("Idempotent-Replayed"), "true");
  EXPECT_EQ(again.header("ETag"), applied.header("ETag"));
  EXPECT_EQ(again.body["metadata"]["name"], "web");

  const Answer started = post("/api/v1/releases?wait=20", gray("x").dump(), key);
  lose_answer("r-1");
  EXPECT_EQ(post("/api/v1/releases", gray("x").dump(), key).body["id"], started.body["id"]);
  EXPECT_EQ(get("/api/v1/releases").body["items"].size(), 1u);
}

TEST_F(PlatformApi, ActsOfAnyNameAndReasonAreDoneAndKept) {
  EXPECT_EQ(post("/api/v1/applications", application("web")).status, 200);
  const httplib::Headers headers = {{"Idempotency-Key", "r-2"}, {"X-Graymesh-User", "J\xf6rg"}};
  const Answer started =
      post("/api/v1/releases?wait=20&reason=no%FFtext", gray("x").dump(), headers);
  ASSERT_EQ(started.status, 200) << started.body;
  EXPECT_EQ(started.body["startedBy"], "J\xef\xbf\xbdrg");
  EXPECT_EQ(post("/api/v1/releases?reason=no%FFtext", gray("x").dump(), headers).body["id"],
            started.body["id"]);
}

TEST_F(PlatformApi, PromotesToAnotherEnvironmentByABodyAndOnlyWhatIsProven) {
  const std::string id = gray_web("feature-a");
  std::string online = application("web");
  online.replace(online.find("fe-pre"), 6, "fe-online");
  online.replace(online.find("version: v1"), 11, "version: v0");
  ASSERT_EQ(post("/api/v1/applications", online).status, 200);
  const std::string path = "/api/v1/releases/" + id + "/promote";
  EXPECT_EQ(post(path, R"({"to": 7})").status, 400);
  EXPECT_EQ(post(path, R"({"spec": {"steps": []}})").status, 400) << "spec is of another place";
  EXPECT_EQ(post(path, R"({"to": "fe-online", "spec": {"tag": "other"}})").status, 422);
  const Answer bad = post(path, R"({"to": "fe-online", "spec": {"steps": [{"weight": 101}]}})");
  EXPECT_EQ(bad.status, 422);
  EXPECT_EQ(bad.body["errors"].size(), 1u) << bad.body;
  EXPECT_EQ(post(path, R"({"to": "fe-lab"})").status, 409) << "no application there";

  const Answer there =
      post(path + "?wait=20",
           R"({"to": "fe-online", "reason": "as agreed", "spec": {"steps": [{"weight": 5}]}})",
           {{"X-Graymesh-User", "bob"}});
  ASSERT_EQ(there.status, 200) << there.body;
  EXPECT_EQ(there.body["namespace"], "fe-online");
  EXPECT_EQ(there.body["phase"], "gray");
  EXPECT_EQ(there.body["weight"], 5);
  EXPECT_EQ(there.body["startedBy"], "bob");
  EXPECT_EQ(there.body["from"], (json{{"release", std::stoi(id)}, {"namespace", "fe-pre"}}));
  const json here = get("/api/v1/releases/" + id).body;
  EXPECT_EQ(here["phase"], "gray") << "it stays what it is";
  EXPECT_EQ(here["promotedTo"][0]["release"], there.body["id"]);
  EXPECT_EQ(here["applications"][0]["artefact"], there.body["applications"][0]["artefact"]);
  EXPECT_EQ(post(path, R"({"to": "fe-online"})").status, 409) << "it runs there";
}

TEST_F(PlatformApi, AnAnalysisGoesOnAsItWasWritten) {
  platform_.judge.word = {release::Judge::Verdict::healthy, ""};
  EXPECT_EQ(post("/api/v1/applications", application("web")).status, 200);
  std::string online = application("web");
  online.replace(online.find("fe-pre"), 6, "fe-online");
  online.replace(online.find("version: v1"), 11, "version: v0");
  EXPECT_EQ(post("/api/v1/applications", online).status, 200);
  const json analysis = {{"successRate", {{"margin", 2}}},
                         {"latency", {{"percentile", 95.5}, {"margin", 3}, {"slower", 50}}},
                         {"prometheus", "http://127.0.0.1:9090"},
                         {"queries",
                          {{{"name", "lost"}, {"total", "t"}, {"bad", "b"}, {"margin", 4}},
                           {{"name", "the mesh's own"}}}},
                         {"window", "2m"},
                         {"interval", "10s"},
                         {"duration", {{"minimum", "1m30s"}, {"maximum", "2h"}}},
                         {"inconclusive", "rollback"},
                         {"dryRun", true}};
  const json by_prometheus = {{"proxies", false}, {"prometheus", "http://127.0.0.1:9090"}};
  const json steps = {{{"weight", 10}, {"analysis", analysis}},
                      {{"weight", 20}, {"analysis", by_prometheus}},
                      {{"weight", 30}, {"analysis", {}}}};
  const json object = gray("x", {{"steps", steps}});
  ASSERT_EQ(post("/api/v1/releases?wait=20", object.dump()).status, 200);
  ASSERT_TRUE(platform_.becomes([&] { return get("/api/v1/releases/1").body["phase"] == "gray"; }));
  const Answer there = post("/api/v1/releases/1/promote?wait=20", R"({"to": "fe-online"})");
  ASSERT_EQ(there.status, 200) << there.body;
  const auto view = platform_.engine->view();
  const auto &here = view->world->releases.at(1).spec,
             &online_too = view->world->releases.at(2).spec;
  ASSERT_EQ(online_too.steps.size(), 3u);
  for (std::size_t step = 0; step < 3; ++step)
    EXPECT_EQ(online_too.steps[step].analysis, here.steps[step].analysis);
}

TEST_F(PlatformApi, ActsOnlyOnAReleaseThatIsStillAsItWasRead) {
  ASSERT_EQ(post("/api/v1/applications", application("web")).status, 200);
  const Answer started =
      post("/api/v1/releases?wait=20",
           gray("v2", {{"steps", {{{"weight", 5}, {"pause", {{"approval", true}}}}}}}).dump());
  const std::string path = "/api/v1/releases/" + started.body["id"].dump();
  const std::string etag = get(path).header("ETag");
  EXPECT_EQ(started.header("ETag"), etag);
  for (const char* verb : {"approve", "promote", "pause", "resume", "rollback"}) {
    const Answer stale = post(path + "/" + verb, "", {{"If-Match", "\"0000000000000000\""}});
    EXPECT_EQ(stale.status, 412) << verb;
    EXPECT_EQ(stale.header("Content-Type"), "application/problem+json");
    EXPECT_EQ(stale.body["detail"],
              "release 1 must be \"0000000000000000\" (If-Match), it is " + etag);
  }
  EXPECT_EQ(get(path).header("ETag"), etag) << "nothing was done";
  const Answer paused = post(path + "/pause", "", {{"If-Match", etag}});
  EXPECT_EQ(paused.status, 200) << paused.body;
  EXPECT_NE(paused.header("ETag"), etag);
  EXPECT_EQ(post(path + "/resume", "", {{"If-Match", etag}}).status, 412) << "it is paused now";
  EXPECT_EQ(post(path + "/promote", R"({"to": "fe-online"})", {{"If-Match", etag}}).status, 412);
  EXPECT_EQ(post(path + "/resume", "", {{"If-Match", "*"}}).status, 200);
  EXPECT_EQ(post(path + "/rollback?wait=20").body["phase"], "rolled-back") << "as it may be";
  EXPECT_EQ(post("/api/v1/releases/99/approve", "", {{"If-Match", etag}}).status, 404);
}

TEST_F(PlatformApi, TakesBackWhatWasPromoted) {
  const std::string id = gray_web("feature-a");
  const std::string path = "/api/v1/releases/" + id;
  ASSERT_EQ(post(path + "/promote?wait=20").body["phase"], "promoted");
  const Answer back = post(path + "/rollback?wait=20");
  EXPECT_EQ(back.body["phase"], "rolled-back") << back.body;
  EXPECT_EQ(back.body["reached"], true);
  EXPECT_EQ(back.body["receipt"]["what"], "rollback");
  EXPECT_EQ(get("/api/v1/applications/fe-pre/web").body["status"]["baseline"]["version"], "v1");
  const json figures = get("/api/v1/figures?days=1").body;
  EXPECT_EQ(figures["all"]["rolledBack"], 1) << figures;
  EXPECT_EQ(figures["all"]["promoted"], 0);
  EXPECT_TRUE(figures["all"]["rollbackMedianSeconds"].is_number());
}

TEST_F(PlatformApi, SaysForEachApplicationOfALaneWhatAnswersAndWhatCarriesIt) {
  ASSERT_EQ(post("/api/v1/applications", application("cart")).status, 200);
  gray_web("feature-a");
  const Answer lane = get("/api/v1/lanes/fe-pre/feature-a");
  ASSERT_EQ(lane.status, 200);
  const json& applications = lane.body["status"]["applications"];
  ASSERT_EQ(applications.size(), 2u);
  EXPECT_EQ(applications[0]["name"], "cart");
  EXPECT_EQ(applications[0]["answeredBy"], "baseline");
  EXPECT_EQ(applications[0]["instances"], 2);
  EXPECT_EQ(applications[1]["answeredBy"], "lane");
  EXPECT_EQ(applications[1]["carriedBy"], "no request seen yet");
  EXPECT_EQ(applications[1]["ready"], 1);
  EXPECT_EQ(lane.body["status"]["lastRequest"], json());

  platform_.traffic.know({.lanes = {{"fe-pre", "feature-a"}},
                          .applications = {{"fe-pre", "web"}, {"fe-pre", "cart"}}});
  const traffic::Who gray{"fe-pre", "web", "feature-a", applications[1]["revision"].dump()};
  platform_.traffic.record(
      {.who = gray, .proxy = "p", .side = traffic::Teller::Side::outbound},
      {{.lane = "feature-a", .carrier = traffic::Carrier::stamp, .to = "cart.fe-pre"}});
  const json now = get("/api/v1/lanes/fe-pre/feature-a").body["status"];
  EXPECT_EQ(now["applications"][0]["carriedBy"], "no request seen yet");
  EXPECT_EQ(now["applications"][1]["carriedBy"], "stamp");
  EXPECT_TRUE(now["lastRequest"].is_string());
  EXPECT_EQ(now["used"], now["lastRequest"]);
  EXPECT_EQ(now["problems"], json::array());
}

TEST_F(PlatformApi, ListsInstancesOfAVersion) {
  gray_web("feature-a");
  EXPECT_EQ(get("/api/v1/instances?application=web").body["items"].size(), 3u);
  EXPECT_EQ(get("/api/v1/instances?tag=none").body["items"].size(), 2u);
  const json gray_ones = get("/api/v1/instances?tag=feature-a").body["items"];
  ASSERT_EQ(gray_ones.size(), 1u);
  EXPECT_EQ(gray_ones[0]["phase"], "ready");
}

TEST_F(PlatformApi, HoldsResumesAndApprovesByHttp) {
  EXPECT_EQ(post("/api/v1/applications", application("web")).status, 200);
  const json steps = {{"steps",
                       {{{"weight", 5}, {"pause", {{"approval", true}}}},
                        {{"weight", 50}, {"pause", {{"approval", true}}}}}}};
  const Answer started = post("/api/v1/releases?wait=20", gray("feature-a", steps).dump());
  ASSERT_EQ(started.body["progress"]["waitsFor"], "approval of step 1 (weight 5)") << started.body;
  const std::string path = "/api/v1/releases/" + std::to_string(started.body.value("id", 0));
  EXPECT_EQ(post(path + "/pause").body["held"], true);
  EXPECT_EQ(post(path + "/approve", R"({"reason": "seen"})", {{"X-Graymesh-User", "bob"}}).status,
            200);
  EXPECT_TRUE(
      platform_.becomes([&] { return get(path).body["progress"]["waitsFor"] == "paused"; }));
  EXPECT_EQ(get(path).body["approvals"].size(), 1u) << get(path).body;
  EXPECT_EQ(get(path).body["weight"], 5) << "what holds does not go on, approved or not";
  EXPECT_EQ(post(path + "/resume").body["held"], false);
  EXPECT_TRUE(platform_.becomes([&] { return get(path).body["weight"] == 50; }));
  EXPECT_TRUE(get(path).body["approvals"].empty()) << "one approval is for one step";
  EXPECT_EQ(post("/api/v1/releases/99/pause").status, 404);
  EXPECT_EQ(post(path + "/shelve").status, 404);
}

class NoPlatform : public PlatformApi {
 protected:
  NoPlatform() : PlatformApi("", false) {}
};

TEST_F(NoPlatform, SaysWhatIsMissing) {
  const Answer answer = get("/api/v1/releases");
  EXPECT_EQ(answer.status, 501);
  EXPECT_NE(answer.body["detail"].get<std::string>().find("--store"), std::string::npos);
  EXPECT_EQ(get("/api/v1/proxies").status, 200);
}

}  // namespace
}  // namespace graymesh::api
