// A lane whose instances are gone is answered for by another subset, without a failed request:
// annotation graymesh.io/fallback of a DestinationRule.
#include <gtest/gtest.h>

#include <set>

#include "mesh.h"

namespace graymesh::feature {
namespace {

using namespace nlohmann::literals;

std::string rule(const std::string& annotation, const std::string& policy = "",
                 const std::string& host = "cart") {
  return R"(---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart, namespace: fe-pre, annotations: {)" +
         annotation + R"(}}
spec:
  host: )" +
         host + policy + R"(
  subsets:
  - {name: baseline, labels: {stage: normal}}
  - {name: feature-a, labels: {canarytag: feature-a}}
)";
}
const std::string falls_back = "graymesh.io/fallback: \"feature-a=baseline\"";

std::string by_header(const std::string& retries = "") {
  return R"(---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: fe-pre}
spec:
  hosts: [cart]
  http:
  - match: [{headers: {canarytag: {exact: feature-a}}}]
    route: [{destination: {host: cart, subset: feature-a}}])" +
         retries + R"(
  - route: [{destination: {host: cart, subset: baseline}}]
)";
}

const std::string lane = outbound(8080, "feature-a", "cart");
const std::string baseline = outbound(8080, "baseline", "cart");

// "baseline@1 feature-a@0": the subsets of a cluster's endpoints, and their priorities.
std::string priorities(const Proxy& proxy, const std::string& cluster) {
  std::multiset<std::string> found;
  for (const Json& group : proxy.endpoints(cluster).value("endpoints", Json::array())) {
    for (const Json& endpoint : group["lb_endpoints"]) {
      const Json metadata = endpoint["metadata"]["filter_metadata"];
      found.insert(metadata.value("/graymesh/subset"_json_pointer, std::string("?")) + "@" +
                   std::to_string(group.value("priority", 0)));
    }
  }
  std::string text;
  for (const auto& one : found) text += (text.empty() ? "" : " ") + one;
  return text;
}

TEST(LaneFallback, TheOtherSubsetStandsBehindTheLanesOwnInstances) {
  const Mesh mesh(app("cart", {"baseline", "feature-a"}) + rule(falls_back));
  const Proxy proxy = mesh.sidecar("web");
  EXPECT_EQ(priorities(proxy, lane), "baseline@1 feature-a@0");
  EXPECT_EQ(proxy.endpoints(lane)["policy"]["overprovisioning_factor"], 1000000);
  EXPECT_EQ(proxy.addresses(baseline).size(), 1u) << "nobody stands in for the baseline";
  EXPECT_FALSE(proxy.endpoints(baseline).contains("policy"));
  EXPECT_FALSE(proxy.cluster(baseline).contains("outlier_detection"));
}

TEST(LaneFallback, AnEmptyLaneIsAllTheOtherSubset) {
  const Mesh mesh(app("cart", {"baseline"}) + rule(falls_back));
  EXPECT_EQ(priorities(mesh.sidecar("web"), lane), "baseline@1");
}

TEST(LaneFallback, EverybodyMayBeEjectedAndAtOnce) {
  const Mesh mesh(app("cart", {"baseline", "feature-a"}) + rule(falls_back));
  const Json cluster = mesh.sidecar("web").cluster(lane);
  EXPECT_EQ(cluster["common_lb_config"]["healthy_panic_threshold"], Json::object()) << "0 percent";
  EXPECT_EQ(cluster["common_lb_config"]["update_merge_window"], "0s");
  const Json& detection = cluster["outlier_detection"];
  EXPECT_EQ(detection["max_ejection_percent"], 100);
  EXPECT_EQ(detection["base_ejection_time"], "2s");
  EXPECT_EQ(detection["interval"], "0.500s");
  EXPECT_EQ(detection["enforcing_consecutive_5xx"], 0) << "an answer is an answer";
  EXPECT_EQ(detection["enforcing_consecutive_local_origin_failure"], 100);
  EXPECT_EQ(cluster["circuit_breakers"]["thresholds"][0]["max_retries"], 4294967295u);
}

TEST(LaneFallback, TheRulesOwnDetectionStays) {
  const Mesh mesh(app("cart", {"baseline", "feature-a"}) +
                  rule(falls_back,
                       "\n  trafficPolicy: {outlierDetection: {consecutive5xxErrors: 7, "
                       "minHealthPercent: 50}}"));
  const Json cluster = mesh.sidecar("web").cluster(lane);
  EXPECT_EQ(cluster["outlier_detection"]["consecutive_5xx"], 7);
  EXPECT_EQ(cluster["outlier_detection"]["max_ejection_percent"], 100);
  EXPECT_EQ(cluster["common_lb_config"]["healthy_panic_threshold"], Json::object()) << "0 percent";
}

TEST(LaneFallback, ARetryGoesToTheOtherSubsetFromTheFirstOn) {
  const Mesh mesh(app("cart", {"baseline", "feature-a"}) + rule(falls_back) + by_header());
  const Proxy proxy = mesh.sidecar("web");
  const auto retry = [&](const Headers& headers) {
    return proxy.route("http://cart:8080/", headers)["route"]["retry_policy"];
  };
  const Json lanes = retry({{"canarytag", "feature-a"}});
  EXPECT_EQ(lanes["retry_priority"]["typed_config"]["update_frequency"], 1);
  EXPECT_EQ(lanes["retry_host_predicate"].size(), 1u);
  EXPECT_FALSE(retry({}).contains("retry_priority"));
}

TEST(LaneFallback, RetriesSwitchedOffStayOff) {
  const Mesh mesh(app("cart", {"baseline", "feature-a"}) + rule(falls_back) +
                  by_header("\n    retries: {attempts: 0}"));
  const Json route =
      mesh.sidecar("web").route("http://cart:8080/", {{"canarytag", "feature-a"}})["route"];
  EXPECT_FALSE(route.contains("retry_policy"));
}

TEST(LaneFallback, AnAnnotationThatComesOrGoesReachesClusterEndpointsAndRoute) {
  const std::string rest = app("cart", {"baseline", "feature-a"}) + by_header();
  Mesh mesh(rest + rule(""));
  const auto route = [&] {
    return mesh.sidecar("web").route("http://cart:8080/", {{"canarytag", "feature-a"}});
  };
  EXPECT_EQ(priorities(mesh.sidecar("web"), lane), "?@0");
  EXPECT_FALSE(route()["route"]["retry_policy"].contains("retry_priority"));
  mesh.change(rest + rule(falls_back));
  EXPECT_EQ(priorities(mesh.sidecar("web"), lane), "baseline@1 feature-a@0");
  EXPECT_TRUE(mesh.sidecar("web").cluster(lane).contains("outlier_detection"));
  EXPECT_TRUE(route()["route"]["retry_policy"].contains("retry_priority"));
  mesh.change(rest + rule(""));
  EXPECT_EQ(priorities(mesh.sidecar("web"), lane), "?@0");
  EXPECT_FALSE(route()["route"]["retry_policy"].contains("retry_priority"));
}

TEST(LaneFallback, AnInstanceOfTheOtherSubsetChangesTheLanesEndpointsAndNothingElse) {
  const std::string rest = rule(falls_back) + by_header();
  Mesh mesh(app("cart", {"baseline", "feature-a"}) + rest);
  const Proxy before = mesh.sidecar("web");
  mesh.change(app("cart", {"feature-a"}) + rest);
  const Proxy after = mesh.sidecar("web");
  EXPECT_EQ(priorities(after, lane), "feature-a@0");
  EXPECT_EQ(*before.config().find(resource::Type::cluster, lane),
            *after.config().find(resource::Type::cluster, lane));
  EXPECT_TRUE(before.routes("8080").is_object());
  EXPECT_EQ(before.routes("8080"), after.routes("8080"));
  mesh.change(app("cart", {"baseline"}) + rest);
  EXPECT_EQ(priorities(mesh.sidecar("web"), lane), "baseline@1");
}

TEST(LaneFallback, StandsBehindAllOfTheLanesLocalities) {
  const auto at = [](const std::string& name, const std::string& zone, const std::string& address,
                     const std::string& labels) {
    return R"(---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: )" +
           name + R"(, namespace: fe-pre}
spec: {address: )" +
           address + ", locality: r/" + zone + ", labels: {app: cart, " + labels + "}}\n";
  };
  const Mesh mesh(R"(---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: cart, namespace: fe-pre}
spec:
  hosts: [cart.example]
  resolution: STATIC
  location: MESH_INTERNAL
  ports: [{number: 8080, name: http, protocol: HTTP}]
  workloadSelector: {labels: {app: cart}}
)" + at("near", "z1", "10.2.0.1", "canarytag: feature-a") +
                  at("far", "z2", "10.2.0.2", "canarytag: feature-a") +
                  at("base", "z1", "10.2.0.3", "stage: normal") +
                  rule(falls_back,
                       "\n  trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1}}",
                       "cart.example"));
  auto node = sidecar_node("web");
  node.region = "r";
  node.zone = "z1";
  EXPECT_EQ(priorities(mesh.proxy(node), outbound(8080, "feature-a", "cart.example")),
            "baseline@2 feature-a@0 feature-a@1");
}

TEST(LaneFallback, ProxylessClientsKeepTheLaneAlone) {
  const Mesh mesh(app("cart", {"baseline", "feature-a"}) + rule(falls_back));
  auto node = sidecar_node("web");
  node.user_agent = "gRPC Go 1.76.0";
  const Proxy proxy = mesh.proxy(node);
  EXPECT_EQ(proxy.addresses(lane).size(), 1u);
  EXPECT_FALSE(proxy.cluster(lane).contains("outlier_detection"));
}

}  // namespace
}  // namespace graymesh::feature
