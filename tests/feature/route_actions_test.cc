// What a route does with a request: weights, rewrite, redirect, direct response, timeout, retries,
// faults, mirrors, CORS, header operations.
#include <gtest/gtest.h>

#include "mesh.h"

namespace graymesh::feature {
namespace {

const std::string shop = app("cart", {"baseline", "feature-a"}) +
                         subsets("cart", {"baseline", "feature-a"}) + app("audit");

// The one Envoy route of a VirtualService cart whose only http route has these fields.
Json route_with(const std::string& fields) {
  const Mesh mesh(shop + R"(---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: fe-pre}
spec:
  hosts: [cart]
  http:
  - name: only
)" + fields);
  const Json route = mesh.sidecar("web").route("http://cart:8080/api/items");
  EXPECT_TRUE(route.is_object());
  return route;
}

// A FractionalPercent in percent.
double share(const Json& fraction) {
  const std::string of = fraction.value("denominator", "HUNDRED");
  return fraction.value("numerator", 0.0) / (of == "MILLION"        ? 10'000.0
                                             : of == "TEN_THOUSAND" ? 100.0
                                                                    : 1.0);
}

const std::string to_baseline = "    route: [{destination: {host: cart, subset: baseline}}]\n";

TEST(RouteActions, WeightsAreSharesOfTheirSum) {
  const Json route = route_with(R"(    route:
    - {destination: {host: cart, subset: baseline}, weight: 90}
    - {destination: {host: cart, subset: feature-a}, weight: 10}
    - {destination: {host: audit}, weight: 0}
)");
  const Json clusters = route["route"]["weighted_clusters"]["clusters"];
  ASSERT_EQ(clusters.size(), 2u) << "a weight of 0 is left out";
  EXPECT_EQ(clusters[0]["name"], outbound(8080, "baseline", "cart"));
  EXPECT_EQ(clusters[0]["weight"], 90);
  EXPECT_EQ(clusters[1]["weight"], 10);
}

TEST(RouteActions, WhatEnvoyWouldRefuseIsRefusedAndSaysWhy) {
  const std::map<std::string, std::string> rules = {
      {"    headers: {request: {set: {x: '%LANE%'}}}\n" + to_baseline, "known command"},
      {"    rewrite: {uri: \"/a\\nb\"}\n" + to_baseline, "line break"},
      {"    match: [{queryParams: {'': {exact: a}}}]\n" + to_baseline, "parameter's name"},
      {"    redirect: {uri: /a, redirectCode: 304}\n", "301, 302, 303, 307 or 308"}};
  for (const auto& [fields, rule] : rules) {
    const Mesh mesh(shop +
                    "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"
                    "metadata: {name: cart, namespace: fe-pre}\nspec:\n  hosts: [cart]\n"
                    "  http:\n  - name: only\n" +
                    fields);
    ASSERT_EQ(mesh.refused().size(), 1u) << fields;
    EXPECT_TRUE(mesh.mentions(rule)) << mesh.refused().front();
  }
}

TEST(RouteActions, ALoneDestinationTakesEverythingWhateverItsWeight) {
  const Json route =
      route_with("    route: [{destination: {host: cart, subset: baseline}, weight: 5}]\n");
  EXPECT_EQ(route["route"]["cluster"], outbound(8080, "baseline", "cart"));
}

TEST(RouteActions, ADestinationPortIsAnotherPortOfTheService) {
  const Mesh mesh(app("cart") + app("pay", {"baseline"}, "fe-pre", 9000) + R"(---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: fe-pre}
spec:
  hosts: [cart]
  http: [{route: [{destination: {host: pay, port: {number: 9000}}}]}]
)");
  EXPECT_EQ(mesh.sidecar("web").to("http://cart:8080/"), outbound(9000, "", "pay"));
}

TEST(RouteActions, ARewriteOfThePathReplacesWhatThePrefixMatched) {
  const Json route = route_with(
      "    match: [{uri: {prefix: /api}}]\n    rewrite: {uri: /v2, authority: other.example}\n" +
      to_baseline);
  EXPECT_EQ(route["route"]["prefix_rewrite"], "/v2");
  EXPECT_EQ(route["route"]["host_rewrite_literal"], "other.example");
}

TEST(RouteActions, ARewriteByExpressionKeepsGroups) {
  const Json route = route_with(
      "    rewrite: {uriRegexRewrite: {match: '^/api/(.*)$', rewrite: '/v2/\\1'}}\n" + to_baseline);
  EXPECT_EQ(route["route"]["regex_rewrite"]["pattern"]["regex"], "^/api/(.*)$");
  EXPECT_EQ(route["route"]["regex_rewrite"]["substitution"], "/v2/\\1");
}

TEST(RouteActions, ARedirectAnswersWithoutAskingTheService) {
  const Json route = route_with(
      "    redirect: {uri: /new, authority: shop.example, redirectCode: 308, scheme: https, port: "
      "8443}\n");
  const Json redirect = route["redirect"];
  EXPECT_EQ(redirect["path_redirect"], "/new");
  EXPECT_EQ(redirect["host_redirect"], "shop.example");
  EXPECT_EQ(redirect["response_code"], "PERMANENT_REDIRECT");
  EXPECT_EQ(redirect["scheme_redirect"], "https");
  EXPECT_EQ(redirect["port_redirect"], 8443);
}

TEST(RouteActions, ARedirectIs301UnlessItSaysOtherwise) {
  const Json redirect = route_with("    redirect: {authority: shop.example}\n")["redirect"];
  EXPECT_FALSE(redirect.contains("response_code")) << "MOVED_PERMANENTLY is Envoy's default";
}

TEST(RouteActions, ADirectResponseHasAStatusAndABody) {
  const Json direct =
      route_with("    directResponse: {status: 503, body: {string: closed for stocktaking}}\n")
          ["direct_response"];
  EXPECT_EQ(direct["status"], 503);
  EXPECT_EQ(direct["body"]["inline_string"], "closed for stocktaking");
}

TEST(RouteActions, TimeoutsAreOffUnlessGiven) {
  EXPECT_EQ(route_with(to_baseline)["route"]["timeout"], "0s");
  EXPECT_EQ(route_with("    timeout: 1.5s\n" + to_baseline)["route"]["timeout"], "1.500s");
}

TEST(RouteActions, RetriesAreIstiosDefaultUnlessGiven) {
  const Json retry = route_with(to_baseline)["route"]["retry_policy"];
  EXPECT_EQ(retry["retry_on"],
            "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes");
  EXPECT_EQ(retry["num_retries"], 2);
  EXPECT_EQ(retry["retry_host_predicate"][0]["name"], "envoy.retry_host_predicates.previous_hosts");
}

TEST(RouteActions, RetriesAsWritten) {
  const Json retry = route_with(
      "    retries: {attempts: 4, perTryTimeout: 250ms, retryOn: 'gateway-error,503,reset'}\n" +
      to_baseline)["route"]["retry_policy"];
  EXPECT_EQ(retry["num_retries"], 4);
  EXPECT_EQ(retry["per_try_timeout"], "0.250s");
  EXPECT_EQ(retry["retry_on"], "gateway-error,reset,retriable-status-codes");
  EXPECT_EQ(retry["retriable_status_codes"], Json::array({503}));
}

TEST(RouteActions, NoAttemptsAreNoRetries) {
  EXPECT_FALSE(
      route_with("    retries: {attempts: 0}\n" + to_baseline)["route"].contains("retry_policy"));
}

TEST(RouteActions, FaultsAreShareAndKind) {
  const Json fault = route_with(
      "    fault:\n      delay: {fixedDelay: 2s, percentage: {value: 12.5}}\n"
      "      abort: {httpStatus: 418, percentage: {value: 0.1}}\n" +
      to_baseline)["typed_per_filter_config"]["envoy.filters.http.fault"];
  EXPECT_EQ(fault["delay"]["fixed_delay"], "2s");
  EXPECT_DOUBLE_EQ(share(fault["delay"]["percentage"]), 12.5);
  EXPECT_EQ(fault["abort"]["http_status"], 418);
  EXPECT_DOUBLE_EQ(share(fault["abort"]["percentage"]), 0.1);
}

TEST(RouteActions, EverySidecarHasTheFiltersThatFaultsAndCorsNeed) {
  const Json listener = Mesh(shop).sidecar("web").listener("0.0.0.0_8080");
  ASSERT_TRUE(listener.is_object());
  for (const char* name :
       {"envoy.filters.http.fault", "envoy.filters.http.cors", "envoy.filters.http.router"}) {
    EXPECT_TRUE(http_filter(listener, name).is_object()) << name;
  }
}

TEST(RouteActions, AMirrorGetsACopyOfAShareOfTheRequests) {
  const Json mirrors = route_with(
      to_baseline +
      "    mirror: {host: audit}\n    mirrorPercentage: {value: 25}\n")["route"]
                                                                       ["request_mirror_policies"];
  ASSERT_EQ(mirrors.size(), 1u);
  EXPECT_EQ(mirrors[0]["cluster"], outbound(8080, "", "audit"));
  EXPECT_DOUBLE_EQ(share(mirrors[0]["runtime_fraction"]["default_value"]), 25);
}

TEST(RouteActions, SeveralMirrorsEachHaveTheirShare) {
  const Json mirrors =
      route_with(to_baseline +
                 "    mirrors:\n    - {destination: {host: audit}}\n"
                 "    - {destination: {host: cart, subset: feature-a}, percentage: {value: 1}}\n")
          ["route"]["request_mirror_policies"];
  ASSERT_EQ(mirrors.size(), 2u);
  EXPECT_DOUBLE_EQ(share(mirrors[0]["runtime_fraction"]["default_value"]), 100);
  EXPECT_DOUBLE_EQ(share(mirrors[1]["runtime_fraction"]["default_value"]), 1);
  EXPECT_EQ(mirrors[1]["cluster"], outbound(8080, "feature-a", "cart"));
}

TEST(RouteActions, CorsSaysWhoMayAskWhat) {
  const Json cors = route_with(
      "    corsPolicy:\n      allowOrigins: [{exact: https://shop.example}, {regex: "
      "'https://.*[.]lab'}]\n"
      "      allowMethods: [GET, POST]\n      allowHeaders: [canarytag]\n"
      "      exposeHeaders: [x-served-by]\n      maxAge: 24h\n      allowCredentials: true\n" +
      to_baseline)["typed_per_filter_config"]["envoy.filters.http.cors"];
  EXPECT_EQ(cors["allow_origin_string_match"][0]["exact"], "https://shop.example");
  EXPECT_EQ(cors["allow_origin_string_match"][1]["safe_regex"]["regex"], "https://.*[.]lab");
  EXPECT_EQ(cors["allow_methods"], "GET,POST");
  EXPECT_EQ(cors["allow_headers"], "canarytag");
  EXPECT_EQ(cors["expose_headers"], "x-served-by");
  EXPECT_EQ(cors["max_age"], "86400");
  EXPECT_EQ(cors["allow_credentials"], true);
}

TEST(RouteActions, HeadersAreSetAddedAndRemovedBothWays) {
  const Json route = route_with(
      "    headers:\n      request: {set: {x-lane: a}, add: {x-via: mesh}, remove: [x-debug]}\n"
      "      response: {set: {x-served-by: cart}, remove: [server]}\n" +
      to_baseline);
  const Json added = route["request_headers_to_add"];
  ASSERT_EQ(added.size(), 2u);
  EXPECT_EQ(added[0]["header"]["key"], "x-lane");
  EXPECT_EQ(added[0]["append_action"], "OVERWRITE_IF_EXISTS_OR_ADD");
  EXPECT_EQ(added[1]["header"]["value"], "mesh");
  EXPECT_FALSE(added[1].contains("append_action")) << "APPEND_IF_EXISTS_OR_ADD is the default";
  EXPECT_EQ(route["request_headers_to_remove"], Json::array({"x-debug"}));
  EXPECT_EQ(route["response_headers_to_add"][0]["header"]["value"], "cart");
  EXPECT_EQ(route["response_headers_to_remove"], Json::array({"server"}));
}

TEST(RouteActions, HeadersOfADestinationStayWithIt) {
  const Json clusters = route_with(R"(    route:
    - {destination: {host: cart, subset: baseline}, weight: 50}
    - destination: {host: cart, subset: feature-a}
      weight: 50
      headers: {request: {set: {x-gray: 'yes'}}}
)")["route"]["weighted_clusters"]["clusters"];
  EXPECT_FALSE(clusters[0].contains("request_headers_to_add"));
  EXPECT_EQ(clusters[1]["request_headers_to_add"][0]["header"]["key"], "x-gray");
}

TEST(RouteActions, AnAuthorityAmongTheHeadersIsARewriteOfTheHost) {
  const Json route =
      route_with("    headers: {request: {set: {':authority': other.example}}}\n" + to_baseline);
  EXPECT_EQ(route["route"]["host_rewrite_literal"], "other.example");
  EXPECT_FALSE(route.contains("request_headers_to_add"));
}

TEST(RouteActions, AVirtualServiceWithoutRouteForAPortLeavesTheServiceAsItIs) {
  const Mesh mesh(shop + R"(---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: fe-pre}
spec:
  hosts: [cart]
  http:
  - match: [{port: 9999}]
    route: [{destination: {host: audit}}]
)");
  EXPECT_EQ(mesh.sidecar("web").to("http://cart:8080/"), outbound(8080, "", "cart"));
}

}  // namespace
}  // namespace graymesh::feature
