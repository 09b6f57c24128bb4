#include <gmock/gmock.h>

#include "control/snapshot/test_mesh.h"

namespace graymesh::snapshot {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::string_view web = R"(
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web, version: v1}}
spec: {containers: [{name: app}]}
status: {phase: Running, podIP: 10.0.0.1, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec:
  host: web
  subsets:
  - {name: v1, labels: {version: v1}}
)";

std::string route(const std::string& http, const std::string& name = "web",
                  const std::string& more = "") {
  return "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " + name +
         ", namespace: shop" + more + "}\nspec:\n  hosts: [web]\n  http:\n" + http;
}

TEST(Problems, AreNoneWhereAllHoldsTogether) {
  TestMesh mesh(web);
  mesh.apply(route("  - route: [{destination: {host: web, subset: v1, port: {number: 80}}}]\n"));
  EXPECT_THAT(mesh.problems(), IsEmpty());
}

TEST(Problems, NameADestinationThatIsNoService) {
  TestMesh mesh(web);
  mesh.apply(route("  - route: [{destination: {host: cart}}]\n"), "route.yaml");
  EXPECT_THAT(
      mesh.problems(),
      ElementsAre("route.yaml:7 VirtualService shop/web: http[0].route[0].destination.host "
                  "cart, names no service: requests that take this route are answered 503"));
}

TEST(Problems, NameAPortThatTheServiceDoesNotHave) {
  TestMesh mesh(web);
  mesh.apply(route("  - route: [{destination: {host: web, port: {number: 81}}}]\n"), "route.yaml");
  EXPECT_THAT(mesh.problems(),
              ElementsAre("route.yaml:7 VirtualService shop/web: "
                          "http[0].route[0].destination.port.number 81, is no port of Service "
                          "shop/web"));
}

TEST(Problems, NameASubsetThatNoRuleDefines) {
  TestMesh mesh(web);
  mesh.apply(route("  - route: [{destination: {host: web, subset: v2}}]\n"), "route.yaml");
  EXPECT_THAT(
      mesh.problems(),
      ElementsAre("route.yaml:7 VirtualService shop/web: http[0].route[0].destination.subset "
                  "v2, is no subset of DestinationRule shop/web"));
  mesh.remove(model::Kind::destination_rule, "shop", "web");
  EXPECT_THAT(
      mesh.problems(),
      ElementsAre("route.yaml:7 VirtualService shop/web: http[0].route[0].destination.subset "
                  "v2, has no DestinationRule for web.shop.svc.cluster.local to define it"));
}

TEST(Problems, NameASubsetThatSelectsNoEndpointUntilItDoes) {
  TestMesh mesh(web);
  mesh.apply(R"(
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web, version: v2}}
spec: {containers: [{name: app}]}
status: {phase: Running, podIP: 10.0.0.1, conditions: [{type: Ready, status: "True"}]}
)");
  EXPECT_THAT(
      mesh.problems(),
      ElementsAre("mesh.yaml:19 DestinationRule shop/web: subsets[0] v1, selects no endpoint "
                  "of web.shop.svc.cluster.local"));
  EXPECT_THAT(mesh.apply(web).problems(), IsEmpty());
}

TEST(Problems, NameADestinationRuleForNoService) {
  TestMesh mesh(web);
  mesh.apply(R"(
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart, namespace: shop}
spec: {host: cart}
)",
             "rule.yaml");
  EXPECT_THAT(mesh.problems(),
              ElementsAre("rule.yaml:2 DestinationRule shop/cart: host cart, names no service"));
  mesh.apply(R"(
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
)");
  EXPECT_THAT(mesh.problems(), IsEmpty());
}

TEST(Problems, AreTakenOverWithTheLinesWhereTheirObjectsStandNow) {
  TestMesh mesh(web);
  const std::string rule =
      "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: cart, "
      "namespace: "
      "shop}\nspec: {host: cart}\n";
  mesh.apply(rule, "rule.yaml");
  mesh.snapshot();
  mesh.apply("\n\n" + rule, "moved.yaml");
  EXPECT_THAT(mesh.problems(),
              ElementsAre("moved.yaml:3 DestinationRule shop/cart: host cart, names no service"));
}

TEST(Problems, NameAGatewayThatIsNotThere) {
  TestMesh mesh(web);
  mesh.apply(R"(
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [www.example.com]
  gateways: [public]
  http: [{route: [{destination: {host: web}}]}]
)",
             "route.yaml");
  EXPECT_THAT(mesh.problems(),
              ElementsAre("route.yaml:2 VirtualService shop/web: gateways[0] public, "
                          "names no Gateway"));
}

std::string gateway(const std::string& name, const std::string& servers,
                    const std::string& selector = "{istio: ingress}") {
  return "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: " + name +
         ", namespace: shop}\nspec:\n  selector: " + selector + "\n  servers:\n" + servers;
}

std::string server(const std::string& port, const std::string& host, const std::string& more = "") {
  return "  - {port: {number: 443, " + port + "}, hosts: [" + host + "]" + more + "}\n";
}

const std::string http_port = "name: http, protocol: HTTP";
const std::string tcp_port = "name: tcp, protocol: TCP";
const std::string https_port = "name: https, protocol: HTTPS";
const std::string with_tls = ", tls: {mode: SIMPLE, serverCertificate: /a, privateKey: /b}";
constexpr std::string_view tcp_route = R"(
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: raw, namespace: shop}
spec: {hosts: [a.com], gateways: [a, b], tcp: [{route: [{destination: {host: web}}]}]}
)";

TEST(Problems, NameAServerWhosePortAnotherHasInAnotherProtocol) {
  TestMesh mesh(web);
  mesh.apply(tcp_route).apply(gateway("a", server(http_port, "a.com")), "a.yaml");
  mesh.apply(gateway("b", server(http_port, "b.com") + server(tcp_port, "\"*\"")), "b.yaml");
  EXPECT_THAT(
      mesh.problems(),
      ElementsAre("b.yaml:8 Gateway shop/b: servers[1].port.number 443, is already taken by "
                  "servers[0] of Gateway shop/a, which goes before: this server is not "
                  "served"));
}

TEST(Problems, NameAHostThatTwoServersOfAPortHave) {
  TestMesh mesh(web);
  mesh.apply(gateway("a", server(https_port, "\"*/a.com\", b.com", with_tls)), "a.yaml");
  mesh.apply(gateway("b", server(https_port, "c.com, a.com", with_tls)), "b.yaml");
  EXPECT_THAT(mesh.problems(),
              ElementsAre("b.yaml:7 Gateway shop/b: servers[0].hosts a.com, is already served at "
                          "port 443 by servers[0] of Gateway shop/a, which goes before: not served "
                          "here"));
}

TEST(Problems, AreNoneOfServersThatShareAPortOrHaveWorkloadsOfTheirOwn) {
  TestMesh mesh(web);
  mesh.apply(tcp_route);
  mesh.apply(gateway("a", server(http_port, "a.com") + server(https_port, "a.com", with_tls)));
  mesh.apply(gateway("b", server(tcp_port, "a.com"), "{istio: egress}"));
  EXPECT_THAT(mesh.problems(), IsEmpty());
}

TEST(Problems, NameTheYoungerOfTwoVirtualServicesOfOneHostAndBothPlaces) {
  TestMesh mesh(web);
  const std::string http = "  - route: [{destination: {host: web}}]\n";
  mesh.apply(route(http, "a", ", creationTimestamp: \"2024-02-02T00:00:00Z\""), "a.yaml");
  mesh.apply(route(http, "b", ", creationTimestamp: \"2023-02-02T00:00:00Z\""), "b.yaml");
  EXPECT_THAT(mesh.problems(),
              ElementsAre("a.yaml:1 VirtualService shop/a: hosts[0] web.shop.svc.cluster.local, is "
                          "already routed for sidecars by VirtualService shop/b at b.yaml:1, which "
                          "goes before: these routes have no effect there"));
}

TEST(Problems, NameTheFirstRouteThatIsNeverReached) {
  TestMesh mesh(web);
  mesh.apply(route(R"(
  - match: [{headers: {a: {exact: b}}}]
    route: [{destination: {host: web}}]
  - match: [{uri: {prefix: /}}]
    route: [{destination: {host: web}}]
  - name: never
    route: [{destination: {host: web}}]
)"),
             "route.yaml");
  EXPECT_THAT(mesh.problems(),
              ElementsAre("route.yaml:12 VirtualService shop/web: http[2] never, is never reached: "
                          "http[1] at line 10 takes every request"));
}

TEST(Problems, NameAHostThatTwoNamespacesDeclare) {
  const auto entry = [](const std::string& namespace_, const std::string& export_to) {
    return "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: api, "
           "namespace: " +
           namespace_ + "}\nspec:\n  hosts: [api.example.com]\n  resolution: DNS\n  exportTo: [\"" +
           export_to + "\"]\n  ports: [{number: 80, name: http, protocol: HTTP}]\n";
  };
  TestMesh mesh;
  mesh.apply(entry("bank", "*"), "bank.yaml").apply(entry("shop", "*"), "shop.yaml");
  EXPECT_THAT(mesh.problems(),
              ElementsAre("shop.yaml:1 ServiceEntry shop/api: spec.hosts api.example.com, is also "
                          "ServiceEntry bank/api at bank.yaml:1, which goes before outside of "
                          "namespace shop"));
  TestMesh apart;
  apart.apply(entry("bank", "."), "bank.yaml").apply(entry("shop", "."), "shop.yaml");
  EXPECT_THAT(apart.problems(), IsEmpty());
}

TEST(Problems, StayWithTheirObjectWhileOthersChange) {
  TestMesh mesh(web);
  mesh.apply(route("  - route: [{destination: {host: cart}}]\n"), "route.yaml");
  const auto before = mesh.problems();
  mesh.apply(R"(
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: other, namespace: shop}
spec: {hosts: [www.example.com], http: [{route: [{destination: {host: web}}]}]}
)");
  EXPECT_EQ(mesh.problems(), before);
  mesh.apply(R"(
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
)");
  EXPECT_THAT(mesh.problems(), IsEmpty());
}

std::string service(const std::string& name, const std::string& port) {
  return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name +
         ", namespace: shop}\nspec: {ports: [" + port + "]}\n";
}

TEST(Ports, OfTwoTcpServicesAreOneSidecarsOnlyWithInterception) {
  TestMesh mesh;
  mesh.apply(service("a", "{name: tcp, port: 5432}"), "a.yaml");
  mesh.apply(service("b", "{name: tcp, port: 5432}"), "b.yaml");
  EXPECT_THAT(mesh.problems(), IsEmpty());
  mesh.config().proxy_http_port = 15001;
  EXPECT_THAT(
      mesh.problems(),
      ElementsAre("b.yaml:1 Service shop/b: ports 5432, is also a port of Service shop/a at "
                  "a.yaml:1: sidecars without interception give it to one: of their own "
                  "namespace, else to that one"));
}

TEST(Ports, OfTcpBesideHttpAreNotServedWithoutInterception) {
  TestMesh mesh;
  mesh.config().proxy_http_port = 15001;
  mesh.apply(service("a", "{name: tcp, port: 80}"), "a.yaml");
  mesh.apply(service("b", "{name: http, port: 80}"), "b.yaml");
  EXPECT_THAT(
      mesh.problems(),
      ElementsAre("a.yaml:1 Service shop/a: ports 80, is also a port of Service shop/b at "
                  "b.yaml:1: sidecars without interception serve no TCP on a port of HTTP"));
}

TEST(Ports, AreSharedByHttpServicesAndByTlsServices) {
  TestMesh mesh;
  mesh.config().proxy_http_port = 15001;
  mesh.apply(service("a", "{name: http, port: 80}, {name: tls, port: 443}"));
  mesh.apply(service("b", "{name: http, port: 80}, {name: tls, port: 443}"));
  EXPECT_THAT(mesh.problems(), IsEmpty());
}

}  // namespace
}  // namespace graymesh::snapshot
