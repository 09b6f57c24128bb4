// Configuration for gRPC itself. What it refuses is told in its proposals (A27, A28, A31, A41):
// unknown balancing policies, EDS by other means than ADS, unknown filters.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/translate/config_testing.h"

namespace graymesh::translate::testing {
namespace {

using ::testing::ElementsAre;

constexpr const char* web = "outbound|8080||web.shop.svc.cluster.local";

Mesh shop() {
  Mesh mesh;
  mesh.service("shop/web", {"grpc 8080"}, "selector: {app: web}");
  mesh.apply(pod("shop/web-1", "10.1.0.1", {{"app", "web"}, {"v", "a"}}));
  mesh.apply(destination_rule("shop/web", R"(host: web
trafficPolicy: {loadBalancer: {simple: LEAST_REQUEST}, outlierDetection: {consecutive5xxErrors: 1}, connectionPool: {http: {http2MaxRequests: 9}}}
subsets: [{name: a, labels: {v: a}}])"));
  mesh.apply(virtual_service("shop/web", R"(hosts: [web]
http:
- match: [{headers: {canarytag: {exact: a}}}]
  route: [{destination: {host: web, subset: a}}]
  corsPolicy: {allowOrigins: [{exact: "https://example.com"}]}
  fault: {abort: {httpStatus: 503, percentage: {value: 1}}}
- route: [{destination: {host: web}}])"));
  return mesh;
}

TEST(Proxyless, ListenersAreNamedAsClientsCallTheService) {
  const Mesh mesh = shop();
  EXPECT_THAT(Control(mesh).ask(grpc_client("shop")).names(Type::listener),
              ElementsAre("web.shop.svc.cluster.local:8080", "web.shop.svc:8080", "web.shop:8080",
                          "web:8080"));
  EXPECT_THAT(Control(mesh).ask(grpc_client("other")).names(Type::listener),
              ElementsAre("web.shop.svc.cluster.local:8080", "web.shop.svc:8080", "web.shop:8080"));
}

TEST(Proxyless, AListenerLeadsToTheServicesRouteTable) {
  const auto answer = Control(shop()).ask(grpc_client("shop"));
  const auto http = answer.listener("web:8080")["api_listener"]["api_listener"];
  EXPECT_EQ(http["rds"]["route_config_name"], web);
  EXPECT_TRUE(http["rds"]["config_source"].contains("ads"));
  EXPECT_EQ(http["http_filters"].back()["name"], "envoy.filters.http.router");
}

TEST(Proxyless, TheTableHasOneHostForWhateverNameWasUsed) {
  const auto routes = Control(shop()).ask(grpc_client("shop")).routes(web);
  ASSERT_EQ(routes["virtual_hosts"].size(), 1u);
  const auto& host = routes["virtual_hosts"][0];
  EXPECT_EQ(host["domains"], Json::parse(R"(["*"])"));
  EXPECT_EQ(host["routes"][0]["route"]["cluster"], "outbound|8080|a|web.shop.svc.cluster.local");
  EXPECT_EQ(host["routes"][0]["match"]["headers"][0]["name"], "canarytag");
  EXPECT_EQ(host["routes"][1]["route"]["cluster"], web);
}

TEST(Proxyless, RoutesKeepNoFilterThatGrpcDoesNotHave) {
  const auto route =
      Control(shop()).ask(grpc_client("shop")).routes(web)["virtual_hosts"][0]["routes"][0];
  EXPECT_TRUE(route["typed_per_filter_config"].contains("envoy.filters.http.fault"));
  EXPECT_FALSE(route["typed_per_filter_config"].contains("envoy.filters.http.cors"));
}

TEST(Proxyless, ClustersHaveOnlyWhatGrpcTakes) {
  const auto answer = Control(shop()).ask(grpc_client("shop"));
  const auto cluster = answer.cluster(web);
  EXPECT_EQ(cluster["type"], "EDS");
  EXPECT_FALSE(cluster.contains("lb_policy")) << "ROUND_ROBIN, the default";
  EXPECT_FALSE(cluster.contains("outlier_detection"));
  EXPECT_FALSE(cluster.contains("transport_socket"));
  EXPECT_EQ(cluster["circuit_breakers"]["thresholds"][0]["max_requests"], 9);
  EXPECT_EQ(answer.addresses("outbound|8080|a|web.shop.svc.cluster.local"), "10.1.0.1:8080");
}

TEST(Proxyless, EveryLocalityIsNamedAndWeighed) {
  const auto group = Control(shop()).ask(grpc_client("shop")).endpoints(web)["endpoints"][0];
  EXPECT_TRUE(group.contains("locality"));
  EXPECT_EQ(group["load_balancing_weight"], 1);
}

TEST(Proxyless, GrpcIsKnownByItsUserAgentWhateverItsNode) {
  auto node = sidecar_node("10.1.0.1", "shop");
  node.user_agent = "gRPC C-core 1.51";
  EXPECT_TRUE(Control(shop()).ask(node).has(Type::listener, "web:8080"));
}

TEST(Strangers, GetEverythingButListeners) {
  auto node = grpc_client("shop");
  node.user_agent = "envoy 1.40.0";
  const auto answer = Control(shop()).ask(node);
  EXPECT_TRUE(answer.has(Type::cluster, web));
  EXPECT_TRUE(answer.has(Type::route, "8080"));
  EXPECT_THAT(answer.names(Type::listener), ElementsAre());
}

}  // namespace
}  // namespace graymesh::translate::testing
