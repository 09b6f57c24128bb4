// The release platform as a client of the API sees it, before a real engine and a real server.
#include "api/platform.h"

#include <httplib.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <optional>

#include "api/figures.h"
#include "api/testing.h"

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
  const auto start = std::chrono::steady_clock::now();
  platform_.server.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
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
  const auto add = [&](std::uint64_t id, Phase phase, int started, int over) {
    release::Release release;
    release.id = id;
    release.name = {"fe-pre", "r"};
    release.members.push_back({.application = "web"});
    release.phase = phase;
    release.started = at(started);
    release.over = at(over);
    if (phase == Phase::rolled_back) release.receipts["rollback"] = {.at = at(over - 1)};
    world.releases[id] = release;
  };
  add(1, Phase::promoted, 1000, 1100);
  add(2, Phase::promoted, 1000, 1300);
  add(3, Phase::rolled_back, 1000, 1011);
  add(4, Phase::superseded, 1000, 1100);
  add(5, Phase::promoted, 1, 2);  // before
  std::vector<release::Act> acts(2);
  acts[0] = {.at_ms = 1'008'000, .verb = "rollback", .namespace_ = "fe-pre", .object = "release/3"};
  acts[1] = {.at_ms = 1'008'000,
             .verb = "advance",
             .namespace_ = "fe-pre",
             .object = "application/web",
             .detail = R"({"baseline":"switched"})"};
  const json page = figures(world, acts, {.from = at(500), .to = at(500 + 86'400)});
  const json& all = page["namespaces"]["fe-pre"];
  EXPECT_EQ(all["releases"], 3);
  EXPECT_DOUBLE_EQ(all["releasesPerDay"], 3.0);
  EXPECT_DOUBLE_EQ(all["grayShare"], 0.75);
  EXPECT_DOUBLE_EQ(all["leadTimeMedianSeconds"], 200.0);
  EXPECT_DOUBLE_EQ(all["rollbackRate"], 1.0 / 3);
  EXPECT_DOUBLE_EQ(all["rollbackMedianSeconds"], 2.0);
}

}  // namespace
}  // namespace graymesh::api
