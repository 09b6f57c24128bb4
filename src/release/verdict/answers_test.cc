// What is read of foreign bytes, and what is refused.
#include "release/verdict/answers.h"

#include <gtest/gtest.h>

#include <numeric>

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

std::string bucket(const std::string& le, const std::string& count) {
  return R"({"metric":{"le":")" + le + R"("},"value":[1,")" + count + "\"]}";
}

TEST(PrometheusLatencies, AreCountedByTheirBounds) {
  const auto read = read_prometheus_latencies(
      vector_of(bucket("+Inf", "12") + "," + bucket("32", "4") + "," + bucket("64", "10.5")));
  ASSERT_TRUE(read && *read);
  const auto up_to = [&](double ms) {
    return std::accumulate((*read)->begin(), (*read)->begin() + bucket_of(ms) + 1, 0.0);
  };
  EXPECT_NEAR(up_to(32), 4, 1e-9);
  EXPECT_NEAR(up_to(64), 10.5, 1e-9);
  EXPECT_NEAR(up_to(1e8), 12, 1e-9);
  EXPECT_EQ((*read)->back(), 1.5);
}

TEST(PrometheusLatencies, AreNoEvidenceWhereThereAreNone) {
  EXPECT_EQ(read_prometheus_latencies(vector_of("")).value(), std::nullopt);
  EXPECT_EQ(read_prometheus_latencies(vector_of(bucket("25", "NaN"))).value(), std::nullopt);
}

TEST(PrometheusLatencies, AreRefusedWhereTheyMeanNothing) {
  EXPECT_FALSE(read_prometheus_latencies(vector_of(R"({"metric":{},"value":[1,"3"]})")));
  EXPECT_FALSE(read_prometheus_latencies(vector_of(bucket("wide", "3"))));
  EXPECT_EQ(read_prometheus_latencies(vector_of(bucket("25", "3") + "," + bucket("25.0", "4")))
                .error()
                .message,
            "Prometheus: several series of one le: sum them");
  EXPECT_EQ(
      read_prometheus_latencies(R"({"status":"error","error":"parse error"})").error().message,
      "Prometheus: parse error");
}

}  // namespace
}  // namespace graymesh::verdict
