#include "model/testing.h"

namespace graymesh::model {
namespace {

using namespace testing;
using namespace std::chrono_literals;

std::string rule(std::string_view spec) { return of_kind("DestinationRule", spec); }
// A rule whose trafficPolicy, on line 6, has these fields.
std::string policy(const std::string& fields) {
  return rule("  host: web\n  trafficPolicy: {" + fields + "}\n");
}
std::string on6(std::string_view rest) {
  return "f.yaml:6 DestinationRule default/x: trafficPolicy" + std::string(rest);
}

TEST(DestinationRule, IsReadWhole) {
  const auto read = spec_of<DestinationRule>(rule(R"(  host: web
  trafficPolicy:
    loadBalancer: {consistentHash: {httpCookie: {name: user, ttl: 0s}}, warmup: {duration: 30s}}
    connectionPool: {tcp: {maxConnections: 10, connectTimeout: 30ms}, http: {http2MaxRequests: 5, h2UpgradePolicy: UPGRADE}}
    outlierDetection: {consecutive5xxErrors: 7, interval: 5m, maxEjectionPercent: 50}
    tls: {mode: SIMPLE, sni: a}
    portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: LEAST_CONN}}]
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}
  workloadSelector: {matchLabels: {app: a}}
  exportTo: ["."]
)"));
  EXPECT_EQ(std::get<HttpCookie>(read.policy->load_balancer->consistent_hash->key).ttl, 0s);
  EXPECT_EQ(read.policy->load_balancer->warmup->duration, 30s);
  EXPECT_EQ(read.policy->connection_pool->http->h2_upgrade, ConnectionPool::H2Upgrade::upgrade);
  EXPECT_EQ(read.policy->outlier_detection->consecutive_5xx_errors, 7u);
  EXPECT_EQ(read.policy->port_level.at(0).second.load_balancer->simple,
            LoadBalancer::Simple::least_request);
  EXPECT_EQ(read.subsets.at(1).policy->load_balancer->simple, LoadBalancer::Simple::random);
  EXPECT_EQ(read.workload_selector, (Labels{{"app", "a"}}));
}

TEST(DestinationRule, NamesEachSubsetOnce) {
  EXPECT_EQ(
      errors_of(rule(
          "  host: web\n  subsets:\n  - {name: a}\n  - {name: a}\n  - {labels: {v: \"*\"}}\n")),
      (Lines{
          "f.yaml:8 DestinationRule default/x: subsets[1].name a, must be unique among the subsets",
          "f.yaml:9 DestinationRule default/x: subsets[2].name is required",
          "f.yaml:9 DestinationRule default/x: subsets[2].labels.v \"*\", must be a label's value: "
          "letters, digits, '-', '_' and '.', at most 63"}));
}

TEST(TrafficPolicy, HasSomethingInIt) {
  EXPECT_EQ(errors_of(policy("")), Lines{on6(" must have at least one setting")});
  EXPECT_EQ(errors_of(policy("connectionPool: {}")),
            Lines{on6(".connectionPool must have tcp or http")});
  EXPECT_EQ(errors_of(policy("portLevelSettings: [{port: {number: 1}}]")),
            Lines{on6(".portLevelSettings[0] must have at least one setting beside port")});
}

TEST(TrafficPolicy, ChecksTheBalancer) {
  EXPECT_EQ(errors_of(policy("loadBalancer: {simple: BEST, consistentHash: {useSourceIp: true}}")),
            (Lines{on6(".loadBalancer must not have simple and consistentHash together"),
                   on6(".loadBalancer.simple BEST, must be one of UNSPECIFIED, LEAST_CONN, RANDOM, "
                       "PASSTHROUGH, ROUND_ROBIN, LEAST_REQUEST")}));
  EXPECT_EQ(errors_of(policy(
                "loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 10}}}")),
            Lines{on6(".loadBalancer.consistentHash.maglev.tableSize 10, must be a prime number "
                      "below 5000011")});
  EXPECT_EQ(errors_of(policy("loadBalancer: {localityLbSetting: {distribute: [{from: a/*, to: "
                             "{a/b: 60, a/b/c: 50}}]}}")),
            (Lines{on6(".loadBalancer.localityLbSetting.distribute[0].to must have weights that "
                       "add up to 100, not 110"),
                   on6(".loadBalancer.localityLbSetting.distribute[0].to[a/b/c] 50, must not "
                       "overlap with a/b")}));
}

TEST(TrafficPolicy, SpreadsRequestsByWhatHasAName) {
  const std::string hash = ".loadBalancer.consistentHash.";
  EXPECT_EQ(errors_of(policy("loadBalancer: {consistentHash: {httpHeaderName: \"\"}}")),
            Lines{on6(hash + "httpHeaderName \"\", must not be empty")});
  EXPECT_EQ(errors_of(policy("loadBalancer: {consistentHash: {httpQueryParameterName: \"\"}}")),
            Lines{on6(hash + "httpQueryParameterName \"\", must not be empty")});
  EXPECT_EQ(
      errors_of(policy("loadBalancer: {consistentHash: {httpCookie: {name: a, attributes: "
                       "[{name: b, value: \"c\\n\"}]}}}")),
      Lines{on6(hash + "httpCookie.attributes[0].value \"c\\n\", must not have a line break or "
                       "NUL, which no header can hold")});
}

TEST(TrafficPolicy, ChecksOutlierDetection) {
  EXPECT_EQ(errors_of(policy("outlierDetection: {maxEjectionPercent: 101, interval: 0s, "
                             "consecutiveLocalOriginFailures: 3}")),
            (Lines{on6(".outlierDetection.interval 0s, must be at least 1ms"),
                   on6(".outlierDetection.maxEjectionPercent 101, must be 0 to 100"),
                   on6(".outlierDetection.consecutiveLocalOriginFailures 3, must be beside "
                       "splitExternalLocalOriginErrors: true")}));
}

TEST(TrafficPolicy, ChecksTls) {
  EXPECT_EQ(errors_of(policy("tls: {mode: MUTUAL}")),
            (Lines{on6(".tls.clientCertificate is required by mode MUTUAL"),
                   on6(".tls.privateKey is required by mode MUTUAL")}));
  EXPECT_EQ(errors_of(policy("tls: {mode: SIMPLE, credentialName: a, caCertificates: b}")),
            Lines{on6(".tls.caCertificates b, must not stand beside credentialName")});
}

TEST(TrafficPolicy, SaysWhatHasNoEffectYet) {
  constexpr std::string_view no_effect = "is accepted but not supported yet: no effect";
  EXPECT_EQ(warnings_of(policy("tls: {mode: ISTIO_MUTUAL}")),
            Lines{on6(".tls.mode ISTIO_MUTUAL, ") + std::string(no_effect)});
  EXPECT_EQ(warnings_of(policy("tls: {mode: SIMPLE, credentialName: a}")),
            Lines{on6(".tls.credentialName a, ") + std::string(no_effect) +
                  "; gateways present no certificate, and sidecars use no TLS"});
  EXPECT_EQ(warnings_of(policy("tunnel: {targetHost: a.com, targetPort: 443}")),
            Lines{on6(".tunnel ") + std::string(no_effect)});
  EXPECT_EQ(warnings_of(policy("loadBalancer: {zoneAwareLbSetting: {enabled: true}}")),
            Lines{on6(".loadBalancer.zoneAwareLbSetting ") + std::string(no_effect)});
  EXPECT_EQ(warnings_of(policy("loadBalancer: {backendUtilization: {weightUpdatePeriod: 1s}}")),
            Lines{on6(".loadBalancer.backendUtilization ") + std::string(no_effect)});
  EXPECT_EQ(
      warnings_of(policy("outlierDetection: {failurePercentageThreshold: 50}")),
      Lines{on6(".outlierDetection.failurePercentageThreshold 50, ") + std::string(no_effect)});
}

TEST(TrafficPolicy, DoesNotTakeConsecutiveErrorsForOthers) {
  const std::string both = policy("outlierDetection: {consecutiveErrors: 9}");
  EXPECT_EQ(spec_of<DestinationRule>(both).policy->outlier_detection->consecutive_5xx_errors,
            std::nullopt);
  EXPECT_EQ(warnings_of(both),
            Lines{on6(".outlierDetection.consecutiveErrors 9, is deprecated and has no effect, use "
                      "consecutive5xxErrors or consecutiveGatewayErrors")});
}

TEST(TrafficPolicy, ReadsWhichAnswersAreErrors) {
  EXPECT_EQ(spec_of<DestinationRule>(
                policy("outlierDetection: {outlierDetectionHttpErrorCodes: [429, 500]}"))
                .policy->outlier_detection->error_codes,
            (std::vector<std::uint32_t>{429, 500}));
  EXPECT_EQ(
      errors_of(policy("outlierDetection: {outlierDetectionHttpErrorCodes: [5xx, 600]}")),
      (Lines{on6(".outlierDetection.outlierDetectionHttpErrorCodes[0] 5xx, must be a whole number"),
             on6(".outlierDetection.outlierDetectionHttpErrorCodes[1] 600, must be 100 to "
                 "599")}));
}

TEST(TrafficPolicy, ReadsHowLongARequestCountsForTheRetryBudget) {
  EXPECT_EQ(spec_of<DestinationRule>(policy("retryBudget: {percent: 20, budgetInterval: 3s}"))
                .policy->retry_budget->interval,
            3s);
}

}  // namespace
}  // namespace graymesh::model
