// Every kind of match that a VirtualService knows, and which of them apply to whom.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/translate/translate_testing.h"

namespace graymesh::translate::testing {
namespace {

using ::testing::ElementsAre;

constexpr const char* web = "web.fe-pre.svc.cluster.local:8080";
constexpr const char* hit = "outbound|8080|hit|web.fe-pre.svc.cluster.local";
constexpr const char* rest = "/* => outbound|8080||web.fe-pre.svc.cluster.local";

// A mesh with one match that leads to `hit`, and a route for everything else.
Mesh matching(const std::string& match) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080", "http-admin 9090"});
  mesh.apply(
      virtual_service("fe-pre/web", "hosts: [web]\nhttp:\n- match: [" + match +
                                        "]\n  route: [{destination: {host: web, subset: hit}}]\n"
                                        "- route: [{destination: {host: web}}]"));
  return mesh;
}

// How the route for `match` begins.
std::string matched(const std::string& match) {
  const std::string line = matching(match).routes("8080").of(web).front();
  const auto arrow = line.find(" => ");
  EXPECT_EQ(line.substr(arrow + 4), hit);
  return line.substr(0, arrow);
}

TEST(RouteMatch, UriIsExactPrefixOrRegex) {
  EXPECT_EQ(matched("{uri: {exact: /cart}}"), "=/cart");
  EXPECT_EQ(matched("{uri: {prefix: /cart}}"), "/cart*");
  EXPECT_EQ(matched("{uri: {regex: '/cart/[0-9]+'}}"), "~/cart/[0-9]+");
}

TEST(RouteMatch, UriMayIgnoreCase) {
  EXPECT_EQ(matched("{uri: {prefix: /cart}, ignoreUriCase: true}"), "/cart* (any case)");
}

TEST(RouteMatch, HeadersAreExactPrefixRegexOrPresent) {
  EXPECT_EQ(matched("{headers: {canarytag: {exact: feature-a}}}"), "/* canarytag=feature-a");
  EXPECT_EQ(matched("{headers: {canarytag: {prefix: feature-}}}"), "/* canarytag=feature-*");
  EXPECT_EQ(matched("{headers: {canarytag: {regex: 'feature-[ab]'}}}"),
            "/* canarytag~feature-[ab]");
  EXPECT_EQ(matched("{headers: {canarytag: {}}}"), "/* canarytag");
}

TEST(RouteMatch, HeadersOfOneMatchMustAllHoldInOrderOfTheirNames) {
  EXPECT_EQ(
      matched("{headers: {zone: {exact: z1}, canarytag: {exact: a}}, withoutHeaders: {debug: {}}}"),
      "/* canarytag=a !debug zone=z1");
}

TEST(RouteMatch, WithoutHeadersTakesARequestThatLacksTheHeader) {
  const auto mesh = matching("{withoutHeaders: {canarytag: {exact: feature-a}}}");

  EXPECT_EQ(
      json(mesh.routes("8080").route(web).match().headers(0)),
      R"({"name":"canarytag","invert_match":true,"string_match":{"exact":"feature-a"},"treat_missing_header_as_empty":true})");
}

TEST(RouteMatch, MethodAuthorityAndSchemeAreMatchedInThisOrder) {
  EXPECT_EQ(matched("{scheme: {exact: https}, authority: {prefix: web.}, method: {exact: POST}}"),
            "/* :method=POST :authority=web.* :scheme=https");
}

TEST(RouteMatch, QueryParametersAreMatchedInOrderOfTheirNames) {
  EXPECT_EQ(matched("{queryParams: {version: {exact: v2}, lane: {regex: 'a.*'}, debug: {}}}"),
            "/* ?debug ?lane~a.* ?version=v2");
}

TEST(RouteMatch, SeveralMatchesOfOneRouteAreAlternatives) {
  EXPECT_THAT(
      matching("{headers: {canarytag: {exact: a}}}, {uri: {prefix: /a}}").routes("8080").of(web),
      ElementsAre(std::string("/* canarytag=a => ") + hit, std::string("/a* => ") + hit, rest));
}

TEST(RouteMatch, NamesOfRouteAndMatchAreJoined) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"});
  mesh.apply(virtual_service("fe-pre/web", R"(hosts: [web]
http:
- name: canary
  match: [{name: by-path, uri: {prefix: /a}, statPrefix: canary_by_path}]
  route: [{destination: {host: web}}])"));
  const auto routes = mesh.routes("8080");

  EXPECT_EQ(routes.route(web).name(), "canary.by-path");
  EXPECT_EQ(routes.route(web).stat_prefix(), "canary_by_path");
}

TEST(RouteMatch, PortAppliesToRequestsToThatPortOnly) {
  const auto mesh = matching("{port: 9090}");

  EXPECT_THAT(mesh.routes("8080").of(web), ElementsAre(rest));
  EXPECT_THAT(mesh.routes("9090").of("web.fe-pre.svc.cluster.local:9090"),
              ElementsAre("/* => outbound|9090|hit|web.fe-pre.svc.cluster.local"));
}

TEST(RouteMatch, SourceNamespaceAppliesToItsProxiesOnly) {
  const auto mesh = matching("{sourceNamespace: fe-online}");

  EXPECT_THAT(mesh.routes("8080", {.namespace_ = "fe-pre"}).of(web), ElementsAre(rest));
  EXPECT_THAT(mesh.routes("8080", {.namespace_ = "fe-online"}).of(web),
              ElementsAre(std::string("/* => ") + hit));
}

TEST(RouteMatch, SourceLabelsApplyToProxiesThatHaveThemAll) {
  const auto mesh = matching("{sourceLabels: {canarytag: a, app: cart}}");

  EXPECT_THAT(mesh.routes("8080", {.labels = {{"canarytag", "a"}}}).of(web), ElementsAre(rest));
  EXPECT_THAT(
      mesh.routes("8080", {.labels = {{"canarytag", "a"}, {"app", "cart"}, {"x", "y"}}}).of(web),
      ElementsAre(std::string("/* => ") + hit));
}

TEST(RouteMatch, GatewaysOfAMatchThatLackMeshKeepSidecarsOut) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"});
  mesh.apply(virtual_service("fe-pre/web", R"(hosts: [web]
gateways: [mesh, public]
http:
- match: [{gateways: [public]}]
  route: [{destination: {host: web, subset: hit}}]
- match: [{gateways: [mesh], uri: {prefix: /in}}]
  route: [{destination: {host: web, subset: hit}}]
- route: [{destination: {host: web}}])"));

  EXPECT_THAT(mesh.routes("8080").of(web), ElementsAre(std::string("/in* => ") + hit, rest));
}

TEST(RouteOrder, NothingIsEmittedBehindARouteThatTakesEverything) {
  EXPECT_THAT(matching("{}").routes("8080").of(web), ElementsAre(std::string("/* => ") + hit));
  EXPECT_THAT(matching("{uri: {prefix: /}}, {uri: {prefix: /late}}").routes("8080").of(web),
              ElementsAre(std::string("/* => ") + hit));
  EXPECT_THAT(matching("{uri: {regex: '.*'}}").routes("8080").of(web),
              ElementsAre(std::string("~.* => ") + hit));
}

TEST(RouteOrder, AConditionBesideTheWholePathDoesNotTakeEverything) {
  EXPECT_THAT(matching("{uri: {prefix: /}, method: {exact: GET}}").routes("8080").of(web),
              ElementsAre(std::string("/* :method=GET => ") + hit, rest));
}

TEST(RouteOrder, RoutesAreTriedAsWritten) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"});
  mesh.apply(virtual_service("fe-pre/web", R"(hosts: [web]
http:
- {name: z, match: [{uri: {prefix: /a}}], route: [{destination: {host: web}}]}
- {name: a, match: [{uri: {prefix: /a/b}}], route: [{destination: {host: web}}]})"));

  EXPECT_THAT(mesh.routes("8080").of(web),
              ElementsAre("z: /a* => outbound|8080||web.fe-pre.svc.cluster.local",
                          "a: /a/b* => outbound|8080||web.fe-pre.svc.cluster.local"));
}

TEST(RouteOrder, WhereNoRouteAppliesTheServiceHasItsDefaultRoute) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"});
  mesh.apply(virtual_service("fe-pre/web", R"(hosts: [web]
http:
- match: [{sourceNamespace: nobody}]
  route: [{destination: {host: web, subset: hit}}])"));

  EXPECT_THAT(mesh.routes("8080").of(web),
              ElementsAre("default: /* => outbound|8080||web.fe-pre.svc.cluster.local"));
}

}  // namespace
}  // namespace graymesh::translate::testing
