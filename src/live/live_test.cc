// Counts, quantiles, names of clusters, and the pages made of them.
#include "live/live.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/json.h"

namespace graymesh::live {
namespace {

using nlohmann::json;

Counts answers(std::uint16_t code, double count, double ms = 5) {
  Counts out;
  out.answered(code, count);
  out.took(ms, count);
  return out;
}

const Party gateway{.namespace_ = "ingress", .workload = "gateway", .gateway = true};
const Party web{.namespace_ = "fe-pre", .workload = "web", .version = "v1"};
const Party web_gray{
    .namespace_ = "fe-pre", .workload = "web", .tag = "feature-a", .version = "v2"};
const Target cart{.namespace_ = "fe-pre", .service = "cart", .subset = "baseline", .port = 8080};
const Target cart_gray{
    .namespace_ = "fe-pre", .service = "cart", .subset = "feature-a", .port = 8080};

Window of_ten_seconds(std::vector<Row> rows) {
  Window out{.rows = std::move(rows), .proxies = 3};
  out.to = out.from + std::chrono::seconds(10);
  out.versions = {{{"fe-pre", "cart", ""}, "v1"}, {{"fe-pre", "cart", "feature-a"}, "v7"}};
  return out;
}

TEST(LiveTarget, IsReadFromTheNamesOfClusters) {
  EXPECT_EQ(target_of("outbound|8080|feature-a|cart.fe-pre.svc.cluster.local"), cart_gray);
  EXPECT_EQ(target_of("outbound|443||api.svc-host.example.com"),
            (Target{.service = "api.svc-host.example.com", .port = 443}))
      << "a ServiceEntry's";
  EXPECT_EQ(target_of("outbound|80||a.b.svc"),
            (Target{.namespace_ = "b", .service = "a", .port = 80}));
  for (const char* other : {"inbound|8080||", "xds-grpc", "outbound|x||a.b.svc.c", "outbound|80|",
                            "outbound|80||", "outbound|99999999999||a", ""})
    EXPECT_EQ(target_of(other), std::nullopt) << other;
}

TEST(LiveTarget, IsGrayUnlessItsSubsetHasABaselinesName) {
  EXPECT_EQ(stage_of(cart), "normal");
  EXPECT_EQ(stage_of(cart_gray), "gray");
  EXPECT_EQ(tag_of(cart_gray), "feature-a");
  EXPECT_EQ(stage_of({.service = "cart"}), "");
}

TEST(LiveCounts, KeepsLatenciesToATenth) {
  for (double ms = 0.5; ms < 40'000; ms *= 1.07) {
    const std::size_t bucket = bucket_of(ms);
    EXPECT_LE(lower_bound(bucket), ms * 1.000001);
    EXPECT_GT(lower_bound(bucket + 1) * 1.000001, ms);
    const double width = lower_bound(bucket + 1) - lower_bound(bucket);
    EXPECT_LE(width, std::max(1.0, 0.1001 * ms));
  }
  EXPECT_EQ(bucket_of(1e9), buckets - 1);
  EXPECT_EQ(bucket_of(-1), 0u);
}

TEST(LiveCounts, HasQuantiles) {
  Counts counts;
  EXPECT_EQ(counts.quantile(0.5), std::nullopt);
  counts.took(3, 98);
  counts.took(200, 2);
  EXPECT_NEAR(*counts.quantile(0.5), 3.5, 0.02);
  EXPECT_NEAR(*counts.quantile(0.99), 200, 20);
}

TEST(LiveCounts, SinceIsWhatCameOrAllOfItAfterARestart) {
  Counts before = answers(200, 5), now = before;
  now += answers(503, 2, 900);
  now.retries = 1;
  Counts more = answers(503, 2, 900);
  more.retries = 1;
  EXPECT_EQ(since(before, now), more);
  EXPECT_EQ(since(now, before), before) << "it counts less than before: it began anew";
  EXPECT_EQ(since(Counts(), now), now);
  EXPECT_EQ(more_than(before, now), more);
  EXPECT_EQ(more_than(now, before), std::nullopt);
}

TEST(LivePages, SumEdgesByVersionAndDivideByTime) {
  Counts some = answers(200, 30);
  some += answers(503, 10);
  const Window window = of_ten_seconds({{{web, cart}, some},
                                        {{web_gray, cart_gray}, answers(200, 4)},
                                        {{.from = web}, answers(200, 99)}});
  const json page = edges_page(window, {});
  ASSERT_EQ(page["items"].size(), 2u) << page;
  const json& first = page["items"][0];
  EXPECT_EQ(first["from"]["workload"], "web");
  EXPECT_EQ(first["to"]["version"], "v1");
  EXPECT_EQ(first["requests"], 40);
  EXPECT_EQ(first["perSecond"], 4.0);
  EXPECT_EQ(first["success"], 0.75);
  EXPECT_EQ(first["codes"], json({{"200", 30}, {"503", 10}}));
  EXPECT_EQ(first["lane"], "");
  EXPECT_EQ(page["items"][1]["lane"], "feature-a");
  EXPECT_EQ(page["seconds"], 10.0);
  EXPECT_EQ(page["proxies"]["read"], 3);
  EXPECT_EQ(page["others"], nullptr);
}

TEST(LivePages, HaveOneItemForEachVersionThatWasCalled) {
  const Window window = of_ten_seconds({{{web, cart}, answers(200, 1)},
                                        {{gateway, cart}, answers(200, 2)},
                                        {{gateway, cart_gray}, answers(500, 3)}});
  const json items = services_page(window, {.service = "cart"})["items"];
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0]["requests"], 3);
  EXPECT_EQ(items[0]["callers"], 2);
  EXPECT_EQ(items[1]["canarytag"], "feature-a");
  EXPECT_EQ(items[1]["version"], "v7");
  EXPECT_EQ(items[1]["success"], 0.0);
  EXPECT_EQ(services_page(window, {.service = "cart.elsewhere"})["items"].size(), 0u);
  EXPECT_EQ(services_page(window, {.from = "gateway"})["items"][0]["requests"], 2);
}

TEST(LivePages, TellWhatAWorkloadReceivedAndWhatItSent) {
  const Window window = of_ten_seconds({{{web, cart}, answers(200, 1)},
                                        {{.from = web}, answers(200, 7)},
                                        {{web_gray, cart_gray}, answers(200, 2)}});
  const json items = workloads_page(window, {.service = "web/baseline"})["items"];
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0]["received"]["requests"], 7);
  EXPECT_EQ(items[0]["sent"]["requests"], 1);
}

TEST(LivePages, HaveNoRatesOfNoTime) {
  Window window;
  window.rows = {{{web, cart}, Counts()}};
  const json item = edges_page(window, {})["items"][0];
  EXPECT_EQ(item["perSecond"], nullptr);
  EXPECT_EQ(item["success"], nullptr) << "no traffic is neither health nor failure";
  EXPECT_EQ(item["p99Ms"], nullptr);
}

}  // namespace
}  // namespace graymesh::live
