// No field of a DestinationRule is silently without effect (fields.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>

#include "fields.h"

namespace graymesh::feature {
namespace {

using testing::IsEmpty;

std::string rule(const std::string& policy) {
  return istio("DestinationRule", R"({"host": "cart", "trafficPolicy": )" + policy + "}");
}

TEST(DestinationRuleFields, OfTheRuleItself) {
  EXPECT_THAT(silent({istio("DestinationRule", R"({
    "host": "cart", "exportTo": ["."], "workloadSelector": {"matchLabels": {"app": "web"}},
    "trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": 5}}},
    "subsets": [{"name": "a", "labels": {"version": "a"},
                 "trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": 6}}}}]})"),
                      "",
                      {"exportTo", "exportTo[0]"}}),  // a selector's rule is for its own namespace
              IsEmpty());
  EXPECT_THAT(silent({istio("DestinationRule", R"({
    "host": "cart", "exportTo": ["."], "subsets": [{"name": "a", "labels": {"version": "a"}}]})")}),
              IsEmpty());
}

TEST(DestinationRuleFields, OfConnectionPoolAndOutlierDetection) {
  EXPECT_THAT(silent({rule(R"({
    "connectionPool": {
      "tcp": {"maxConnections": 5, "connectTimeout": "2s", "maxConnectionDuration": "9s",
              "idleTimeout": "8s", "tcpKeepalive": {"probes": 3, "time": "7s", "interval": "6s"}},
      "http": {"http1MaxPendingRequests": 4, "http2MaxRequests": 5, "maxRequestsPerConnection": 6,
               "maxRetries": 7, "idleTimeout": "9s", "h2UpgradePolicy": "UPGRADE",
               "maxConcurrentStreams": 8,
               "http2KeepAlive": {"interval": "5s", "timeout": "4s"}}},
    "outlierDetection": {
      "splitExternalLocalOriginErrors": true, "consecutiveLocalOriginFailures": 3,
      "consecutiveGatewayErrors": 4, "consecutive5xxErrors": 6, "interval": "3s",
      "baseEjectionTime": "4s", "maxEjectionPercent": 40, "minHealthPercent": 20},
    "proxyProtocol": {"version": "V2"},
    "retryBudget": {"percent": 30, "minRetryConcurrency": 5, "budgetInterval": "3s"}})")}),
              IsEmpty());
  EXPECT_THAT(silent({rule(R"({
    "connectionPool": {"http": {"useClientProtocol": true}},
    "outlierDetection": {"consecutiveErrors": 9},
    "tunnel": {"protocol": "POST", "targetHost": "a.example", "targetPort": 443}})")}),
              IsEmpty());
}

TEST(DestinationRuleFields, OfPortLevelSettings) {
  EXPECT_THAT(silent({rule(R"({
    "connectionPool": {"tcp": {"maxConnections": 5}},
    "portLevelSettings": [{
      "port": {"number": 9090},
      "connectionPool": {"http": {"maxRetries": 7}},
      "outlierDetection": {"consecutive5xxErrors": 6},
      "loadBalancer": {"simple": "RANDOM"},
      "tls": {"mode": "SIMPLE", "sni": "a.example"}}]})")}),
              IsEmpty());
}

TEST(DestinationRuleFields, OfLoadBalancing) {
  for (const char* balancer : {
           R"({"simple": "RANDOM"})",
           R"({"simple": "ROUND_ROBIN",
               "warmup": {"duration": "9s", "minimumPercent": 20, "aggression": 2}})",
           R"({"warmupDurationSecs": "9s"})",
           R"({"consistentHash": {"httpHeaderName": "x", "ringHash": {"minimumRingSize": 2048}}})",
           R"({"consistentHash": {"useSourceIp": true, "maglev": {"tableSize": 251}}})",
           R"({"consistentHash": {"httpQueryParameterName": "q", "minimumRingSize": 4096}})",
           R"({"consistentHash": {"httpCookie": {"name": "c", "path": "/p", "ttl": "9s",
               "attributes": [{"name": "SameSite", "value": "Strict"}]}}})",
           R"({"localityLbSetting": {"distribute": [
               {"from": "r1/*", "to": {"r1/*": 80, "r2/*": 20}}]}})",
           R"({"localityLbSetting": {"failover": [{"from": "r1", "to": "r2"}]}})",
           R"({"localityLbSetting": {"failoverPriority": ["version"]}})",
           R"({"localityLbSetting": {"enabled": false}})",
           R"({"zoneAwareLbSetting": {"enabled": true}})",
       }) {
    SCOPED_TRACE(balancer);
    EXPECT_THAT(silent({rule(R"({"outlierDetection": {"consecutive5xxErrors": 6},
                                 "loadBalancer": )" +
                             std::string(balancer) + "}")}),
                IsEmpty());
  }
}

TEST(DestinationRuleFields, OfTls) {
  for (const char* tls : {
           R"({"mode": "SIMPLE", "sni": "a.example", "caCertificates": "/ca.pem",
               "caCrl": "/crl.pem", "subjectAltNames": ["a.example"]})",
           R"({"mode": "SIMPLE", "sni": "a.example", "insecureSkipVerify": true})",
           R"({"mode": "MUTUAL", "clientCertificate": "/c.pem", "privateKey": "/k.pem",
               "caCertificates": "/ca.pem"})",
           R"({"mode": "SIMPLE", "credentialName": "secret"})",
           R"({"mode": "ISTIO_MUTUAL", "sni": "a.example"})",
       }) {
    SCOPED_TRACE(tls);
    // Without TLS, as its mode tells, there is nothing to send a name by.
    EXPECT_THAT(silent({rule(R"({"tls": )" + std::string(tls) + "}"), "",
                        std::string_view(tls).find("ISTIO") == std::string_view::npos
                            ? std::set<std::string>{}
                            : std::set<std::string>{"trafficPolicy.tls.sni"}}),
                IsEmpty());
  }
}

}  // namespace
}  // namespace graymesh::feature
