// What is read of foreign bytes, and what is refused.
#include "release/verdict/answers.h"

#include <gtest/gtest.h>

namespace graymesh::verdict {
namespace {

const std::string gray = "outbound|8080|feature-a|web.fe-pre.svc.cluster.local";

// As Envoy 1.40 answered to envoy_stats_path().
std::string envoy(double ok, double bad, double retries) {
  const auto counter = [](const std::string& name, double value) {
    return R"({"name":"cluster.)" + gray + ";." + name + R"(","value":)" + std::to_string(value) +
           "},";
  };
  return R"({"stats":[)" + counter("external.upstream_rq_2xx", ok) +
         counter("retry.upstream_rq_5xx", retries) + counter("upstream_rq_2xx", ok) +
         counter("upstream_rq_5xx", bad) + counter("upstream_rq_retry", retries) +
         R"({"histograms":{"supported_percentiles":[0,25],"details":[{"name":"cluster.)" + gray +
         R"(;.upstream_rq_time","totals":[{"lower_bound":0,"width":0,"count":6},
         {"lower_bound":1,"width":0.1,"count":1},{"lower_bound":25,"width":1,"count":2}],
         "intervals":[],"percentiles":[]}]}}]})";
}

TEST(EnvoyStats, CountTriesThatWereRepeatedAsFailures) {
  const auto read = read_envoy_stats(envoy(18, 2, 6));
  ASSERT_TRUE(read) << read.error().message;
  const ClusterCounts& counts = read->at(gray);
  EXPECT_EQ(counts.requests, 26);
  EXPECT_EQ(counts.failures, 8);
  EXPECT_EQ(counts.ms[bucket_of(0)], 6);
  EXPECT_EQ(counts.ms[bucket_of(1.1)], 1);
  EXPECT_EQ(counts.ms[bucket_of(26)], 2);
}

TEST(EnvoyStats, OfAnEnvoyThatBeganAnewCountFromNothing) {
  const ClusterCounts before{100, 3, {}}, after{7, 1, {}}, more{130, 4, {}};
  EXPECT_EQ(since(before, more), (ClusterCounts{30, 1, {}}));
  EXPECT_EQ(since(before, after), after);
}

TEST(EnvoyStats, RefuseWhatIsNone) {
  EXPECT_FALSE(read_envoy_stats(""));
  EXPECT_FALSE(read_envoy_stats("{}"));
  EXPECT_FALSE(read_envoy_stats(R"({"stats":[{"name":1}]})"));
  EXPECT_FALSE(read_envoy_stats(R"({"stats":[{"name":"cluster.a;.upstream_rq_2xx","value":-1}]})"));
  EXPECT_TRUE(read_envoy_stats(R"({"stats":[]})")->empty());
}

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
