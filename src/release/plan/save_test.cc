#include "base/json.h"
#include "release/plan/testing.h"

namespace graymesh::release {
namespace {

using namespace testing;
using namespace std::chrono_literals;

World full() {
  World world;
  add_application(world, "web");
  Application& web = world.applications.begin()->second;
  web.change = Application::Change{{.revision = 7, .replicas = 2, .run = web.spec().run},
                                   Application::Change::Phase::switching,
                                   Clock::Wall(5s)};
  web.baseline.run.environment["A"] = "b";
  Release release = release_of(world, "feature-a", {"web"}, {1, 50});
  release.phase = Phase::step;
  release.step = 1;
  release.spec.steps[0].pause = 10min;
  release.spec.steps[0].analysis =
      model::Analysis{.success_margin = 2,
                      .prometheus = "http://p/",
                      .queries = {{"carts", "a", "b", 1.5}},
                      .window = 2min,
                      .maximum = 2h,
                      .inconclusive = model::Analysis::Inconclusive::rollback,
                      .dry_run = true};
  release.spec.steps[1].hook = "http://judge/";
  release.spec.match.push_back({});
  release.spec.match[0].headers["user"] = {model::StringMatch::Kind::regex, "a.*"};
  release.members[0].old_baseline = web.baseline;
  release.members[0].back_revision = 8;
  release.from = 3;
  release.spec.promote_to = "fe-online";
  release.stays = true;
  release.promoted_to.push_back({.namespace_ = "fe-online", .release = 5});
  release.approvals.push_back({"ann", "127.0.0.1"});
  release.receipts["routes"] = {.what = "routes",
                                .proxies = 3,
                                .acked = 2,
                                .p50_ms = 1.5,
                                .missing = {"sidecar~1"},
                                .at = Clock::Wall(9s)};
  world.releases.emplace(release.id, release);
  Lane lane;
  lane.name = {"fe-pre", "feature-a"};
  lane.spec.time_to_live = 72h;
  lane.spec.strict = true;
  world.lanes.emplace(lane.name, lane);
  set_environment(world, "promoteTo: fe-online");
  return world;
}

TEST(Save, WhatIsReadAgainIsTheSame) {
  const auto documents = save(full());
  const auto again = load(documents);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(save(*again), documents);
  const Release& release = again->releases.at(1);
  EXPECT_EQ(release.phase, Phase::step);
  EXPECT_EQ(release, full().releases.at(1));
  EXPECT_EQ(release.spec.steps.at(0).pause, 10min);
  EXPECT_EQ(release.receipts.at("routes").missing.at(0), "sidecar~1");
  EXPECT_EQ(again->applications.at({"fe-pre", "web"}).change->next.revision, 7u);
}

TEST(Save, BytesThatAreNoTextDoNotStopIt) {
  World world = full();
  world.releases.at(1).reason = "rolled back: unhealthy: half a \xc3";
  world.releases.at(1).started_by.name = "J\xf6rg";
  const auto again = load(save(world));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->releases.at(1).reason, "rolled back: unhealthy: half a \xef\xbf\xbd");
  EXPECT_EQ(again->releases.at(1).started_by.name, "J\xef\xbf\xbdrg");
}

TEST(Save, AnAnalysisInThePlaceOfAHookIsReadAsOne) {
  auto documents = save(full());
  auto release = nlohmann::json::parse(documents.at("release/1"));
  auto& step = release["spec"]["steps"][0];
  step["verdict"] = step["analysis"].dump();
  step.erase("analysis");
  documents["release/1"] = release.dump();
  const auto again = load(documents);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->releases.at(1), full().releases.at(1));
}

TEST(Save, ADamagedDocumentIsNamed) {
  auto documents = save(full());
  documents["release/1"].resize(40);
  const auto damaged = load(documents);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, Code::data_loss);
  EXPECT_NE(damaged.error().message.find("document release/1: "), std::string::npos);
  for (const auto& [key, text] : save(full())) {
    for (const char* foreign : {"{}", "[]", "null", "7", R"({"phase":"sleeping"})"}) {
      auto others = save(full());
      others[key] = foreign;
      EXPECT_FALSE(load(others)) << key << " " << foreign;
    }
  }
}

// What a store has after it was given a difference.
std::map<std::string, std::string> updated(std::map<std::string, std::string> documents,
                                           const Difference& difference) {
  for (const auto& [key, text] : difference.documents) {
    if (text)
      documents[key] = *text;
    else
      documents.erase(key);
  }
  return documents;
}

TEST(Save, ADifferenceIsAllThatIsOtherwiseAndNoMore) {
  const World before = full();
  EXPECT_TRUE(difference(before, before).documents.empty());
  EXPECT_EQ(updated({}, difference({}, before)), save(before));
  const auto change = [&](const std::string& key, const std::string& namespace_, auto&& how) {
    World after = before;
    how(after);
    const Difference found = difference(before, after);
    ASSERT_EQ(found.documents.size(), 1u) << key;
    EXPECT_EQ(found.documents.begin()->first, key);
    EXPECT_EQ(found.namespaces,
              namespace_.empty() ? std::set<std::string>() : std::set<std::string>{namespace_});
    EXPECT_EQ(updated(save(before), found), save(after)) << key;
  };
  const Name web{"fe-pre", "web"}, lane{"fe-pre", "feature-a"};
  change("counters", "", [](World& world) { ++world.last_number; });
  change("application/fe-pre/web", "fe-pre",
         [&](World& world) { world.applications.at(web).change->next.replicas = 9; });
  change("application/fe-pre/web", "fe-pre", [&](World& world) { world.applications.erase(web); });
  change("release/1", "fe-pre",
         [](World& world) { world.releases.at(1).receipts.at("routes").acked = 3; });
  change("release/1", "fe-pre", [](World& world) { world.releases.clear(); });
  change("lane/fe-pre/feature-a", "fe-pre",
         [&](World& world) { world.lanes.at(lane).used += 1min; });
  change("lane/fe-pre/feature-a", "fe-pre", [](World& world) { world.lanes.clear(); });
  change("environment/fe-pre", "fe-pre",
         [](World& world) { set_environment(world, "promoteTo: other"); });
  change("environment/fe-pre", "fe-pre", [](World& world) { world.environments.clear(); });
}

}  // namespace
}  // namespace graymesh::release
