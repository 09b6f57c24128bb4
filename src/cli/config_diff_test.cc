#include "cli/config_diff.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

json dump(const json& clusters, const json& listeners = json::array()) {
  json dynamic = json::array(), active = json::array();
  for (const auto& it : clusters) dynamic.push_back({{"version_info", "1"}, {"cluster", it}});
  for (const auto& it : listeners)
    active.push_back({{"name", it["name"]}, {"active_state", {{"listener", it}}}});
  return {{"configs",
           {{{"static_clusters", json::array()}, {"dynamic_active_clusters", dynamic}},
            {{"dynamic_listeners", active}}}}};
}

TEST(ConfigDiff, GoesDownToTheFieldThatDiffers) {
  const auto diff =
      config_diff(dump({{{"name", "a"}, {"type", "EDS"}, {"limits", {{"max", 1}, {"min", 2}}}},
                        {{"name", "b"}}}),
                  dump({{{"name", "a"}, {"type", "EDS"}, {"limits", {{"max", 3}, {"low", 4}}}},
                        {{"name", "c"}}}));
  EXPECT_EQ(to_text(diff, "then", "now"),
            "--- then\n"
            "+++ now\n"
            "~ cluster a\n"
            "    limits.max: 1 -> 3\n"
            "    limits.min: 2 -> (none)\n"
            "    limits.low: (none) -> 4\n"
            "- cluster b\n"
            "+ cluster c\n");
}

TEST(ConfigDiff, FindsElementsByNameNotByPlace) {
  const auto listener = [](const json& hosts) {
    return dump(json::array(), {{{"name", "l"}, {"hosts", hosts}}});
  };
  const json a = {{"name", "a"}, {"v", 1}}, b = {{"name", "b"}, {"v", 1}},
             changed = {{"name", "b"}, {"v", 2}};
  EXPECT_EQ(to_text(config_diff(listener({a, b}), listener(json::array({changed}))), "x", "y"),
            "--- x\n+++ y\n~ listener l\n"
            "    hosts[a]: {\"name\":\"a\",\"v\":1} -> (none)\n"
            "    hosts[b].v: 1 -> 2\n");
  EXPECT_EQ(to_text(config_diff(listener({a, b}), listener({b, a})), "x", "y"),
            "--- x\n+++ y\n~ listener l\n    hosts (order): [\"a\",\"b\"] -> [\"b\",\"a\"]\n");
}

TEST(ConfigDiff, OfTheSameIsEmptyAndSaysSo) {
  const auto same = dump({{{"name", "a"}, {"type", "EDS"}}});
  EXPECT_EQ(to_text(config_diff(same, same), "x", "y"), "x and y are the same\n");
  EXPECT_TRUE(config_diff(json::object(), json("nonsense")).empty());
}

}  // namespace
}  // namespace graymesh::cli
