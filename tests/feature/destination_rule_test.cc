// DestinationRule: balancing, connection pools and outlier detection, for a host, a port, a subset.
#include <gtest/gtest.h>

#include "mesh.h"

namespace graymesh::feature {
namespace {

const std::string cart = app("cart", {"baseline", "feature-a"});

std::string rule(const std::string& spec, const std::string& name = "cart",
                 const std::string& namespace_ = "fe-pre") {
  return "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: " +
         name + ", namespace: " + namespace_ + "}\nspec:\n  host: cart.fe-pre.svc.cluster.local\n" +
         spec;
}

Json cluster_with(const std::string& spec, const std::string& subset = "") {
  return Mesh(cart + rule(spec)).sidecar("web").cluster(outbound(8080, subset, "cart"));
}

TEST(DestinationRule, WithoutOneAClusterHasIstiosDefaults) {
  const Json cluster = Mesh(cart).sidecar("web").cluster(outbound(8080, "", "cart"));
  EXPECT_EQ(cluster["type"], "EDS");
  EXPECT_EQ(cluster["lb_policy"], "LEAST_REQUEST");
  EXPECT_EQ(cluster["connect_timeout"], "10s");
  EXPECT_FALSE(cluster.contains("outlier_detection"));
  EXPECT_EQ(cluster["circuit_breakers"]["thresholds"][0]["max_connections"], 4294967295);
  EXPECT_EQ(cluster["alt_stat_name"], outbound(8080, "", "cart") + ";");
}

TEST(DestinationRule, SimpleBalancers) {
  // ROUND_ROBIN is Envoy's zero, which JSON leaves out.
  EXPECT_FALSE(cluster_with("  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}\n")
                   .contains("lb_policy"));
  EXPECT_EQ(cluster_with("  trafficPolicy: {loadBalancer: {simple: RANDOM}}\n")["lb_policy"],
            "RANDOM");
  EXPECT_EQ(cluster_with("  trafficPolicy: {loadBalancer: {simple: LEAST_CONN}}\n")["lb_policy"],
            "LEAST_REQUEST");
}

TEST(DestinationRule, AConsistentHashIsARingAndAHashPolicyOfTheRoute) {
  const Mesh mesh(
      cart + rule("  trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}\n"));
  const Json cluster = mesh.sidecar("web").cluster(outbound(8080, "", "cart"));
  EXPECT_EQ(cluster["lb_policy"], "RING_HASH");
  EXPECT_EQ(cluster["ring_hash_lb_config"]["minimum_ring_size"], "1024");
  const Json route = mesh.sidecar("web").route("http://cart:8080/");
  EXPECT_EQ(route["route"]["hash_policy"][0]["header"]["header_name"], "x-user");
}

TEST(DestinationRule, AConsistentHashMayBeMaglevByCookie) {
  const Mesh mesh(cart + rule("  trafficPolicy:\n    loadBalancer:\n      consistentHash: "
                              "{httpCookie: {name: user, ttl: 60s}, "
                              "maglev: {tableSize: 65537}}\n"));
  EXPECT_EQ(mesh.sidecar("web").cluster(outbound(8080, "", "cart"))["lb_policy"], "MAGLEV");
  const Json cookie =
      mesh.sidecar("web").route("http://cart:8080/")["route"]["hash_policy"][0]["cookie"];
  EXPECT_EQ(cookie["name"], "user");
  EXPECT_EQ(cookie["ttl"], "60s");
}

TEST(DestinationRule, ConnectionPoolsAreCircuitBreakersAndTimeouts) {
  const Json cluster = cluster_with(R"(  trafficPolicy:
    connectionPool:
      tcp: {maxConnections: 10, connectTimeout: 2s, tcpKeepalive: {time: 60s, interval: 10s, probes: 3}}
      http: {http1MaxPendingRequests: 20, http2MaxRequests: 30, maxRetries: 4, maxRequestsPerConnection: 5, idleTimeout: 7s}
)");
  const Json limits = cluster["circuit_breakers"]["thresholds"][0];
  EXPECT_EQ(limits["max_connections"], 10);
  EXPECT_EQ(limits["max_pending_requests"], 20);
  EXPECT_EQ(limits["max_requests"], 30);
  EXPECT_EQ(limits["max_retries"], 4);
  EXPECT_EQ(cluster["connect_timeout"], "2s");
  EXPECT_EQ(cluster["upstream_connection_options"]["tcp_keepalive"]["keepalive_time"], 60);
  const Json http = cluster["typed_extension_protocol_options"]
                           ["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
  EXPECT_EQ(http["common_http_protocol_options"]["max_requests_per_connection"], 5);
  EXPECT_EQ(http["common_http_protocol_options"]["idle_timeout"], "7s");
}

TEST(DestinationRule, OutlierDetectionEjectsAndTurnsPanicOff) {
  const Json cluster = cluster_with(
      "  trafficPolicy: {outlierDetection: {consecutive5xxErrors: 3, interval: 5s, "
      "baseEjectionTime: 60s, "
      "maxEjectionPercent: 50}}\n");
  EXPECT_EQ(cluster["outlier_detection"]["consecutive_5xx"], 3);
  EXPECT_EQ(cluster["outlier_detection"]["enforcing_consecutive_5xx"], 100);
  EXPECT_EQ(cluster["outlier_detection"]["enforcing_success_rate"], 0);
  EXPECT_EQ(cluster["outlier_detection"]["interval"], "5s");
  EXPECT_EQ(cluster["outlier_detection"]["max_ejection_percent"], 50);
  ASSERT_TRUE(cluster["common_lb_config"].contains("healthy_panic_threshold"));
  EXPECT_EQ(cluster["common_lb_config"]["healthy_panic_threshold"], Json::object()) << "0 %";
}

TEST(DestinationRule, AGatewayErrorsOnlyRuleStillCounts5xxAsEnvoyDoes) {
  const Json outlier = cluster_with(
      "  trafficPolicy: {outlierDetection: {consecutiveGatewayErrors: 2}}\n")["outlier_detection"];
  EXPECT_EQ(outlier["consecutive_gateway_failure"], 2);
  EXPECT_EQ(outlier["enforcing_consecutive_gateway_failure"], 100);
  EXPECT_FALSE(outlier.contains("consecutive_5xx"));
}

TEST(DestinationRule, ASubsetsPolicyReplacesPartsOfTheHostsPolicy) {
  const std::string spec = R"(  trafficPolicy:
    loadBalancer: {simple: RANDOM}
    connectionPool: {http: {http2MaxRequests: 7}}
  subsets:
  - {name: baseline, labels: {stage: normal}}
  - name: feature-a
    labels: {canarytag: feature-a}
    trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}
)";
  EXPECT_EQ(cluster_with(spec, "baseline")["lb_policy"], "RANDOM");
  EXPECT_FALSE(cluster_with(spec, "feature-a").contains("lb_policy"));
  EXPECT_EQ(cluster_with(spec, "feature-a")["circuit_breakers"]["thresholds"][0]["max_requests"], 7)
      << "the rest stays";
}

TEST(DestinationRule, APortsPolicyReplacesTheHostsPolicyWhole) {
  const Json cluster = cluster_with(R"(  trafficPolicy:
    loadBalancer: {simple: RANDOM}
    connectionPool: {http: {http2MaxRequests: 7}}
    portLevelSettings:
    - {port: {number: 8080}, loadBalancer: {simple: ROUND_ROBIN}}
    - {port: {number: 9999}, loadBalancer: {simple: LEAST_REQUEST}}
)");
  EXPECT_FALSE(cluster.contains("lb_policy"));
  EXPECT_EQ(cluster["circuit_breakers"]["thresholds"][0]["max_requests"], 4294967295)
      << "what it omits is unset";
}

TEST(DestinationRule, TlsToAServiceIsByFilesAndNames) {
  const Json cluster = cluster_with(
      "  trafficPolicy: {tls: {mode: SIMPLE, sni: cart.example, subjectAltNames: "
      "[cart.example]}}\n");
  EXPECT_EQ(cluster["transport_socket"]["name"], "envoy.transport_sockets.tls");
  EXPECT_EQ(cluster["transport_socket"]["typed_config"]["sni"], "cart.example");
  EXPECT_NE(cluster["transport_socket"].dump().find("ca-certificates.crt"), std::string::npos)
      << "the system's authorities";
}

TEST(DestinationRule, TheAskersNamespaceComesBeforeTheServicesAndThatBeforeTheRoots) {
  const auto policy = [](const std::string& kind) {
    return "  trafficPolicy: {loadBalancer: {simple: " + kind + "}}\n";
  };
  const std::string root = rule(policy("RANDOM"), "root", "istio-system");
  const std::string own = rule(policy("ROUND_ROBIN"));
  const std::string askers = rule(
      "  trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}\n", "mine", "client");
  const auto seen = [](const std::string& yaml, const std::string& namespace_) {
    const Json cluster = Mesh(yaml).sidecar("web", namespace_).cluster(outbound(8080, "", "cart"));
    return cluster.value("lb_policy", "ROUND_ROBIN");
  };
  EXPECT_EQ(seen(cart + root, "client"), "RANDOM");
  EXPECT_EQ(seen(cart + root + own, "client"), "ROUND_ROBIN");
  EXPECT_EQ(seen(cart + root + own + askers, "client"), "RING_HASH");
  EXPECT_EQ(seen(cart + root + own + askers, "elsewhere"), "ROUND_ROBIN");
}

TEST(DestinationRule, AWildcardHostIsForServicesWithoutARuleOfTheirOwn) {
  const std::string wild =
      "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: all, "
      "namespace: fe-pre}\n"
      "spec: {host: '*.fe-pre.svc.cluster.local', trafficPolicy: {loadBalancer: {simple: "
      "RANDOM}}}\n";
  const Mesh mesh(cart + app("pay") + wild +
                  rule("  trafficPolicy: {connectionPool: {http: {http2MaxRequests: 7}}}\n"));
  EXPECT_EQ(mesh.sidecar("web").cluster(outbound(8080, "", "pay"))["lb_policy"], "RANDOM");
  EXPECT_EQ(mesh.sidecar("web").cluster(outbound(8080, "", "cart"))["lb_policy"], "LEAST_REQUEST")
      << "rules of two hosts do not mix";
}

TEST(DestinationRule, ARuleForAHostThatNobodyKnowsIsTold) {
  const Mesh mesh(
      "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: lost, "
      "namespace: fe-pre}\n"
      "spec: {host: nobody, subsets: [{name: v1, labels: {version: v1}}]}\n");
  EXPECT_TRUE(mesh.mentions("DestinationRule fe-pre/lost"));
}

TEST(DestinationRule, FieldsThatAreNotSupportedYetAreToldOnTheObject) {
  const Mesh mesh(cart + rule("  trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}\n"));
  EXPECT_TRUE(mesh.mentions("DestinationRule fe-pre/cart"));
  EXPECT_TRUE(mesh.mentions("ISTIO_MUTUAL"));
}

}  // namespace
}  // namespace graymesh::feature
