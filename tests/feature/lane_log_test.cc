// Proxies whose bootstrap leads a log to us tell us of requests that have a lane, and of a share of
// the others (docs/translation.md 13.5).
#include <gtest/gtest.h>

#include "mesh.h"

namespace graymesh::feature {
namespace {

const Labels gray{{"stage", "gray"}, {"canarytag", "feature-a"}};

resource::Node told(resource::Node node) {
  node.takes_lane_log = true;
  return node;
}

// The log that one connection manager sends to us; null if it sends none.
Json log_of(const Json& manager) {
  for (const Json& log : manager.value("access_log", Json::array())) {
    if (log["name"] == "envoy.access_loggers.http_grpc") return log;
  }
  return nullptr;
}

// "canarytag, baggage~canarytag, 10000": what a request must have to be told.
std::string filter_of(const Json& log) {
  std::string out;
  for (const Json& filter : log["filter"]["or_filter"]["filters"]) {
    if (!out.empty()) out += ", ";
    if (filter.contains("runtime_filter")) {
      const Json& share = filter["runtime_filter"]["percent_sampled"];
      EXPECT_EQ(share["denominator"], "MILLION");
      out += std::to_string(share.value("numerator", 0));
      continue;
    }
    const Json& header = filter["header_filter"]["header"];
    out += header["name"].get<std::string>();
    if (header.contains("string_match"))
      out += "~" + header["string_match"]["contains"].get<std::string>();
  }
  return out;
}

// Of the first connection manager of a listener, and what of it concerns us.
Json manager_of(const Proxy& proxy, const std::string& listener) {
  return connection_managers(proxy.listener(listener)).at(0);
}

std::string name_of(const Json& log) { return log["typed_config"]["common_config"]["log_name"]; }

TEST(LaneLog, IsOnBothSidesOfASidecarThatHasWhereToSendIt) {
  const Mesh mesh(app("web") + app("cart"), "proxyHttpPort: 15080\n");
  const Proxy proxy = mesh.proxy(told(sidecar_node("web", "fe-pre")));
  const Json outbound_log = log_of(manager_of(proxy, "0.0.0.0_8080"));
  EXPECT_EQ(name_of(outbound_log), "graymesh.outbound");
  EXPECT_EQ(filter_of(outbound_log), "canarytag, baggage~canarytag, 10000, 0") << "0: of a tap";
  const Json& config = outbound_log["typed_config"];
  EXPECT_EQ(config["common_config"]["grpc_service"]["envoy_grpc"]["cluster_name"], "xds-grpc");
  EXPECT_EQ(config["additional_request_headers_to_log"],
            Json({"canarytag", "baggage", "traceparent"}));
  for (const Json& manager : connection_managers(proxy.listener("virtualInbound"))) {
    EXPECT_EQ(name_of(log_of(manager)), "graymesh.inbound");
    EXPECT_EQ(filter_of(log_of(manager)), "canarytag, baggage~canarytag");
  }
}

TEST(LaneLog, IsNotThereForOtherProxiesNorIfTheMeshSaysSo) {
  const Mesh mesh(app("web") + app("cart"));
  EXPECT_EQ(log_of(manager_of(mesh.sidecar("web"), "0.0.0.0_8080")), nullptr);
  const Mesh off(app("web") + app("cart"),
                 "defaultConfig: {proxyMetadata: {GRAYMESH_LANE_LOG: \"off\"}}\n");
  const Proxy proxy = off.proxy(told(sidecar_node("web", "fe-pre")));
  EXPECT_EQ(log_of(manager_of(proxy, "0.0.0.0_8080")), nullptr);
  EXPECT_EQ(proxy.listener("0.0.0.0_8080"), mesh.sidecar("web").listener("0.0.0.0_8080"));
}

TEST(LaneLog, FollowsTheMeshsHeaderAndShare) {
  const Mesh mesh(app("cart"),
                  "defaultConfig: {proxyMetadata: {GRAYMESH_LANE_HEADER: X-Lane, "
                  "GRAYMESH_LANE_LOG: 0%}}\n");
  const Proxy proxy = mesh.proxy(told(sidecar_node("web", "fe-pre")));
  EXPECT_EQ(filter_of(log_of(manager_of(proxy, "0.0.0.0_8080"))), "x-lane, baggage~canarytag, 0");
}

TEST(LaneLog, SeesWhatTheApplicationSentBeforeRoutesAndTheStamp) {
  const Mesh mesh(app("cart"));
  const auto witness = [&](const Labels& labels) {
    const Json manager =
        manager_of(mesh.proxy(told(sidecar_node("web", "fe-pre", labels))), "0.0.0.0_8080");
    EXPECT_EQ(manager["http_filters"][0]["name"], "envoy.filters.http.header_to_metadata");
    return manager;
  };
  const Json plain = witness({{"app", "web"}})["http_filters"][0]["typed_config"];
  EXPECT_EQ(plain["request_rules"][0]["header"], "canarytag");
  EXPECT_FALSE(plain["request_rules"][0].value("remove", false));
  // A stamp would look like the application's own header: it is copied before, and the copy
  // removed.
  const Json stamped = witness(gray);
  const Json rule = stamped["http_filters"][0]["typed_config"]["request_rules"][0];
  EXPECT_EQ(rule["header"], "x-graymesh-lane-sent");
  EXPECT_TRUE(rule.value("remove", false));
  const Json& mutations =
      stamped["early_header_mutation_extensions"][0]["typed_config"]["mutations"];
  ASSERT_EQ(mutations.size(), 3u);
  EXPECT_EQ(mutations[0]["remove"], "x-graymesh-lane-sent");
  EXPECT_EQ(mutations[1]["append"]["header"]["value"], "%REQ(canarytag)%");
  EXPECT_EQ(mutations[2]["append"]["header"]["value"], "feature-a");
  EXPECT_EQ(name_of(log_of(stamped)), "graymesh.outbound.stamped");
  EXPECT_EQ(filter_of(log_of(stamped)), "canarytag, baggage~canarytag") << "all have a lane";
}

TEST(LaneLog, IsOnGateways) {
  const Mesh mesh(app("web") + R"(---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: ingress}
spec:
  selector: {app: gateway}
  servers: [{port: {number: 8000, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: fe-pre}
spec:
  hosts: [shop.example]
  gateways: [ingress/shop]
  http: [{route: [{destination: {host: web}}]}]
)");
  auto node = sidecar_node("gateway", "ingress", {{"app", "gateway"}});
  node.kind = resource::Node::Kind::router;
  const Proxy silent = mesh.proxy(node);
  const Proxy proxy = mesh.proxy(told(node));
  ASSERT_EQ(proxy.listeners().size(), 1u);
  const std::string listener = proxy.listeners().front();
  EXPECT_EQ(name_of(log_of(manager_of(proxy, listener))), "graymesh.gateway");
  EXPECT_EQ(filter_of(log_of(manager_of(proxy, listener))), "canarytag, baggage~canarytag, 0");
  EXPECT_EQ(log_of(manager_of(silent, listener)), nullptr) << "and shares no listener with it";
}

TEST(LaneLog, LeavesRoutesClustersAndEndpointsShared) {
  const Mesh mesh(app("cart"));
  const Proxy silent = mesh.sidecar("web");
  const Proxy telling = mesh.proxy(told(sidecar_node("web", "fe-pre")));
  for (const auto type :
       {resource::Type::cluster, resource::Type::endpoints, resource::Type::route})
    EXPECT_EQ(silent.config().of(type).front(), telling.config().of(type).front());
}

}  // namespace
}  // namespace graymesh::feature
