// Server-sent events of the release platform, as a watcher is told them.
#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "api/platform.h"
#include "api/platform_fixture.h"

namespace graymesh::api {
namespace {

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

}  // namespace
}  // namespace graymesh::api
