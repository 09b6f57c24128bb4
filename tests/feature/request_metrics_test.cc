// Requests counted by the proxies under Istio's names, and under which version: translate/
// request_metrics.cc.
#include <gtest/gtest.h>

#include "mesh.h"

namespace graymesh::feature {
namespace {

resource::Node counting(resource::Node node) {
  node.counts_requests = true;
  return node;
}

// What the stats logger of one connection manager is told; null if it has none.
Json logger_of(const Json& manager) {
  for (const Json& log : manager.value("access_log", Json::array())) {
    if (log["name"] == "envoy.access_loggers.stats") return log["typed_config"]["value"];
  }
  return nullptr;
}

// {"reporter": "source", ...} of a statistic.
Json tags_of(const Json& metric) {
  Json out;
  for (const Json& tag : metric["stat"]["tags"])
    out[tag["name"].get<std::string>()] = tag["value_format"];
  return out;
}

Json manager_of(const Proxy& proxy, const std::string& listener) {
  return connection_managers(proxy.listener(listener)).at(0);
}

// The manager of the service's own port; others are of ports that no service names.
Json inbound_logger(const Proxy& proxy) {
  for (const Json& manager : connection_managers(proxy.listener("virtualInbound"))) {
    if (manager["stat_prefix"] == "inbound_0.0.0.0_8080;") return logger_of(manager);
  }
  return nullptr;
}

TEST(RequestMetrics, OfTheCallerTellWhoWasCalledWhoAnsweredAndHow) {
  const Mesh mesh(app("web") + app("cart"));
  const Json logger =
      logger_of(manager_of(mesh.proxy(counting(sidecar_node("web", "fe-pre"))), "0.0.0.0_8080"));
  ASSERT_EQ(logger["counters"].size(), 1u);
  EXPECT_EQ(logger["counters"][0]["stat"]["name"], "requests_total");
  EXPECT_EQ(tags_of(logger["counters"][0]),
            Json({{"reporter", "source"},
                  {"mesh_cluster", "%UPSTREAM_CLUSTER%"},
                  {"mesh_workload", "%UPSTREAM_METADATA(istio:workload)%"},
                  {"response_code", "%RESPONSE_CODE%"},
                  {"response_flags", "%RESPONSE_FLAGS%"}}));
  ASSERT_EQ(logger["histograms"].size(), 2u);
  for (const Json& histogram : logger["histograms"])
    EXPECT_EQ(tags_of(histogram),
              Json({{"reporter", "source"}, {"mesh_cluster", "%UPSTREAM_CLUSTER%"}}));
}

TEST(RequestMetrics, OfTheCalledTellWhoseServiceItIs) {
  const Mesh mesh(app("web") + app("cart"));
  const Json logger = inbound_logger(mesh.proxy(counting(sidecar_node("web", "fe-pre"))));
  ASSERT_FALSE(logger.is_null());
  EXPECT_EQ(tags_of(logger["counters"][0]),
            Json({{"reporter", "destination"},
                  {"mesh_cluster", "inbound|||web.fe-pre.svc.cluster.local"},
                  {"response_code", "%RESPONSE_CODE%"},
                  {"response_flags", "%RESPONSE_FLAGS%"}}));
  EXPECT_EQ(logger["histograms"].size(), 3u) << "its duration too";
}

TEST(RequestMetrics, AreBounded) {
  const Mesh mesh(app("web"));
  const Json logger = inbound_logger(mesh.proxy(counting(sidecar_node("web", "fe-pre"))));
  EXPECT_GT(logger["stats_scope"]["max_counters"].get<int>(), 0);
  EXPECT_GT(logger["stats_scope"]["max_histograms"].get<int>(), 0);
  EXPECT_TRUE(logger["stats_scope"].value("enable_eviction", false)) << "of versions that went";
}

TEST(RequestMetrics, AreNotThereForOtherProxies) {
  const Mesh mesh(app("web") + app("cart"));
  EXPECT_EQ(logger_of(manager_of(mesh.sidecar("web"), "0.0.0.0_8080")), nullptr);
}

TEST(RequestMetrics, AreSwitchedOffForTheWholeMesh) {
  const Mesh mesh(app("web") + app("cart"),
                  "defaultConfig: {proxyMetadata: {GRAYMESH_REQUEST_METRICS: off}}\n");
  const Proxy web = mesh.proxy(counting(sidecar_node("web", "fe-pre")));
  EXPECT_EQ(logger_of(manager_of(web, "0.0.0.0_8080")), nullptr);
  EXPECT_EQ(inbound_logger(web), nullptr);
}

std::string told_as(const std::string& subset) {
  const Mesh mesh(app("web") + app("cart") + R"(---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart, namespace: fe-pre}
spec:
  host: cart
  subsets: [)" + subset +
                  "]\n");
  return mesh.sidecar("web").cluster(outbound(8080, "v2", "cart"))["alt_stat_name"];
}

TEST(Statistics, OfASubsetAreOfTheVersionThatItSelects) {
  EXPECT_EQ(told_as("{name: v2, labels: {stage: gray, canarytag: feature-a}}"),
            outbound(8080, "feature-a", "cart") + ";");
  EXPECT_EQ(told_as("{name: v2, labels: {canarytag: v1.2}}"), outbound(8080, "v1.2", "cart") + ";");
  EXPECT_EQ(told_as("{name: v2, labels: {stage: normal, canarytag: none}}"),
            outbound(8080, "baseline", "cart") + ";");
  EXPECT_EQ(told_as("{name: v2, labels: {version: v2}}"), outbound(8080, "v2", "cart") + ";")
      << "whose labels do not say gets its name";
}

}  // namespace
}  // namespace graymesh::feature
