// The release platform as a client of the API sees it, before a real engine and a real server.
#include "api/platform.h"

#include <httplib.h>

#include <atomic>
#include <optional>

#include "api/figures.h"
#include "api/testing.h"
#include "base/json.h"

namespace graymesh::api {
namespace {

using nlohmann::json;

std::string application(const std::string& name, const std::string& more = "") {
  return "apiVersion: graymesh.io/v1alpha1\nkind: Application\nmetadata: {name: " + name +
         ", namespace: fe-pre}\nspec:\n  team: shop\n  ports: [{name: http, port: 8080}]\n"
         "  run: {command: [./" +
         name + "], version: v1}\n  replicas: 2\n" + more;
}

json gray(const std::string& tag, const json& more = json::object()) {
  json out = {{"apiVersion", "graymesh.io/v1alpha1"},
              {"kind", "GrayRelease"},
              {"metadata", {{"name", "web-" + tag}, {"namespace", "fe-pre"}}},
              {"spec", {{"tag", tag}, {"applications", {{{"name", "web"}}}}}}};
  out["spec"].update(more);
  return out;
}

struct Answer {
  int status = -1;
  json body = {};
  httplib::Headers headers = {};
  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

class PlatformApi : public ::testing::Test {
 protected:
  explicit PlatformApi(const std::string& tokens = "", bool with_engine = true)
      : platform_(tokens, with_engine), client_("127.0.0.1", platform_.server->port()) {
    client_.set_read_timeout(30);
  }

  static Answer of(const httplib::Result& result) {
    if (!result) return {};
    return {result->status, json::parse(result->body, nullptr, false), result->headers};
  }
  Answer get(const std::string& path) { return of(client_.Get(path)); }
  Answer post(const std::string& path, const std::string& body = "",
              const httplib::Headers& headers = {}) {
    return of(client_.Post(path, headers, body, "application/json"));
  }
  Answer remove(const std::string& path, const httplib::Headers& headers = {}) {
    return of(client_.Delete(path, headers));
  }

  // web with its baseline, and a release of tag `tag` that is gray.
  std::string gray_web(const std::string& tag) {
    EXPECT_EQ(post("/api/v1/applications", application("web")).status, 200);
    const Answer started = post("/api/v1/releases?wait=20", gray(tag).dump());
    EXPECT_EQ(started.body.value("phase", ""), "gray") << started.body;
    return std::to_string(started.body.value("id", 0));
  }

  testing::ServedPlatform platform_;
  httplib::Client client_;
};

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
                         {"interval", "10s"},
                         {"duration", {{"minimum", "1m30s"}, {"maximum", "2h"}}},
                         {"inconclusive", "rollback"},
                         {"dryRun", true}};
  const json steps = {{{"weight", 10}, {"analysis", analysis}}, {{"weight", 20}, {"analysis", {}}}};
  const json object = gray("x", {{"steps", steps}});
  ASSERT_EQ(post("/api/v1/releases?wait=20", object.dump()).status, 200);
  ASSERT_TRUE(platform_.becomes([&] { return get("/api/v1/releases/1").body["phase"] == "gray"; }));
  const Answer there = post("/api/v1/releases/1/promote?wait=20", R"({"to": "fe-online"})");
  ASSERT_EQ(there.status, 200) << there.body;
  const auto view = platform_.engine->view();
  const auto &here = view->world->releases.at(1).spec,
             &online_too = view->world->releases.at(2).spec;
  ASSERT_EQ(online_too.steps.size(), 2u);
  for (std::size_t step = 0; step < 2; ++step)
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

// What a watcher of `path` is told until `enough` of it has come.
std::string watched(int port, const std::string& path,
                    const std::function<bool(const std::string&)>& enough,
                    const httplib::Headers& headers = {}) {
  httplib::Client client("127.0.0.1", port);
  client.set_read_timeout(10);
  std::string text;
  client.Get(path, headers, [&](const char* data, std::size_t size) {
    text.append(data, size);
    return !enough(text);
  });
  return text;
}

TEST_F(PlatformApi, TellsWatchersWhatStandsAndThenWhatChanges) {
  const std::string id = gray_web("feature-a");
  std::atomic<bool> begun{false};
  std::thread rolls_back([&] {
    while (!begun) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    httplib::Client other("127.0.0.1", platform_.server->port());
    other.Post("/api/v1/releases/" + id + "/rollback");
  });
  const std::string text =
      watched(platform_.server->port(), "/api/v1/events", [&](const std::string& so_far) {
        if (so_far.find("\"phase\":\"gray\"") != std::string::npos) begun = true;
        return so_far.find("rolled-back") != std::string::npos;
      });
  rolls_back.join();
  EXPECT_NE(text.find("event: release\n"), std::string::npos);
  EXPECT_NE(text.find("event: instance\n"), std::string::npos);
  EXPECT_NE(text.find("event: lane\n"), std::string::npos);
  EXPECT_NE(text.find("rolled-back"), std::string::npos) << text;
}

TEST_F(PlatformApi, TellsAWatcherThatWasCutOffWhatEndedMeanwhile) {
  const std::string id = gray_web("feature-a");
  const int port = platform_.server->port();
  const auto has = [](const char* words) {
    return [words](const std::string& text) { return text.find(words) != std::string::npos; };
  };
  const std::string before = watched(port, "/api/v1/events", has("\"phase\":\"gray\""));
  const auto last = before.rfind("id: ");
  ASSERT_NE(last, std::string::npos) << before;
  const std::string last_id = before.substr(last + 4, before.find('\n', last) - last - 4);
  ASSERT_EQ(post("/api/v1/releases/" + id + "/rollback?wait=20").body["phase"], "rolled-back");
  // The lane is told after the releases: then they were, or will not be.
  EXPECT_EQ(watched(port, "/api/v1/events", has("event: lane\n")).find("rolled-back"),
            std::string::npos)
      << "whoever begins to watch is not told what was over";
  const std::string after =
      watched(port, "/api/v1/events", has("event: lane\n"), {{"Last-Event-ID", last_id}});
  EXPECT_NE(after.find("\"phase\":\"rolled-back\""), std::string::npos) << after;
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

TEST_F(PlatformApi, WatchesOneReleaseAlone) {
  const std::string id = gray_web("feature-a");
  ASSERT_EQ(post("/api/v1/releases?wait=20", gray("feature-b").dump()).status, 200);
  const std::string text = watched(
      platform_.server->port(), "/api/v1/events?release=" + id,
      [](const std::string& so_far) { return so_far.find("web-feature-a") != std::string::npos; });
  EXPECT_EQ(text.find("\"tag\":\"feature-b\",\"weight\""), std::string::npos);
  EXPECT_EQ(get("/api/v1/events?release=99").status, 404);
}

TEST_F(PlatformApi, BoundsItsWatchersAndEndsThemWithTheServer) {
  std::vector<std::thread> watchers;
  std::atomic<int> begun{0};
  const int port = platform_.server->port();
  for (int i = 0; i < watchers_max; ++i) {
    watchers.emplace_back([&] {
      bool mine = false;
      watched(port, "/api/v1/events", [&](const std::string&) {
        if (!mine) ++begun;
        mine = true;
        return false;
      });
    });
    // One after the other: a burst would fill the listener's queue.
    ASSERT_TRUE(platform_.becomes([&] { return begun == i + 1; }));
  }
  const Answer refused = get("/api/v1/events");
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.header("Retry-After"), "5");
  EXPECT_EQ(get("/api/v1/releases").status, 200) << "others are answered all the same";
  platform_.server.reset();
  for (auto& watcher : watchers) watcher.join();
}

class PlatformWithTokens : public PlatformApi {
 protected:
  PlatformWithTokens()
      : PlatformApi("# who is who\n0123456789abcdef-ann ann\n0123456789abcdef-bob bob smith\n") {}
};

TEST_F(PlatformWithTokens, LetsActOnlyWhoIsKnown) {
  const std::string path = "/api/v1/applications";
  EXPECT_EQ(post(path, application("web")).status, 401);
  EXPECT_EQ(post(path, application("web"), {{"X-Graymesh-User", "ann"}}).status, 401);
  const Answer wrong =
      post(path, application("web"), {{"Authorization", "Bearer 0123456789abcdef-eve"}});
  EXPECT_EQ(wrong.status, 401);
  EXPECT_EQ(wrong.body.dump().find("eve"), std::string::npos) << "tokens are not repeated";
  EXPECT_EQ(post("/api/v1/objects", "kind: X\n").status, 401);
  EXPECT_EQ(
      post(path, application("web"), {{"Authorization", "Bearer 0123456789abcdef-bob"}}).status,
      200);
  EXPECT_EQ(get("/api/v1/history").body["items"].back()["who"], "bob smith");
}

TEST_F(PlatformWithTokens, ItsStarterMayNotApproveWhereFourEyesAreAskedFor) {
  const auto as = [](const char* name) {
    return httplib::Headers{{"Authorization", std::string("Bearer 0123456789abcdef-") + name}};
  };
  ASSERT_EQ(post("/api/v1/environments",
                 "apiVersion: graymesh.io/v1alpha1\nkind: Environment\nmetadata: {name: policy, "
                 "namespace: fe-pre}\nspec: {approval: {required: 1, fourEyes: true}}\n",
                 as("ann"))
                .status,
            200);
  ASSERT_EQ(post("/api/v1/applications", application("web"), as("ann")).status, 200);
  const Answer started = post("/api/v1/releases?wait=20", gray("a").dump(), as("ann"));
  const std::string path = "/api/v1/releases/" + std::to_string(started.body.value("id", 0));
  ASSERT_EQ(post(path + "/promote", "", as("ann")).status, 200);
  const Answer own = post(path + "/approve", "", as("ann"));
  EXPECT_EQ(own.status, 403);
  EXPECT_EQ(own.body["detail"], "ann started release 1: fe-pre asks for four eyes");
  auto disguised = as("ann");
  disguised.emplace("X-Graymesh-User", "bob smith");
  EXPECT_EQ(post(path + "/approve", "", disguised).status, 403) << "a token is who it is";
  EXPECT_EQ(get(path).body["phase"], "gray");
  EXPECT_EQ(post(path + "/approve", "", as("bob")).status, 200);
  EXPECT_EQ(get(path + "?until=promoted&wait=20").body["phase"], "promoted");
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

TEST(Tokens, AreRefusedByLineAndNeverShown) {
  const auto file = std::filesystem::path(::testing::TempDir()) / "graymesh-tokens";
  ASSERT_TRUE(write_file(file, "0123456789abcdef ann\nsecretsecretsecret\n"));
  const auto read = Tokens::read(file);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find(":2:"), std::string::npos);
  EXPECT_EQ(read.error().message.find("secret"), std::string::npos);
  ASSERT_TRUE(write_file(file, "short ann\n"));
  EXPECT_FALSE(Tokens::read(file));
}

TEST(Figures, CountAndTakeMediansByNamespaceAndTeam) {
  using release::Phase;
  const auto at = [](int seconds) { return Clock::Wall(std::chrono::seconds(seconds)); };
  release::World world;
  std::vector<release::Act> acts;  // newest first, as the store tells them
  const auto add = [&](int second, const std::string& object, const std::string& verb,
                       const std::string& detail = "{}") {
    acts.insert(acts.begin(), {.at_ms = second * 1000LL,
                               .verb = verb,
                               .namespace_ = "fe-pre",
                               .object = object,
                               .detail = detail});
  };
  const auto end = [](const std::string& phase, int started) {
    return json{{"phase", phase}, {"started_ms", started * 1000LL}, {"team", "shop"}}.dump();
  };
  add(1, "release/5", "advance", end("promoted", 0));  // before
  add(1008, "release/3", "rollback");
  add(1008, "application/web", "advance", R"({"baseline":"switched"})");
  add(1010, "release/3", "advance", R"({"phase":"back-subset"})");
  add(1011, "release/3", "advance", end("rolled-back", 1000));
  add(1100, "release/1", "advance", end("promoted", 1000));
  add(1100, "release/4", "advance", end("superseded", 1000));
  add(1300, "release/2", "advance", end("promoted", 1000));
  // Promoted, and then taken back behind it: one release, which was rolled back.
  add(1350, "release/6", "advance", end("promoted", 1000));
  add(1400, "release/6", "rollback");
  add(1405, "release/6", "advance", R"({"phase":"back-switching"})");
  add(1406, "release/6", "advance", R"({"phase":"back-stopping"})");
  add(1407, "release/6", "advance", end("rolled-back", 1000));
  const json page = figures(world, acts, {.from = at(500), .to = at(500 + 86'400)});
  const json& all = page["namespaces"]["fe-pre"];
  EXPECT_EQ(all["releases"], 4);
  EXPECT_DOUBLE_EQ(all["releasesPerDay"], 4.0);
  EXPECT_DOUBLE_EQ(all["grayShare"], 0.8);
  EXPECT_DOUBLE_EQ(all["leadTimeMedianSeconds"], 200.0);
  EXPECT_DOUBLE_EQ(all["rollbackRate"], 0.5);
  EXPECT_DOUBLE_EQ(all["rollbackMedianSeconds"], 4.0);  // of 2 and 6
  EXPECT_EQ(page["teams"]["shop"]["releases"], 4) << "known without the World";
}

}  // namespace
}  // namespace graymesh::api
