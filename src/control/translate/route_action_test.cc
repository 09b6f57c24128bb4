// Where requests go, and what happens to them on the way: weights, redirects, rewrites, direct
// responses, mirrors, timeouts, header operations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/translate/translate_testing.h"
#include "envoy/config/core/v3/base.pb.h"

namespace graymesh::translate::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* web = "web.fe-pre.svc.cluster.local:8080";

// The one route of a VirtualService for web whose http entry has these lines.
envoy::config::route::v3::Route route_of(const std::string& http) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"});
  mesh.service("fe-pre/pay", {"http 8080", "grpc 9090"});
  std::string spec = "hosts: [web]\nhttp:\n- " + http;
  mesh.apply(virtual_service("fe-pre/web", spec));
  return mesh.routes("8080").route(web);
}

const std::string to_web = "route: [{destination: {host: web}}]";

TEST(RouteWeights, AreGivenAsWritten) {
  EXPECT_EQ(describe(route_of("route: [{destination: {host: web, subset: a}, weight: 90}, "
                              "{destination: {host: web, subset: b}, weight: 10}]")),
            "/* => 90 outbound|8080|a|web.fe-pre.svc.cluster.local, 10 "
            "outbound|8080|b|web.fe-pre.svc.cluster.local");
}

TEST(RouteWeights, ADestinationWithoutWeightAmongOthersGetsNothing) {
  EXPECT_EQ(describe(route_of("route: [{destination: {host: web, subset: a}, weight: 100}, "
                              "{destination: {host: web, subset: b}, weight: 0}]")),
            "/* => 100 outbound|8080|a|web.fe-pre.svc.cluster.local");
}

TEST(RouteWeights, ASingleDestinationTakesAllWhateverItsWeight) {
  EXPECT_EQ(describe(route_of("route: [{destination: {host: web, subset: a}, weight: 5}]")),
            "/* => outbound|8080|a|web.fe-pre.svc.cluster.local");
}

TEST(RouteDestination, MayBeAnotherServiceOrPort) {
  EXPECT_EQ(describe(route_of("route: [{destination: {host: pay, port: {number: 9090}}}]")),
            "/* => outbound|9090||pay.fe-pre.svc.cluster.local");
  EXPECT_EQ(describe(route_of("route: [{destination: {host: pay.fe-online.svc.cluster.local}}]")),
            "/* => outbound|8080||pay.fe-online.svc.cluster.local");
}

TEST(RouteTimeout, IsOffUnlessGiven) {
  EXPECT_EQ(json(route_of(to_web).route().timeout()), R"("0s")");
  EXPECT_EQ(json(route_of("timeout: 1.5s\n  " + to_web).route().timeout()), R"("1.500s")");
}

TEST(RouteTimeout, StandsAloneBecauseEnvoyIgnoresItBesideAMaximalStreamDuration) {
  EXPECT_FALSE(route_of("timeout: 5s\n  " + to_web).route().has_max_stream_duration());
}

TEST(RouteTimeout, IsAGrpcClientsOwnWhereNoneIsGiven) {
  EXPECT_EQ(json(route_of(to_web).route().max_stream_duration()),
            R"({"grpc_timeout_header_max":"0s"})");
}

TEST(RouteRewrite, ReplacesPathAndAuthority) {
  const auto route = route_of(
      "match: [{uri: {prefix: /api}}]\n  rewrite: {uri: /v2, authority: v2.example.com}\n  " +
      to_web);

  EXPECT_EQ(route.route().prefix_rewrite(), "/v2");
  EXPECT_EQ(route.route().host_rewrite_literal(), "v2.example.com");
}

TEST(RouteRewrite, MayBeARegularExpression) {
  EXPECT_EQ(
      json(route_of("rewrite: {uriRegexRewrite: {match: '^/a/(.*)$', rewrite: '/b/\\1'}}\n  " +
                    to_web)
               .route()
               .regex_rewrite()),
      R"({"pattern":{"regex":"^/a/(.*)$"},"substitution":"/b/\\1"})");
}

TEST(RouteRedirect, IsPermanentUnlessACodeIsGiven) {
  EXPECT_EQ(json(route_of("redirect: {uri: /new, authority: new.example.com}").redirect()),
            R"({"host_redirect":"new.example.com","path_redirect":"/new"})");
  EXPECT_EQ(json(route_of("redirect: {uri: /new, redirectCode: 307}").redirect()),
            R"({"path_redirect":"/new","response_code":"TEMPORARY_REDIRECT"})");
}

TEST(RouteRedirect, NamesAPortUnlessItIsTheSchemesOwn) {
  EXPECT_EQ(json(route_of("redirect: {scheme: https, port: 8443}").redirect()),
            R"({"path_redirect":"","scheme_redirect":"https","port_redirect":8443})");
  EXPECT_EQ(json(route_of("redirect: {scheme: https, port: 443}").redirect()),
            R"({"path_redirect":"","scheme_redirect":"https"})");
  EXPECT_EQ(json(route_of("redirect: {uri: /, derivePort: FROM_REQUEST_PORT}").redirect()),
            R"({"path_redirect":"/","port_redirect":8080})");
}

TEST(RouteDirectResponse, IsAnsweredByTheProxy) {
  EXPECT_EQ(
      json(route_of("directResponse: {status: 503, body: {string: 'closed'}}").direct_response()),
      R"({"status":503,"body":{"inline_string":"closed"}})");
  EXPECT_EQ(json(route_of("directResponse: {status: 204}").direct_response()), R"({"status":204})");
}

TEST(RouteMirror, CopiesAShareOfTheRequests) {
  EXPECT_EQ(
      json(route_of("mirror: {host: pay}\n  mirrorPercentage: {value: 12.5}\n  " + to_web)
               .route()
               .request_mirror_policies(0)),
      R"({"cluster":"outbound|8080||pay.fe-pre.svc.cluster.local","runtime_fraction":{"default_value":{"numerator":125000,"denominator":"MILLION"}},"trace_sampled":false,"disable_shadow_host_suffix_append":true})");
}

TEST(RouteMirror, CopiesAllUnlessAShareIsGiven) {
  EXPECT_EQ(json(route_of("mirror: {host: pay, subset: b}\n  " + to_web)
                     .route()
                     .request_mirror_policies(0)
                     .runtime_fraction()),
            R"({"default_value":{"numerator":100}})");
}

TEST(RouteMirror, OfNothingIsLeftOut) {
  EXPECT_THAT(route_of("mirror: {host: pay}\n  mirrorPercentage: {value: 0}\n  " + to_web)
                  .route()
                  .request_mirror_policies(),
              IsEmpty());
}

TEST(RouteMirror, MayHaveSeveralDestinations) {
  const auto route = route_of(
      "mirrors: [{destination: {host: pay}}, {destination: {host: web, subset: b}, percentage: "
      "{value: 1}}]\n  " +
      to_web);

  ASSERT_EQ(route.route().request_mirror_policies_size(), 2);
  EXPECT_EQ(route.route().request_mirror_policies(1).cluster(),
            "outbound|8080|b|web.fe-pre.svc.cluster.local");
}

std::vector<std::string> operations(
    const google::protobuf::RepeatedPtrField<envoy::config::core::v3::HeaderValueOption>& options) {
  std::vector<std::string> out;
  for (const auto& option : options) {
    const bool set = option.append_action() ==
                     envoy::config::core::v3::HeaderValueOption::OVERWRITE_IF_EXISTS_OR_ADD;
    out.push_back((set ? "set " : "add ") + option.header().key() + "=" + option.header().value());
  }
  return out;
}

TEST(RouteHeaders, AreSetThenAddedInOrderOfTheirNamesAndRemoved) {
  const auto route = route_of(R"(headers:
    request: {set: {x-b: "1", x-a: "2"}, add: {x-c: "3"}, remove: [x-d]}
    response: {set: {x-e: "4"}, remove: [x-f]}
  )" + to_web);

  EXPECT_THAT(operations(route.request_headers_to_add()),
              ElementsAre("set x-a=2", "set x-b=1", "add x-c=3"));
  EXPECT_THAT(route.request_headers_to_remove(), ElementsAre("x-d"));
  EXPECT_THAT(operations(route.response_headers_to_add()), ElementsAre("set x-e=4"));
  EXPECT_THAT(route.response_headers_to_remove(), ElementsAre("x-f"));
}

TEST(RouteHeaders, OfTheSingleDestinationComeAfterTheRoutes) {
  const auto route = route_of(
      "headers: {request: {set: {x-z: route}}}\n  route: [{destination: {host: web}, headers: "
      "{request: {set: {x-a: destination}}}}]");

  EXPECT_THAT(operations(route.request_headers_to_add()),
              ElementsAre("set x-z=route", "set x-a=destination"));
}

TEST(RouteHeaders, OfOneOfSeveralDestinationsStayWithIt) {
  const auto route = route_of(
      "route: [{destination: {host: web, subset: a}, weight: 50, headers: {request: {set: {lane: "
      "a}}, response: {add: {seen: a}}}}, {destination: {host: web}, weight: 50}]");
  const auto& clusters = route.route().weighted_clusters().clusters();

  EXPECT_THAT(route.request_headers_to_add(), IsEmpty());
  EXPECT_THAT(operations(clusters[0].request_headers_to_add()), ElementsAre("set lane=a"));
  EXPECT_THAT(operations(clusters[0].response_headers_to_add()), ElementsAre("add seen=a"));
  EXPECT_THAT(clusters[1].request_headers_to_add(), IsEmpty());
}

TEST(RouteHeaders, SettingTheAuthorityRewritesTheHost) {
  const auto route =
      route_of("headers: {request: {set: {':authority': v2.example.com}}}\n  " + to_web);

  EXPECT_EQ(route.route().host_rewrite_literal(), "v2.example.com");
  EXPECT_THAT(route.request_headers_to_add(), IsEmpty());
}

TEST(RouteTrace, NamesTheOperationByDestinationAndPath) {
  EXPECT_EQ(route_of("match: [{uri: {prefix: /cart}}]\n  " + to_web).decorator().operation(),
            "web.fe-pre.svc.cluster.local:8080/cart*");
  EXPECT_EQ(
      route_of("match: [{uri: {exact: /cart}}]\n  redirect: {uri: /new}").decorator().operation(),
      "web:8080/cart");
}

}  // namespace
}  // namespace graymesh::translate::testing
