// Envoy refuses a whole table for one route that it does not take. `model` refuses such routes
// where they are written; but whatever it lets through, no VirtualService may cost others their
// routes (tests/peer/routes_test.py asks Envoy itself).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/translate/translate_testing.h"
#include "envoy/config/core/v3/base.pb.h"

namespace graymesh::translate::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* web = "web.fe-pre.svc.cluster.local:8080";

// The routes of a VirtualService that need not hold to Istio's rules.
Routes routes_of(const model::HttpRoute& http) {
  model::Object object;
  object.meta.key = {.kind = model::Kind::virtual_service, .namespace_ = "fe-pre", .name = "web"};
  object.spec = model::VirtualService{
      .hosts = {"web"}, .gateways = {}, .http = {http}, .tls = {}, .tcp = {}, .export_to = {}};
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"});
  mesh.add(std::make_shared<const model::Object>(std::move(object)));
  return mesh.routes("8080");
}

model::HttpRoute to_web() {
  model::HttpRoute http;
  http.route.push_back(
      {.destination = {.host = "web", .subset = {}, .port = 0}, .weight = 0, .headers = {}});
  return http;
}

TEST(RouteNonsense, InHeaderCommandsCostsTheHeaderOnly) {
  auto http = to_web();
  http.headers.request.set = {
      {"x-bad", "%LANE%"}, {"x-good", "%REQ(x-lane)%"}, {"x-none", "%REQ()%"}};
  const auto routes = routes_of(http);

  ASSERT_EQ(routes.route(web).request_headers_to_add_size(), 1);
  EXPECT_EQ(routes.route(web).request_headers_to_add(0).header().key(), "x-good");
}

TEST(RouteNonsense, LineBreaksNeverReachAHeader) {
  auto http = to_web();
  http.headers.request.set = {{"x-a", "1\r\nx-b: 2"}, {"x\nc", "3"}};
  http.headers.response.remove = {"x\nd"};
  http.rewrite = model::Rewrite{.uri = "/a\nb", .authority = "a\nb", .uri_regex = {}};
  const auto route = routes_of(http).route(web);

  EXPECT_EQ(route.request_headers_to_add(0).header().key(), "xc");
  EXPECT_EQ(route.request_headers_to_add(1).header().value(), "1x-b: 2");
  EXPECT_EQ(route.route().prefix_rewrite(), "/ab");
  EXPECT_EQ(route.route().host_rewrite_literal(), "ab");
}

TEST(RouteNonsense, InARedirectIsAnsweredByItsStatusAlone) {
  model::HttpRoute http;
  http.redirect = model::Redirect{.uri = "/new",
                                  .prefix_rewrite = {},
                                  .authority = {},
                                  .scheme = {},
                                  .port = 0,
                                  .derive_port = {},
                                  .code = 304};

  EXPECT_THAT(routes_of(http).of(web), ElementsAre("/* => answer 304"));
}

TEST(RouteNonsense, WithoutAnyWeightIsAnsweredByAnError) {
  auto http = to_web();
  http.route.push_back(http.route.front());

  EXPECT_THAT(routes_of(http).of(web), ElementsAre("/* => answer 503"));
}

TEST(RouteNonsense, WithWeightsBeyondWhatEnvoyAddsUpKeepsTheirShares) {
  auto http = to_web();
  http.route.push_back(http.route.front());
  http.route[0].weight = 4'000'000'000u;
  http.route[1].weight = 2'000'000'000u;

  EXPECT_THAT(routes_of(http).of(web),
              ElementsAre("/* => 2000000000 outbound|8080||web.fe-pre.svc.cluster.local, "
                          "1000000000 outbound|8080||web.fe-pre.svc.cluster.local"));
}

TEST(RouteNonsense, InAMatchIsNotMatched) {
  auto http = to_web();
  http.match.emplace_back().query_params = {
      {"", {.kind = model::StringMatch::Kind::present, .value = {}}}};

  EXPECT_THAT(routes_of(http).of(web),
              ElementsAre("default: /* => outbound|8080||web.fe-pre.svc.cluster.local"));
}

TEST(RouteNonsense, EmptyPrefixesAskForPresence) {
  auto http = to_web();
  http.match.emplace_back().headers = {
      {"x", {.kind = model::StringMatch::Kind::prefix, .value = {}}}};

  EXPECT_THAT(routes_of(http).of(web),
              ElementsAre("/* x => outbound|8080||web.fe-pre.svc.cluster.local"));
}

TEST(RouteNonsense, InFaultsAndDirectResponsesIsHeldToEnvoysLimits) {
  auto http = to_web();
  http.fault =
      model::Fault{.delay = model::FaultDelay{.fixed = {}, .percent = 1},
                   .abort = model::FaultAbort{.http_status = 600, .grpc_status = {}, .percent = 1}};
  EXPECT_THAT(routes_of(http).route(web).typed_per_filter_config(), IsEmpty());

  model::HttpRoute direct;
  direct.direct_response = model::DirectResponse{.status = 900, .body = {}};
  EXPECT_THAT(routes_of(direct).of(web), ElementsAre("/* => answer 599"));
}

TEST(RouteNonsense, WithoutAnyActionIsNoRoute) {
  EXPECT_THAT(routes_of(model::HttpRoute{}).of(web),
              ElementsAre("default: /* => outbound|8080||web.fe-pre.svc.cluster.local"));
}

}  // namespace
}  // namespace graymesh::translate::testing
