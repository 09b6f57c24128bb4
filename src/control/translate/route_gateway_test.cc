// What a gateway answers: the hosts that its servers allow and VirtualServices route.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/translate/translate_testing.h"

namespace graymesh::translate::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* http_server = "- port: {number: 8080, name: http, protocol: HTTP}\n  hosts: ";
constexpr const char* to_web = "/* => outbound|8080||web.fe-pre.svc.cluster.local";

// A gateway `istio-system/public` whose one server has these hosts, and the service web.
Mesh mesh_with(const std::string& hosts) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"});
  mesh.apply(gateway("istio-system/public",
                     "selector: {istio: ingressgateway}\nservers:\n" + (http_server + hosts)));
  return mesh;
}

std::string rule(const std::string& hosts,
                 const std::string& http = "- route: [{destination: {host: web}}]") {
  return "gateways: [istio-system/public]\nhosts: [" + hosts + "]\nhttp:\n" + http;
}

TEST(GatewayRoutes, OfAHostAreThoseOfItsVirtualService) {
  Mesh mesh = mesh_with("[shop.example.com]");
  mesh.apply(virtual_service(
      "fe-pre/v", rule("shop.example.com", R"(- match: [{headers: {canarytag: {exact: a}}}]
  route: [{destination: {host: web, subset: a}}]
- route: [{destination: {host: web}}])")));
  const auto routes = mesh.gateway_routes("http.8080");

  EXPECT_THAT(routes.hosts(), ElementsAre("shop.example.com:8080"));
  EXPECT_THAT(routes.domains("shop.example.com:8080"), ElementsAre("shop.example.com"));
  EXPECT_THAT(
      routes.of("shop.example.com:8080"),
      ElementsAre("/* canarytag=a => outbound|8080|a|web.fe-pre.svc.cluster.local", to_web));
}

TEST(GatewayRoutes, AreForHostsThatBothGatewayAndVirtualServiceName) {
  Mesh mesh = mesh_with("['*.example.com', narrow.other.com]");
  mesh.apply(virtual_service("fe-pre/v", rule("shop.example.com, '*.other.com', nobody.com")));

  EXPECT_THAT(mesh.gateway_routes("http.8080").domains("narrow.other.com:8080"),
              ElementsAre("narrow.other.com", "shop.example.com"));
}

TEST(GatewayRoutes, ForAnyHostTakeEverything) {
  Mesh mesh = mesh_with("['*']");
  mesh.apply(virtual_service("fe-pre/v", rule("'*'")));

  EXPECT_THAT(mesh.gateway_routes("http.8080").domains("*:8080"), ElementsAre("*"));
}

TEST(GatewayRoutes, OfAHostGivenToOneNamespaceAreItsVirtualServicesOnly) {
  Mesh mesh = mesh_with("[fe-online/shop.example.com]");
  mesh.apply(virtual_service("fe-pre/v", rule("shop.example.com")));
  EXPECT_THAT(mesh.gateway_routes("http.8080").hosts(), ElementsAre("blackhole:8080"));

  mesh.apply(virtual_service("fe-online/v", rule("shop.example.com")));
  EXPECT_THAT(mesh.gateway_routes("http.8080").hosts(), ElementsAre("shop.example.com:8080"));
}

TEST(GatewayRoutes, WithoutAnyVirtualServiceAreNone) {
  const auto routes = mesh_with("[shop.example.com]").gateway_routes("http.8080");

  EXPECT_THAT(routes.domains("blackhole:8080"), ElementsAre("*"));
  EXPECT_THAT(routes.of("blackhole:8080"), IsEmpty());
}

TEST(GatewayRoutes, OfVirtualServicesForTheMeshAreNotServed) {
  Mesh mesh = mesh_with("['*']");
  mesh.apply(
      virtual_service("fe-pre/v", "hosts: [web]\nhttp:\n- route: [{destination: {host: web}}]"));

  EXPECT_THAT(mesh.gateway_routes("http.8080").hosts(), ElementsAre("blackhole:8080"));
}

TEST(GatewayRoutes, OfSeveralVirtualServicesForOneHostAreJoinedWithCatchAllsLast) {
  Mesh mesh = mesh_with("[shop.example.com]");
  mesh.apply(virtual_service("fe-pre/a-rest", rule("shop.example.com")));
  mesh.apply(virtual_service("fe-pre/b-cart", rule("shop.example.com",
                                                   "- match: [{uri: {prefix: /cart}}]\n  route: "
                                                   "[{destination: {host: web, subset: cart}}]")));

  EXPECT_THAT(mesh.gateway_routes("http.8080").of("shop.example.com:8080"),
              ElementsAre("/cart* => outbound|8080|cart|web.fe-pre.svc.cluster.local", to_web));
}

TEST(GatewayRoutes, ThatAreTheSameForSeveralHostsAreOneVirtualHost) {
  Mesh mesh = mesh_with("['*']");
  mesh.apply(virtual_service("fe-pre/v", rule("b.example.com, a.example.com")));
  mesh.apply(virtual_service("fe-pre/w", rule("c.example.com")));
  const auto routes = mesh.gateway_routes("http.8080");

  EXPECT_THAT(routes.hosts(), ElementsAre("a.example.com:8080", "c.example.com:8080"));
  EXPECT_THAT(routes.domains("a.example.com:8080"), ElementsAre("a.example.com", "b.example.com"));
}

TEST(GatewayRoutes, LeadToTheOnlyPortOfADestination) {
  Mesh mesh = mesh_with("['*']");
  mesh.service("fe-pre/pay", {"http 9000"}).service("fe-pre/two", {"http 9001", "http-b 9002"});
  mesh.apply(virtual_service("fe-pre/v",
                             rule("pay.example.com", "- route: [{destination: {host: pay}}]")));
  mesh.apply(virtual_service("fe-pre/w",
                             rule("two.example.com", "- route: [{destination: {host: two}}]")));
  const auto routes = mesh.gateway_routes("http.8080");

  EXPECT_THAT(routes.of("pay.example.com:8080"),
              ElementsAre("/* => outbound|9000||pay.fe-pre.svc.cluster.local"));
  EXPECT_THAT(routes.of("two.example.com:8080"),
              ElementsAre("/* => outbound|8080||two.fe-pre.svc.cluster.local"));
}

TEST(GatewayRoutes, HonourMatchesOnGatewayAndPort) {
  Mesh mesh = mesh_with("['*']");
  mesh.apply(virtual_service("fe-pre/v", R"(gateways: [istio-system/public, mesh]
hosts: [shop.example.com]
http:
- match: [{gateways: [mesh]}]
  route: [{destination: {host: web, subset: mesh}}]
- match: [{port: 80}]
  route: [{destination: {host: web, subset: other-port}}]
- match: [{gateways: [istio-system/public], port: 8080}]
  route: [{destination: {host: web, subset: here}}])"));

  EXPECT_THAT(mesh.gateway_routes("http.8080").of("shop.example.com:8080"),
              ElementsAre("/* => outbound|8080|here|web.fe-pre.svc.cluster.local"));
}

TEST(GatewayRedirect, SendsItsHostsToHttpsAlsoThoseWithoutRoutes) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"});
  mesh.apply(gateway("istio-system/public", R"(selector: {istio: ingressgateway}
servers:
- port: {number: 8080, name: http, protocol: HTTP}
  hosts: [shop.example.com, fe-pre/other.example.com]
  tls: {httpsRedirect: true})"));
  mesh.apply(virtual_service("fe-pre/v", rule("shop.example.com")));
  const auto routes = mesh.gateway_routes("http.8080");

  EXPECT_THAT(routes.hosts(), ElementsAre("other.example.com:8080", "shop.example.com:8080"));
  for (const auto& name : routes.hosts())
    EXPECT_EQ(routes.host(name).require_tls(), envoy::config::route::v3::VirtualHost::ALL);
  EXPECT_THAT(routes.of("other.example.com:8080"), IsEmpty());
}

TEST(GatewayTables, AreOnePerPlainPortAndOnePerHttpsServer) {
  Mesh mesh;
  mesh.apply(gateway("istio-system/public", R"(selector: {istio: ingressgateway}
servers:
- port: {number: 8080, name: http, protocol: HTTP}
  hosts: [a.example.com]
- port: {number: 8080, name: http-b, protocol: HTTP2}
  hosts: [b.example.com]
- port: {number: 8443, name: https, protocol: HTTPS}
  hosts: [a.example.com]
  tls: {mode: SIMPLE, serverCertificate: /c.pem, privateKey: /k.pem}
- port: {number: 8444, name: tls, protocol: TLS}
  hosts: [c.example.com]
  tls: {mode: PASSTHROUGH}
- port: {number: 9000, name: tcp, protocol: TCP}
  hosts: ['*'])"));

  EXPECT_THAT(mesh.gateway_tables(),
              ElementsAre("http.8080", "https.8443.https.public.istio-system"));
}

TEST(GatewayTables, ArePutTogetherFromSeveralGateways) {
  Mesh mesh = mesh_with("[a.example.com]");
  mesh.apply(gateway("istio-system/second", "selector: {istio: ingressgateway}\nservers:\n" +
                                                (http_server + std::string("[b.example.com]"))));
  mesh.apply(virtual_service(
      "fe-pre/v",
      "gateways: [istio-system/public, istio-system/second]\nhosts: [a.example.com, "
      "b.example.com]\nhttp:\n- route: [{destination: {host: web}}]"));
  const auto routes = mesh.gateway_routes("http.8080");

  EXPECT_THAT(routes.hosts(), ElementsAre("a.example.com:8080", "b.example.com:8080"));
  EXPECT_THAT(routes.resource()->origins(),
              ElementsAre("VirtualService fe-pre/v", "Gateway istio-system/public",
                          "Gateway istio-system/second"));
}

TEST(GatewayTables, BelongToGatewaysThatSelectTheWorkload) {
  Mesh mesh;
  mesh.apply(gateway("istio-system/other", "selector: {istio: egressgateway}\nservers:\n" +
                                               (http_server + std::string("['*']"))));

  EXPECT_THAT(mesh.gateway_tables(), IsEmpty());
}

}  // namespace
}  // namespace graymesh::translate::testing
