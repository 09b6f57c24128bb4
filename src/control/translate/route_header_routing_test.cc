// The main promise: a request that carries a lane's header meets that lane's version.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/translate/translate_testing.h"

namespace graymesh::translate::testing {
namespace {

using ::testing::ElementsAre;

constexpr const char* web = "web.fe-pre.svc.cluster.local:8080";

Mesh shop() {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"});
  mesh.apply(destination_rule("fe-pre/web", R"(host: web
subsets:
- {name: normal, labels: {stage: normal}}
- {name: feature-a, labels: {stage: gray, canarytag: feature-a}}
- {name: feature-b, labels: {stage: gray, canarytag: feature-b}})"));
  mesh.apply(virtual_service("fe-pre/web", R"(hosts: [web]
http:
- name: feature-a
  match: [{headers: {canarytag: {exact: feature-a}}}]
  route: [{destination: {host: web, subset: feature-a}}]
- name: feature-b
  match: [{headers: {canarytag: {exact: feature-b}}}]
  route: [{destination: {host: web, subset: feature-b}}]
- name: baseline
  route: [{destination: {host: web, subset: normal}}])"));
  return mesh;
}

TEST(RouteByHeader, EachVersionHasItsRouteAndTheBaselineTakesTheRest) {
  EXPECT_THAT(shop().routes("8080").of(web),
              ElementsAre("feature-a: /* canarytag=feature-a => "
                          "outbound|8080|feature-a|web.fe-pre.svc.cluster.local",
                          "feature-b: /* canarytag=feature-b => "
                          "outbound|8080|feature-b|web.fe-pre.svc.cluster.local",
                          "baseline: /* => outbound|8080|normal|web.fe-pre.svc.cluster.local"));
}

TEST(RouteByHeader, HoldsForClientsOfOtherNamespacesToo) {
  const auto mesh = shop();

  EXPECT_EQ(mesh.routes("8080", {.namespace_ = "fe-online"}).of(web), mesh.routes("8080").of(web));
}

TEST(RouteByHeader, HoldsThroughTheExplicitProxy) {
  const auto mesh = shop();
  const auto routes = mesh.routes("http_proxy", {.captured = false, .http_proxy_port = 15001});

  EXPECT_EQ(routes.host_for("web:8080"), web);
  EXPECT_EQ(routes.of(web), mesh.routes("8080").of(web));
}

TEST(RouteByHeader, EachRouteNamesTheObjectItCameFrom) {
  const auto routes = shop().routes("8080");

  EXPECT_EQ(
      json(routes.route(web).metadata()),
      R"({"filter_metadata":{"istio":{"config":"/apis/networking.istio.io/v1/namespaces/fe-pre/virtual-service/web"}}})");
  EXPECT_THAT(routes.resource()->origins(), ElementsAre("VirtualService fe-pre/web"));
}

}  // namespace
}  // namespace graymesh::translate::testing
