// Releases counted from the log of acts.
#include "api/figures.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace graymesh::api {
namespace {

using nlohmann::json;

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
