#include "release/plan/yaml.h"

#include <gtest/gtest.h>

namespace graymesh::release {
namespace {

TEST(Yaml, NestsAndQuotesWhatWouldBeSomethingElse) {
  const auto json = nlohmann::ordered_json::parse(
      R"({"a": {"list": [{"x": 1, "y": ["z", [1]]}, "true", "8", "a: b", ""], "empty": [], "none": {}}, "1": null, "b": true})");
  EXPECT_EQ(to_yaml(json), R"(a:
  list:
  - x: 1
    "y":
    - z
    -
      - 1
  - "true"
  - "8"
  - "a: b"
  - ""
  empty: []
  none: {}
"1": null
b: true
)");
}

}  // namespace
}  // namespace graymesh::release
