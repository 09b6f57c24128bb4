// What protects and tries routes: retries, faults, CORS, and what binds requests to endpoints.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/translate/translate_testing.h"

namespace graymesh::translate::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* web = "web.fe-pre.svc.cluster.local:8080";
constexpr const char* istio_retries =
    R"({"retry_on":"connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes","num_retries":2,)"
    R"("retry_host_predicate":[{"name":"envoy.retry_host_predicates.previous_hosts",)"
    R"("typed_config":{"@type":"type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"}}],)"
    R"("host_selection_retry_max_attempts":"5"})";

Mesh shop() {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"});
  mesh.service("fe-pre/pay", {"http 8080"});
  return mesh;
}

Mesh shop(const std::string& http) {
  Mesh mesh = shop();
  mesh.apply(virtual_service(
      "fe-pre/web", "hosts: [web]\nhttp:\n- " + http + "\n  route: [{destination: {host: web}}]"));
  return mesh;
}

std::string retries(const Mesh& mesh) {
  const auto routes = mesh.routes("8080");
  return routes.route(web).route().has_retry_policy()
             ? json(routes.route(web).route().retry_policy())
             : "";
}

TEST(RouteRetries, AreIstiosUnlessGiven) {
  EXPECT_EQ(retries(shop()), istio_retries);
  EXPECT_EQ(retries(shop("name: r")), istio_retries);
}

TEST(RouteRetries, CanBeSwitchedOff) { EXPECT_EQ(retries(shop("retries: {attempts: 0}")), ""); }

TEST(RouteRetries, TakeTheMeshsPolicyUnlessGiven) {
  Mesh mesh = shop();
  mesh.config("defaultHttpRetryPolicy: {attempts: 7, retryOn: 5xx}");

  EXPECT_THAT(retries(mesh), HasSubstr(R"({"retry_on":"5xx","num_retries":7,)"));
}

TEST(RouteRetries, SayHowOftenAndHowLong) {
  EXPECT_THAT(retries(shop("retries: {attempts: 3, perTryTimeout: 2s, backoff: 50ms}")),
              AllOf(HasSubstr(R"("num_retries":3,"per_try_timeout":"2s")"),
                    HasSubstr(R"("retry_back_off":{"base_interval":"0.050s"})")));
}

TEST(RouteRetries, KnowStatusCodesAmongTheConditions) {
  EXPECT_THAT(retries(shop("retries: {attempts: 1, retryOn: 'reset,503,418'}")),
              AllOf(HasSubstr(R"("retry_on":"reset,retriable-status-codes")"),
                    HasSubstr(R"("retriable_status_codes":[503,418])")));
}

TEST(RouteRetries, MayGoToTheSameHostOrToOtherLocalities) {
  EXPECT_THAT(retries(shop("retries: {attempts: 1, retryIgnorePreviousHosts: false}")),
              Not(HasSubstr("previous_hosts")));
  EXPECT_THAT(
      retries(shop("retries: {attempts: 1, retryRemoteLocalities: true}")),
      HasSubstr(R"("retry_priority":{"name":"envoy.retry_priorities.previous_priorities")"));
}

std::string filters(const std::string& http) {
  const auto routes = shop(http).routes("8080");
  std::string out;
  for (const auto& name :
       {"envoy.filters.http.cors", "envoy.filters.http.fault", "envoy.filters.http.lua"}) {
    const auto& all = routes.route(web).typed_per_filter_config();
    if (const auto it = all.find(name); it != all.end())
      out += std::string(name) + " " + json(it->second);
  }
  return out;
}

TEST(RouteFault, DelaysAShareOfTheRequests) {
  EXPECT_EQ(
      filters("fault: {delay: {fixedDelay: 3s, percentage: {value: 0.1}}}"),
      R"(envoy.filters.http.fault {"@type":"type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",)"
      R"("delay":{"fixed_delay":"3s","percentage":{"numerator":1000,"denominator":"MILLION"}}})");
}

TEST(RouteFault, HitsNobodyWhereNoShareIsGiven) {
  const auto written = filters("fault: {delay: {fixedDelay: 3s}, abort: {httpStatus: 503}}");
  EXPECT_THAT(written, HasSubstr(R"("delay":{"fixed_delay":"3s","percentage":{}})"));
  EXPECT_THAT(written, HasSubstr(R"("abort":{"http_status":503,"percentage":{}})"));
}

TEST(RouteFault, AbortsWithAnHttpOrGrpcStatus) {
  EXPECT_THAT(filters("fault: {abort: {httpStatus: 503, percentage: {value: 50}}}"),
              HasSubstr(R"("abort":{"http_status":503,"percentage":{"numerator":50}})"));
  EXPECT_THAT(filters("fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: 50}}}"),
              HasSubstr(R"("abort":{"percentage":{"numerator":50},"grpc_status":14})"));
}

TEST(RouteCors, SaysWhoMayAsk) {
  EXPECT_EQ(
      filters("corsPolicy: {allowOrigins: [{exact: 'https://a.com'}, {regex: "
              "'https://.*[.]b[.]com'}], allowMethods: [GET, POST], allowHeaders: [x-a, x-b], "
              "exposeHeaders: [x-c], maxAge: 24h, allowCredentials: true}"),
      R"(envoy.filters.http.cors {"@type":"type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",)"
      R"("allow_origin_string_match":[{"exact":"https://a.com"},{"safe_regex":{"regex":"https://.*[.]b[.]com"}}],)"
      R"("allow_methods":"GET,POST","allow_headers":"x-a,x-b","expose_headers":"x-c","max_age":"86400","allow_credentials":true,)"
      R"("filter_enabled":{"default_value":{"numerator":100}},"forward_not_matching_preflights":true})");
}

TEST(RouteSite, HasItsRedirectsMendedWhereTheRouteAsksForIt) {
  EXPECT_EQ(filters("headers: {response: {set: {x-other: a}}}"), "");
  EXPECT_THAT(filters("headers: {response: {set: {x-graymesh-site: 'https://a b 80 - -'}}}"),
              HasSubstr(R"("name":"redirects")"));
}

// Hash policies come from the DestinationRule of the destination.
Mesh sticky(const std::string& policy) {
  Mesh mesh = shop("name: r");
  mesh.apply(destination_rule("fe-pre/web", "host: web\n" + policy));
  return mesh;
}

std::string hashes(const Mesh& mesh) {
  const auto routes = mesh.routes("8080");
  const auto& policies = routes.route(web).route().hash_policy();
  return policies.empty() ? "" : json(policies[0]);
}

TEST(RouteHash, IsByHeaderCookieAddressOrQueryParameter) {
  const std::string policy = "trafficPolicy: {loadBalancer: {consistentHash: ";
  EXPECT_EQ(hashes(sticky(policy + "{httpHeaderName: x-user}}}")),
            R"({"header":{"header_name":"x-user"}})");
  EXPECT_EQ(hashes(sticky(policy + "{httpCookie: {name: user, path: /, ttl: 60s}}}}")),
            R"({"cookie":{"name":"user","ttl":"60s","path":"/"}})");
  EXPECT_EQ(hashes(sticky(policy + "{useSourceIp: true}}}")),
            R"({"connection_properties":{"source_ip":true}})");
  EXPECT_EQ(hashes(sticky(policy + "{httpQueryParameterName: user}}}")),
            R"({"query_parameter":{"name":"user"}})");
}

TEST(RouteHash, OfASubsetGoesBeforeThatOfTheHost) {
  Mesh mesh = shop();
  mesh.apply(virtual_service(
      "fe-pre/web", "hosts: [web]\nhttp:\n- route: [{destination: {host: web, subset: a}}]"));
  mesh.apply(destination_rule("fe-pre/web", R"(host: web
trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-host}}}
subsets:
- {name: a, labels: {canarytag: a}, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-subset}}}})"));

  EXPECT_EQ(hashes(mesh), R"({"header":{"header_name":"x-subset"}})");
}

TEST(RouteHash, OfAPortCountsWhereTheDestinationNamesThePort) {
  Mesh mesh = sticky(
      "trafficPolicy: {portLevelSettings: [{port: {number: 8080}, loadBalancer: {consistentHash: "
      "{httpHeaderName: x-port}}}]}");
  EXPECT_EQ(hashes(mesh), "");

  mesh.apply(virtual_service(
      "fe-pre/web",
      "hosts: [web]\nhttp:\n- route: [{destination: {host: web, port: {number: 8080}}}]"));
  EXPECT_EQ(hashes(mesh), R"({"header":{"header_name":"x-port"}})");
}

TEST(RouteHash, HoldsForAServiceWithoutVirtualServiceToo) {
  Mesh mesh = shop();
  mesh.apply(destination_rule(
      "fe-pre/web",
      "host: web\ntrafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}"));

  EXPECT_EQ(hashes(mesh), R"({"header":{"header_name":"x-user"}})");
  EXPECT_EQ(retries(mesh), istio_retries);
}

TEST(RouteHash, LetsARetryGoToTheSameEndpoint) {
  EXPECT_THAT(
      retries(sticky("trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}")),
      Not(HasSubstr("previous_hosts")));
}

}  // namespace
}  // namespace graymesh::translate::testing
