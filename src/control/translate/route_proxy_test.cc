// The explicit HTTP proxy: one table for every port, in which a host and its port are one name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/translate/translate_testing.h"

namespace graymesh::translate::testing {
namespace {

using ::testing::ElementsAre;

Routes proxied(const Mesh& mesh) {
  return mesh.routes("http_proxy", {.captured = false, .http_proxy_port = 15001});
}

TEST(RouteProxy, DoesNotStripPorts) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"});

  EXPECT_FALSE(proxied(mesh).config().ignore_port_in_host_matching());
}

TEST(RouteProxy, NamesAServiceOnPort80WithAndWithoutPort) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 80"}, "clusterIP: 10.1.2.3");

  EXPECT_THAT(proxied(mesh).domains("web.fe-pre.svc.cluster.local:80"),
              ElementsAre("web.fe-pre.svc.cluster.local", "web.fe-pre.svc.cluster.local:80",
                          "web.fe-pre.svc.cluster.local.", "web.fe-pre.svc.cluster.local.:80",
                          "web", "web:80", "web.fe-pre.svc", "web.fe-pre.svc:80", "web.fe-pre",
                          "web.fe-pre:80", "10.1.2.3", "10.1.2.3:80"));
}

TEST(RouteProxy, NamesAServiceOnAnotherPortWithThePort) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"}, "clusterIP: 10.1.2.3");

  EXPECT_THAT(proxied(mesh).domains("web.fe-pre.svc.cluster.local:8080"),
              ElementsAre("web.fe-pre.svc.cluster.local:8080", "web.fe-pre.svc.cluster.local.:8080",
                          "web:8080", "web.fe-pre.svc:8080", "web.fe-pre:8080", "10.1.2.3:8080"));
}

TEST(RouteProxy, TellsThePortsOfAServiceApart) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 80", "http-admin 9090"});
  mesh.apply(virtual_service("fe-pre/v", R"(hosts: [web]
http:
- match: [{port: 9090}]
  route: [{destination: {host: web, subset: admin}}]
- route: [{destination: {host: web, subset: normal}}])"));
  const auto routes = proxied(mesh);

  EXPECT_EQ(routes.host_for("web"), "web.fe-pre.svc.cluster.local:80");
  EXPECT_EQ(routes.host_for("web:9090"), "web.fe-pre.svc.cluster.local:9090");
  EXPECT_THAT(routes.of("web.fe-pre.svc.cluster.local:80"),
              ElementsAre("/* => outbound|80|normal|web.fe-pre.svc.cluster.local"));
  EXPECT_THAT(routes.of("web.fe-pre.svc.cluster.local:9090"),
              ElementsAre("/* => outbound|9090|admin|web.fe-pre.svc.cluster.local"));
}

TEST(RouteProxy, KnowsHostsThatAreNoServicesOnPort80) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"});
  mesh.apply(virtual_service(
      "fe-pre/v", "hosts: [shop.example.com]\nhttp: [{route: [{destination: {host: web}}]}]"));
  const auto routes = proxied(mesh);

  EXPECT_THAT(routes.domains("shop.example.com:80"),
              ElementsAre("shop.example.com", "shop.example.com:80"));
  EXPECT_THAT(routes.of("shop.example.com:80"),
              ElementsAre("/* => outbound|8080||web.fe-pre.svc.cluster.local"));
}

TEST(RouteProxy, LeavesTcpPortsOut) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080", "tcp 7000"});

  EXPECT_THAT(proxied(mesh).hosts(), ElementsAre("web.fe-pre.svc.cluster.local:8080", "allow_any"));
}

TEST(RouteProxy, OfASidecarWithPortsOnlyKnowsNobody) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"});
  mesh.apply(
      sidecar("fe-pre/default",
              "egress:\n- port: {number: 8080, protocol: HTTP, name: http}\n  hosts: [./*]"));

  EXPECT_THAT(proxied(mesh).hosts(), ElementsAre("allow_any"));
}

}  // namespace
}  // namespace graymesh::translate::testing
