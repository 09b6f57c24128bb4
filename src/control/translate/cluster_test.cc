// Clusters as istiod makes them: docs/translation.md 2.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/translate/config_testing.h"

namespace graymesh::translate::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;

constexpr const char* web = "outbound|8080||web.shop.svc.cluster.local";
constexpr const char* options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

Answer captured(const Mesh& mesh) {
  return Control(mesh).ask(sidecar_node("10.1.0.1", "shop", {{"app", "web"}}));
}

Mesh shop() {
  Mesh mesh;
  mesh.service("shop/web", {"http 8080"}, "selector: {app: web}");
  return mesh;
}

Json cluster_with(std::string_view rule, std::string_view name = web) {
  Mesh mesh = shop();
  mesh.apply(destination_rule("shop/web", rule));
  return captured(mesh).cluster(name);
}

TEST(Clusters, EveryPortOfEveryServiceHasOneAndEverySubsetOfIt) {
  Mesh mesh = shop();
  mesh.apply(destination_rule(
      "shop/web", "host: web\nsubsets: [{name: a, labels: {v: a}}, {name: b, labels: {v: b}}]"));
  EXPECT_THAT(captured(mesh).names(Type::cluster),
              ElementsAre("BlackHoleCluster", "InboundPassthroughCluster", "PassthroughCluster",
                          "inbound|8080||", "outbound|8080|a|web.shop.svc.cluster.local",
                          "outbound|8080|b|web.shop.svc.cluster.local", web));
}

TEST(Clusters, WithoutARuleAreAsIstiodMakesThem) {
  EXPECT_EQ(captured(shop()).cluster(web), Json::parse(R"({
    "name": "outbound|8080||web.shop.svc.cluster.local",
    "alt_stat_name": "outbound|8080||web.shop.svc.cluster.local;",
    "type": "EDS",
    "eds_cluster_config": {
      "eds_config": {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"},
      "service_name": "outbound|8080||web.shop.svc.cluster.local"
    },
    "connect_timeout": "10s",
    "lb_policy": "LEAST_REQUEST",
    "common_lb_config": {},
    "circuit_breakers": {"thresholds": [{"max_connections": 4294967295, "max_pending_requests": 4294967295,
                                         "max_requests": 4294967295, "max_retries": 4294967295}]},
    "metadata": {"filter_metadata": {"istio": {"services": [
      {"host": "web.shop.svc.cluster.local", "name": "web", "namespace": "shop"}]}}}
  })"));
}

TEST(Clusters, NameTheObjectsTheyCameFrom) {
  Mesh mesh = shop();
  mesh.apply(destination_rule("shop/web", "host: web\nsubsets: [{name: a, labels: {v: a}}]"));
  const auto answer = captured(mesh);
  EXPECT_THAT(answer.resource(Type::cluster, web)->origins(),
              ElementsAre("DestinationRule shop/web", "Service shop/web"));
  EXPECT_EQ(
      answer.cluster("outbound|8080|a|web.shop.svc.cluster.local")["metadata"]["filter_metadata"]
                                                                  ["istio"]["config"],
      "/apis/networking.istio.io/v1/namespaces/shop/destination-rule/web");
}

TEST(Clusters, AreFoundAsTheServicesResolutionSays) {
  Mesh mesh;
  mesh.service("shop/peers", {"tcp 7000"}, "clusterIP: None");
  const auto entry = [](const std::string& name, const std::string& rest) {
    return service_entry("shop/" + name,
                         "hosts: [" + name +
                             ".example.com]\nports: [{number: 443, name: tls, protocol: TLS}]\n" +
                             rest);
  };
  mesh.apply(entry("static", "resolution: STATIC\nendpoints: [{address: 10.3.0.1}]"));
  mesh.apply(entry("dns", "resolution: DNS"));
  mesh.apply(entry("robin", "resolution: DNS_ROUND_ROBIN"));
  mesh.apply(entry("none", "resolution: NONE"));
  const auto redirected = captured(mesh);
  const auto bound = Control(mesh).ask(bound_node("127.1.1.1", "shop"));
  EXPECT_EQ(redirected.cluster("outbound|7000||peers.shop.svc.cluster.local")["type"],
            "ORIGINAL_DST");
  EXPECT_EQ(redirected.cluster("outbound|443||static.example.com")["type"], "EDS");
  EXPECT_EQ(redirected.cluster("outbound|443||dns.example.com")["type"], "STRICT_DNS");
  EXPECT_EQ(redirected.cluster("outbound|443||robin.example.com")["type"], "LOGICAL_DNS");
  EXPECT_EQ(redirected.cluster("outbound|443||none.example.com")["type"], "ORIGINAL_DST");
  // Where nothing is redirected there is no original destination to go to.
  EXPECT_EQ(bound.cluster("outbound|7000||peers.shop.svc.cluster.local")["type"], "EDS");
  EXPECT_EQ(bound.cluster("outbound|443||none.example.com")["type"], "EDS");
  EXPECT_THAT(bound.names(Type::cluster), Not(Contains("PassthroughCluster")));
}

TEST(Clusters, AskDnsForTheHostOfAServiceEntryWithoutEndpoints) {
  Mesh mesh;
  mesh.apply(service_entry("shop/dns",
                           "hosts: [api.example.com]\nports: [{number: 80, name: http, protocol: "
                           "HTTP, targetPort: 8080}]\nresolution: DNS"));
  const auto cluster = captured(mesh).cluster("outbound|80||api.example.com");
  EXPECT_EQ(cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
                   ["socket_address"],
            Json::parse(R"({"address": "api.example.com", "port_value": 8080})"));
  EXPECT_EQ(cluster["respect_dns_ttl"], true);
  EXPECT_FALSE(cluster.contains("eds_cluster_config"));
}

TEST(Clusters, SpeakHttp2ToPortsThatDoAndWhatTheClientSpeaksToSniffedOnes) {
  Mesh mesh;
  mesh.service("shop/web", {"http 80", "grpc 81", "http2 82", "tcp 83", "odd 84"});
  const auto answer = captured(mesh);
  const auto of = [&](int port) {
    const auto cluster =
        answer.cluster("outbound|" + std::to_string(port) + "||web.shop.svc.cluster.local");
    return cluster.contains("typed_extension_protocol_options")
               ? cluster["typed_extension_protocol_options"][options]
               : Json();
  };
  EXPECT_TRUE(of(80).is_null());
  EXPECT_TRUE(of(81)["explicit_http_config"].contains("http2_protocol_options"));
  EXPECT_TRUE(of(82)["explicit_http_config"].contains("http2_protocol_options"));
  EXPECT_TRUE(of(83).is_null());
  EXPECT_TRUE(of(84)["use_downstream_protocol_config"].contains("http2_protocol_options"));
}

TEST(ConnectionPool, LimitsAndTimeoutsAreEnvoys) {
  const auto cluster = cluster_with(R"(host: web
trafficPolicy:
  connectionPool:
    tcp: {maxConnections: 7, connectTimeout: 250ms, maxConnectionDuration: 60s, tcpKeepalive: {probes: 3, time: 60s, interval: 5s}}
    http: {http1MaxPendingRequests: 8, http2MaxRequests: 9, maxRetries: 4, maxRequestsPerConnection: 2, idleTimeout: 30s}
  retryBudget: {percent: 25, budgetInterval: 2s})");
  EXPECT_EQ(cluster["connect_timeout"], "0.250s");
  EXPECT_EQ(cluster["circuit_breakers"]["thresholds"][0],
            Json::parse(R"({"max_connections": 7, "max_pending_requests": 8,
      "max_requests": 9, "max_retries": 4, "retry_budget": {"budget_percent": {"value": 25}, "budget_interval": "2s", "min_retry_concurrency": 3}})"));
  EXPECT_EQ(
      cluster["upstream_connection_options"]["tcp_keepalive"],
      Json::parse(R"({"keepalive_probes": 3, "keepalive_time": 60, "keepalive_interval": 5})"));
  const auto http = cluster["typed_extension_protocol_options"][options];
  EXPECT_EQ(http["common_http_protocol_options"],
            Json::parse(R"({"idle_timeout": "30s", "max_connection_duration": "60s",
      "max_requests_per_connection": 2})"));
  EXPECT_TRUE(http["explicit_http_config"].contains("http_protocol_options"))
      << "the message needs a protocol";
}

TEST(ConnectionPool, UpgradesToHttp2IfTheRuleOrElseTheMeshSaysSo) {
  const auto upgraded = [](Mesh& mesh) {
    const auto cluster = captured(mesh).cluster(web);
    return cluster.contains("typed_extension_protocol_options") &&
           cluster["typed_extension_protocol_options"][options]["explicit_http_config"].contains(
               "http2_protocol_options");
  };
  Mesh mesh = shop();
  EXPECT_FALSE(upgraded(mesh));
  mesh.config("h2UpgradePolicy: UPGRADE");
  EXPECT_TRUE(upgraded(mesh));
  mesh.apply(destination_rule(
      "shop/web",
      "host: web\ntrafficPolicy: {connectionPool: {http: {h2UpgradePolicy: DO_NOT_UPGRADE}}}"));
  EXPECT_FALSE(upgraded(mesh));
}

TEST(OutlierDetection, EjectsByWhatTheRuleCountsAndEndsThePanicMode) {
  const auto cluster = cluster_with(R"(host: web
trafficPolicy:
  outlierDetection: {consecutive5xxErrors: 3, consecutiveGatewayErrors: 0, interval: 5s, baseEjectionTime: 10s, maxEjectionPercent: 50,
                     splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2})");
  EXPECT_EQ(cluster["outlier_detection"],
            Json::parse(R"({"consecutive_5xx": 3, "enforcing_consecutive_5xx": 100,
      "consecutive_gateway_failure": 0, "enforcing_consecutive_gateway_failure": 0, "interval": "5s", "base_ejection_time": "10s",
      "max_ejection_percent": 50, "enforcing_success_rate": 0, "split_external_local_origin_errors": true,
      "enforcing_local_origin_success_rate": 0, "consecutive_local_origin_failure": 2,
      "enforcing_consecutive_local_origin_failure": 100})"));
  EXPECT_EQ(cluster["common_lb_config"]["healthy_panic_threshold"], Json::object()) << "0 %";
  EXPECT_EQ(cluster["common_lb_config"]["update_merge_window"], "0s")
      << "ours: the last of two ejections must not wait";
}

TEST(OutlierDetection, CountsTheAnswersThatTheRuleNames) {
  const auto status = [](const char* code) {
    return Json{{"http_response_headers_match",
                 {{"headers", {{{"name", ":status"}, {"string_match", {{"exact", code}}}}}}}}};
  };
  const auto matcher = [](const std::string& codes) {
    return cluster_with(
        "host: web\ntrafficPolicy: {outlierDetection: "
        "{outlierDetectionHttpErrorCodes: [" +
        codes +
        "]}}")["typed_extension_protocol_options"][options]["outlier_detection"]["error_matcher"];
  };
  EXPECT_EQ(matcher("429"), status("429"));
  EXPECT_EQ(matcher("429, 503"), (Json{{"or_match", {{"rules", {status("429"), status("503")}}}}}));
}

TEST(OutlierDetection, DoesNotHeedConsecutiveErrors) {
  const auto cluster =
      cluster_with("host: web\ntrafficPolicy: {outlierDetection: {consecutiveErrors: 9}}");
  EXPECT_EQ(cluster["outlier_detection"], Json::parse(R"({"enforcing_success_rate": 0})"));
}

TEST(LoadBalancer, SimplePoliciesAreEnvoys) {
  for (const auto& [written, expected] :
       std::map<std::string, std::string>{{"ROUND_ROBIN", ""},
                                          {"RANDOM", "RANDOM"},
                                          {"LEAST_CONN", "LEAST_REQUEST"},
                                          {"UNSPECIFIED", "LEAST_REQUEST"}}) {
    const auto cluster =
        cluster_with("host: web\ntrafficPolicy: {loadBalancer: {simple: " + written + "}}");
    EXPECT_EQ(cluster.value("lb_policy", ""), expected)
        << written;  // ROUND_ROBIN is the default of the proto
  }
}

TEST(LoadBalancer, PassthroughGoesWhereTheConnectionWasMeantFor) {
  const auto cluster =
      cluster_with("host: web\ntrafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}");
  EXPECT_EQ(cluster["type"], "ORIGINAL_DST");
  EXPECT_EQ(cluster["lb_policy"], "CLUSTER_PROVIDED");
  EXPECT_FALSE(cluster.contains("eds_cluster_config"));
}

TEST(LoadBalancer, ConsistentHashIsARingOrMaglev) {
  const auto ring = cluster_with(
      "host: web\ntrafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}");
  EXPECT_EQ(ring["lb_policy"], "RING_HASH");
  EXPECT_EQ(ring["ring_hash_lb_config"]["minimum_ring_size"], "1024");
  const auto maglev = cluster_with(
      "host: web\ntrafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, maglev: "
      "{tableSize: 1009}}}}");
  EXPECT_EQ(maglev["lb_policy"], "MAGLEV");
  EXPECT_EQ(maglev["maglev_lb_config"]["table_size"], "1009");
}

TEST(PolicyLevels, APortsPolicyReplacesTheHosts) {
  const auto cluster = cluster_with(R"(host: web
trafficPolicy:
  connectionPool: {tcp: {maxConnections: 7}}
  portLevelSettings: [{port: {number: 8080}, loadBalancer: {simple: RANDOM}}])");
  EXPECT_EQ(cluster["lb_policy"], "RANDOM");
  EXPECT_EQ(cluster["circuit_breakers"]["thresholds"][0]["max_connections"], 4294967295u);
}

TEST(PolicyLevels, ASubsetsPolicyIsLaidOverTheHosts) {
  const auto cluster = cluster_with(R"(host: web
trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}, loadBalancer: {simple: RANDOM}}
subsets: [{name: a, labels: {v: a}, trafficPolicy: {connectionPool: {tcp: {maxConnections: 3}}}}])",
                                    "outbound|8080|a|web.shop.svc.cluster.local");
  EXPECT_EQ(cluster["lb_policy"], "RANDOM");
  EXPECT_EQ(cluster["circuit_breakers"]["thresholds"][0]["max_connections"], 3);
}

TEST(UpstreamTls, SimpleVerifiesTheServerByTheNameAskedFor) {
  const auto cluster = cluster_with("host: web\ntrafficPolicy: {tls: {mode: SIMPLE}}");
  const auto common = cluster["transport_socket"]["typed_config"]["common_tls_context"];
  EXPECT_EQ(common["validation_context"]["trusted_ca"]["filename"],
            "/etc/ssl/certs/ca-certificates.crt");
  EXPECT_EQ(common["tls_params"]["tls_minimum_protocol_version"], "TLSv1_2");
  EXPECT_EQ(cluster["typed_extension_protocol_options"][options]["upstream_http_protocol_options"],
            Json::parse(R"({"auto_sni": true, "auto_san_validation": true})"));
}

TEST(UpstreamTls, MutualShowsACertificateFromFiles) {
  const auto cluster = cluster_with(R"(host: web
trafficPolicy: {tls: {mode: MUTUAL, clientCertificate: /c.pem, privateKey: /k.pem, caCertificates: /ca.pem, sni: web.example.com, subjectAltNames: [web.example.com]}})");
  const auto tls = cluster["transport_socket"]["typed_config"];
  EXPECT_EQ(tls["sni"], "web.example.com");
  const auto& common = tls["common_tls_context"];
  EXPECT_EQ(common["tls_certificates"][0]["certificate_chain"]["filename"], "/c.pem");
  EXPECT_EQ(common["validation_context"]["trusted_ca"]["filename"], "/ca.pem");
  EXPECT_EQ(common["validation_context"]["match_typed_subject_alt_names"][0]["matcher"]["exact"],
            "web.example.com");
}

TEST(InboundClusters, GoWhereTheConnectionWasMeantFor) {
  const auto cluster = captured(shop()).cluster("inbound|8080||");
  EXPECT_EQ(cluster["type"], "ORIGINAL_DST");
  EXPECT_EQ(cluster["upstream_bind_config"]["source_address"]["address"], "127.0.0.6");
  EXPECT_EQ(cluster["metadata"]["filter_metadata"]["istio"]["services"][0]["name"], "web");
}

TEST(InboundClusters, OfAnInstanceThatIsNotCapturedGoToTheApplicationsTwinAddress) {
  const auto cluster = Control(shop())
                           .ask(bound_node("127.1.1.1", "shop", "127.65.1.1", {{"app", "web"}}))
                           .cluster("inbound|8080||");
  EXPECT_EQ(cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
                   ["socket_address"],
            Json::parse(R"({"address": "127.65.1.1", "port_value": 8080})"));
}

TEST(InboundClusters, OfARuleKnowOnlyTheConnectionPool) {
  Mesh mesh = shop();
  mesh.apply(destination_rule("shop/web",
                              "host: web\ntrafficPolicy: {connectionPool: {tcp: {maxConnections: "
                              "7}}, outlierDetection: {consecutive5xxErrors: 1}}"));
  const auto cluster = captured(mesh).cluster("inbound|8080||");
  EXPECT_EQ(cluster["circuit_breakers"]["thresholds"][0]["max_connections"], 7);
  EXPECT_FALSE(cluster.contains("outlier_detection"));
}

}  // namespace
}  // namespace graymesh::translate::testing
