// What is read of foreign bytes, and what is refused.
#include "release/verdict/answers.h"

#include <gtest/gtest.h>

namespace graymesh::verdict {
namespace {

std::string vector_of(const std::string& results) {
  return R"({"status":"success","data":{"resultType":"vector","result":[)" + results + "]}}";
}

TEST(Prometheus, GivesTheOneNumberOfAQuery) {
  EXPECT_EQ(read_prometheus(vector_of(R"({"metric":{},"value":[1.5,"42.5"]})")).value(), 42.5);
  EXPECT_EQ(
      read_prometheus(R"({"status":"success","data":{"resultType":"scalar","result":[1,"3"]}})")
          .value(),
      3);
}

TEST(Prometheus, GivesNoEvidenceForNoSeriesAndNoNumber) {
  EXPECT_EQ(read_prometheus(vector_of("")).value(), std::nullopt);
  for (const char* word : {"NaN", "+Inf", "-Inf"})
    EXPECT_EQ(read_prometheus(vector_of(R"({"value":[1,")" + std::string(word) + "\"]}")).value(),
              std::nullopt);
}

TEST(Prometheus, SaysWhyItRefuses) {
  const auto failed =
      read_prometheus(R"({"status":"error","errorType":"bad_data","error":"parse error"})");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "Prometheus: parse error");
  const auto several = read_prometheus(vector_of(R"({"value":[1,"1"]},{"value":[1,"2"]})"));
  ASSERT_FALSE(several);
  EXPECT_EQ(several.error().message, "Prometheus: 2 series, must be one: sum them");
  EXPECT_FALSE(read_prometheus("<html>"));
  EXPECT_FALSE(read_prometheus(vector_of(R"({"value":[1,"x"]})")));
}

}  // namespace
}  // namespace graymesh::verdict
