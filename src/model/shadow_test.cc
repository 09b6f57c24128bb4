#include "model/shadow.h"

#include <gmock/gmock.h>

#include "model/model.h"

namespace graymesh::model {
namespace {

using Pairs = std::vector<std::pair<std::size_t, std::size_t>>;

// Routes, each with this `match` in YAML; "" for none.
Pairs shadowed_of(const std::vector<std::string>& matches) {
  std::string yaml = R"(apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [web]
  http:
)";
  for (const auto& match : matches) {
    yaml += "  - {route: [{destination: {host: web}}]" +
            (match.empty() ? "" : ", match: " + match) + "}\n";
  }
  const auto documents = read(yaml, "mesh.yaml");
  EXPECT_TRUE(documents.at(0).errors.empty()) << yaml;
  return shadowed(documents.at(0).object->as<VirtualService>().http);
}

TEST(Shadowed, IsWhatStandsBehindARouteForEveryRequest) {
  EXPECT_EQ(shadowed_of({"", "[{uri: {prefix: /a}}]", ""}), (Pairs{{1, 0}, {2, 0}}));
  EXPECT_EQ(shadowed_of({"[{uri: {prefix: /}}]", "[{method: {exact: GET}}]"}), (Pairs{{1, 0}}));
  EXPECT_EQ(shadowed_of({"[{uri: {prefix: /a}}]", ""}), Pairs{});
}

TEST(Shadowed, IsAnEqualMatchOrOneOfMoreConditions) {
  const std::string lane = "headers: {canarytag: {exact: a}}";
  EXPECT_EQ(shadowed_of({"[{" + lane + "}]", "[{" + lane + "}]"}), (Pairs{{1, 0}}));
  EXPECT_EQ(shadowed_of({"[{" + lane + "}]", "[{" + lane + ", port: 80}]"}), (Pairs{{1, 0}}));
  EXPECT_EQ(shadowed_of({"[{" + lane + ", port: 80}]", "[{" + lane + "}]"}), Pairs{});
  EXPECT_EQ(shadowed_of({"[{" + lane + "}]", "[{headers: {canarytag: {exact: b}}}]"}), Pairs{});
  EXPECT_EQ(shadowed_of({"[{withoutHeaders: {x: {}}}]", "[{headers: {x: {}}}]"}), Pairs{});
  EXPECT_EQ(shadowed_of({"[{sourceLabels: {app: a}}]", "[{uri: {prefix: /}}]"}), Pairs{});
}

TEST(Shadowed, IsAValueBehindItsPrefixOrBehindAnyValue) {
  const auto header = [](const std::string& match) { return "[{headers: {user: " + match + "}}]"; };
  EXPECT_EQ(shadowed_of({header("{prefix: be}"), header("{exact: beta}"), header("{prefix: bet}")}),
            (Pairs{{1, 0}, {2, 0}}));
  EXPECT_EQ(shadowed_of({header("{}"), header("{exact: beta}"), header("{regex: b.*}")}),
            (Pairs{{1, 0}, {2, 0}}));
  EXPECT_EQ(shadowed_of({header("{exact: beta}"), header("{prefix: be}"), header("{}")}), Pairs{});
  EXPECT_EQ(shadowed_of({header("{prefix: be}"), header("{regex: beta}")}), Pairs{});
  EXPECT_EQ(shadowed_of({"[{method: {prefix: P}}]", "[{method: {exact: PUT}}]", ""}),
            (Pairs{{1, 0}}));
}

TEST(Shadowed, IsWhatExcludesMore) {
  const auto without = [](const std::string& match) {
    return "[{withoutHeaders: {user: " + match + "}}]";
  };
  EXPECT_EQ(shadowed_of({without("{exact: beta}"), without("{prefix: be}"), without("{}")}),
            (Pairs{{1, 0}, {2, 0}}));
  EXPECT_EQ(shadowed_of({without("{prefix: be}"), without("{exact: beta}")}), Pairs{});
}

TEST(Shadowed, IsALongerPathBehindItsPrefix) {
  EXPECT_EQ(
      shadowed_of({"[{uri: {prefix: /a}}]", "[{uri: {prefix: /ab}}]", "[{uri: {exact: /a}}]"}),
      (Pairs{{1, 0}, {2, 0}}));
  EXPECT_EQ(
      shadowed_of({"[{uri: {prefix: /a}}]", "[{uri: {prefix: /}}]", "[{uri: {regex: /a.*}}]"}),
      (Pairs{{2, 1}}));
  EXPECT_EQ(shadowed_of({"[{uri: {exact: /a}}]", "[{uri: {prefix: /a}}]"}), Pairs{});
  EXPECT_EQ(shadowed_of({"[{uri: {prefix: /a}, ignoreUriCase: true}]", "[{uri: {prefix: /a}}]"}),
            Pairs{})
      << "nobody compares the two ways";
}

TEST(Shadowed, NeedsEachOfItsMatchesHidden) {
  const std::string a = "{uri: {prefix: /a}}";
  const std::string b = "{uri: {prefix: /b}}";
  EXPECT_EQ(shadowed_of({"[" + a + "," + b + "]", "[" + b + "," + a + "]"}), (Pairs{{1, 0}}));
  EXPECT_EQ(shadowed_of({"[" + a + "]", "[" + a + "," + b + "]"}), Pairs{});
}

TEST(Shadowed, LooksAtGateways) {
  EXPECT_EQ(shadowed_of({"[{gateways: [mesh]}]", "[{gateways: [mesh], port: 80}]"}),
            (Pairs{{1, 0}}));
  EXPECT_EQ(shadowed_of({"[{gateways: [mesh]}]", "[{port: 80}]"}), Pairs{});
}

}  // namespace
}  // namespace graymesh::model
