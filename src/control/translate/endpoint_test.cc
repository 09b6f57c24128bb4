// Endpoint assignments and what localities do to them: docs/translation.md 3 and 8.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/translate/config_testing.h"

namespace graymesh::translate::testing {
namespace {

constexpr const char* web = "outbound|8080||web.shop.svc.cluster.local";

// Two near pods (one of them in another zone) and one far away.
Mesh shop() {
  Mesh mesh;
  mesh.service("shop/web", {"http 8080"}, "selector: {app: web}");
  mesh.apply(pod("shop/web-1", "10.1.0.1", {{"app", "web"}, {"v", "a"}}, "r1.z1"));
  mesh.apply(pod("shop/web-2", "10.1.0.2", {{"app", "web"}, {"v", "b"}}, "r1.z2"));
  mesh.apply(pod("shop/web-3", "10.1.0.3", {{"app", "web"}, {"v", "b"}}, "r2.z1"));
  return mesh;
}

resource::Node at(std::string region, std::string zone) {
  auto node = sidecar_node("10.9.0.1", "shop");
  node.region = std::move(region);
  node.zone = std::move(zone);
  return node;
}

Answer ask(const Mesh& mesh) { return Control(mesh).ask(at("r1", "z1")); }

TEST(Endpoints, ArePodsThatTheServiceSelectsByLocality) {
  const auto assignment = ask(shop()).endpoints(web);
  EXPECT_EQ(assignment["endpoints"][0], Json::parse(R"({
    "locality": {"region": "r1", "zone": "z1"}, "load_balancing_weight": 1,
    "lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "10.1.0.1", "port_value": 8080}}},
                      "health_status": "HEALTHY", "load_balancing_weight": 1,
                      "metadata": {"filter_metadata": {"istio": {"workload": "web-1;shop;web;;"}}}}]})"));
  EXPECT_EQ(assignment["endpoints"].size(), 3u);
}

TEST(Endpoints, OfASubsetHaveItsLabels) {
  Mesh mesh = shop();
  mesh.apply(destination_rule(
      "shop/web", "host: web\nsubsets: [{name: a, labels: {v: a}}, {name: b, labels: {v: b}}]"));
  const auto answer = ask(mesh);
  EXPECT_EQ(answer.addresses("outbound|8080|a|web.shop.svc.cluster.local"), "10.1.0.1:8080");
  EXPECT_EQ(answer.addresses("outbound|8080|b|web.shop.svc.cluster.local"),
            "10.1.0.2:8080 10.1.0.3:8080");
}

TEST(Endpoints, ThatEnvoyWouldRefuseAreLeftOut) {
  Mesh mesh = shop();
  mesh.apply(pod("shop/web-4", "not-an-ip", {{"app", "web"}}));
  mesh.apply(pod("shop/web-5", "10.1.0.1", {{"app", "web"}}, "r9.z9"));  // an address twice
  EXPECT_EQ(ask(mesh).addresses(web), "10.1.0.1:8080 10.1.0.2:8080 10.1.0.3:8080");
}

TEST(Endpoints, ThatAreNoneAreAnAnswerToo) {
  Mesh mesh = shop();
  mesh.apply(destination_rule("shop/web", "host: web\nsubsets: [{name: none, labels: {v: c}}]"));
  EXPECT_EQ(ask(mesh).endpoints("outbound|8080|none|web.shop.svc.cluster.local"),
            Json::parse(R"({"cluster_name": "outbound|8080|none|web.shop.svc.cluster.local"})"));
}

TEST(Endpoints, AreThereForEveryEdsClusterAndNoOther) {
  Mesh mesh = shop();
  mesh.apply(service_entry("shop/dns",
                           "hosts: [api.example.com]\nports: [{number: 80, name: http, protocol: "
                           "HTTP}]\nresolution: DNS"));
  const auto answer = ask(mesh);
  std::vector<std::string> eds;
  for (const auto& name : answer.names(Type::cluster)) {
    if (answer.cluster(name).value("type", "") == "EDS") eds.push_back(name);
  }
  EXPECT_EQ(answer.names(Type::endpoints), eds);
}

TEST(Localities, DoNotCountWithoutOutlierDetection) {
  EXPECT_EQ(ask(shop()).addresses(web), "10.1.0.1:8080 10.1.0.2:8080 10.1.0.3:8080");
}

TEST(Localities, NearerEndpointsComeFirstWhereEjectedOnesAreNoticed) {
  Mesh mesh = shop();
  mesh.apply(destination_rule(
      "shop/web", "host: web\ntrafficPolicy: {outlierDetection: {consecutive5xxErrors: 1}}"));
  EXPECT_EQ(ask(mesh).addresses(web), "10.1.0.1:8080 > 10.1.0.2:8080 > 10.1.0.3:8080");
  EXPECT_EQ(Control(mesh).ask(at("r2", "z1")).addresses(web),
            "10.1.0.3:8080 > 10.1.0.1:8080 10.1.0.2:8080");
  EXPECT_EQ(Control(mesh).ask(at("", "")).addresses(web),
            "10.1.0.1:8080 10.1.0.2:8080 10.1.0.3:8080")
      << "a proxy that is nowhere is near to all";
}

TEST(Localities, FailoverNamesTheRegionThatTakesOver) {
  Mesh mesh = shop();
  mesh.apply(pod("shop/web-4", "10.1.0.4", {{"app", "web"}}, "r3.z1"));
  mesh.apply(destination_rule("shop/web", R"(host: web
trafficPolicy:
  outlierDetection: {consecutive5xxErrors: 1}
  loadBalancer: {localityLbSetting: {failover: [{from: r1, to: r3}]}})"));
  const auto answer = ask(mesh);
  EXPECT_EQ(answer.addresses(web), "10.1.0.1:8080 > 10.1.0.2:8080 > 10.1.0.4:8080 > 10.1.0.3:8080");
  EXPECT_TRUE(answer.cluster(web)["common_lb_config"].contains("locality_weighted_lb_config"));
}

TEST(Localities, FailoverPriorityComparesLabels) {
  Mesh mesh = shop();
  mesh.apply(destination_rule("shop/web", R"(host: web
trafficPolicy:
  outlierDetection: {consecutive5xxErrors: 1}
  loadBalancer: {localityLbSetting: {failoverPriority: ["v=b"]}})"));
  EXPECT_EQ(ask(mesh).addresses(web), "10.1.0.2:8080 10.1.0.3:8080 > 10.1.0.1:8080");
}

TEST(Localities, FailoverPriorityNeedsNoPlace) {
  Mesh mesh = shop();
  mesh.apply(destination_rule("shop/web", R"(host: web
trafficPolicy:
  outlierDetection: {consecutive5xxErrors: 1}
  loadBalancer: {localityLbSetting: {failoverPriority: [v]}})"));
  auto node = at("", "");
  node.labels["v"] = "b";
  EXPECT_EQ(Control(mesh).ask(node).addresses(web), "10.1.0.2:8080 10.1.0.3:8080 > 10.1.0.1:8080");
  auto router = gateway_node("10.9.0.2");
  router.labels["v"] = "a";
  EXPECT_EQ(Control(mesh).ask(router).addresses(web),
            "10.1.0.1:8080 > 10.1.0.2:8080 10.1.0.3:8080");
}

TEST(Localities, AreOfAProxysLabelsWhereNobodyKnowsItsPod) {
  Mesh mesh = shop();
  mesh.apply(destination_rule(
      "shop/web", "host: web\ntrafficPolicy: {outlierDetection: {consecutive5xxErrors: 1}}"));
  auto node = at("r2", "z1");
  node.labels["topology.kubernetes.io/region"] = "r1";
  node.labels["topology.kubernetes.io/zone"] = "z1";
  EXPECT_EQ(Control(mesh).ask(node).addresses(web),
            "10.1.0.1:8080 > 10.1.0.2:8080 > 10.1.0.3:8080");
}

TEST(Localities, DistributeSharesTrafficOutByWeights) {
  Mesh mesh = shop();
  mesh.apply(destination_rule("shop/web", R"(host: web
trafficPolicy:
  loadBalancer: {localityLbSetting: {distribute: [{from: "r1/*", to: {"r1/*": 80, "r2/*": 20}}]}})"));
  const auto groups = ask(mesh).endpoints(web)["endpoints"];
  ASSERT_EQ(groups.size(), 3u);
  EXPECT_EQ(groups[0]["load_balancing_weight"], 40);
  EXPECT_EQ(groups[1]["load_balancing_weight"], 40);
  EXPECT_EQ(groups[2]["load_balancing_weight"], 20);
}

TEST(Localities, CanBeSwitchedOff) {
  Mesh mesh = shop();
  mesh.config("localityLbSetting: {enabled: false}");
  mesh.apply(destination_rule(
      "shop/web", "host: web\ntrafficPolicy: {outlierDetection: {consecutive5xxErrors: 1}}"));
  EXPECT_EQ(ask(mesh).addresses(web), "10.1.0.1:8080 10.1.0.2:8080 10.1.0.3:8080");
}

}  // namespace
}  // namespace graymesh::translate::testing
