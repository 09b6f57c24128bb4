#include <gmock/gmock.h>

#include "control/snapshot/test_mesh.h"

namespace graymesh::snapshot {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view web = R"(
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 10.96.0.1
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: db, port: 3306, targetPort: mysql}
  - {name: dns, port: 53, protocol: UDP}
)";

TEST(KubernetesService, HasItsFullHostVirtualAddressAndPortsWithoutUdp) {
  TestMesh mesh(web);
  const auto service = mesh.snapshot().service("web.shop.svc.cluster.local");
  ASSERT_NE(service, nullptr);
  EXPECT_EQ(service->name, "web");
  EXPECT_EQ(service->namespace_, "shop");
  EXPECT_THAT(service->addresses, ElementsAre("10.96.0.1"));
  EXPECT_EQ(service->resolution, Resolution::endpoints);
  ASSERT_EQ(service->ports.size(), 2U);
  EXPECT_EQ(service->ports[0], (Port{"http", 80, Protocol::http, 8080, ""}));
  EXPECT_EQ(service->ports[1], (Port{"db", 3306, Protocol::tcp, 0, "mysql"}));
}

TEST(KubernetesService, SpeaksWhatItsPortNameOrAppProtocolSays) {
  const auto speaks = [](std::string name, std::string app_protocol, std::uint32_t number) {
    model::ServicePort port;
    port.name = std::move(name);
    port.app_protocol = std::move(app_protocol);
    port.port = number;
    port.protocol = "TCP";
    return protocol_of(port);
  };
  EXPECT_EQ(speaks("http-web", "", 80), Protocol::http);
  EXPECT_EQ(speaks("HTTP2-web", "", 80), Protocol::http2);
  EXPECT_EQ(speaks("grpc-web-x", "", 80), Protocol::grpc_web);
  EXPECT_EQ(speaks("grpc", "", 80), Protocol::grpc);
  EXPECT_EQ(speaks("web", "", 80), Protocol::automatic);
  EXPECT_EQ(speaks("", "", 3306), Protocol::tcp);
  EXPECT_EQ(speaks("http", "tcp", 80), Protocol::tcp);
  EXPECT_EQ(speaks("web", "kubernetes.io/h2c", 80), Protocol::http2);
  EXPECT_EQ(speaks("http", "example.com/own", 80), Protocol::automatic);
}

TEST(KubernetesService, WithoutClusterIpNoneIsHeadlessAndWithoutAnyAddressIsNot) {
  TestMesh mesh(R"(
apiVersion: v1
kind: Service
metadata: {name: headless, namespace: shop}
spec: {clusterIP: None, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: handwritten, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
)");
  const auto headless = mesh.snapshot().service("headless.shop.svc.cluster.local");
  EXPECT_TRUE(headless->headless);
  EXPECT_EQ(headless->resolution, Resolution::passthrough);
  EXPECT_TRUE(headless->addresses.empty());
  const auto handwritten = mesh.snapshot().service("handwritten.shop.svc.cluster.local");
  EXPECT_FALSE(handwritten->headless);
  EXPECT_EQ(handwritten->resolution, Resolution::endpoints);
}

TEST(KubernetesService, IsVisibleWhereItsAnnotationOrTheMeshSays) {
  TestMesh mesh(R"(
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
  annotations: {networking.istio.io/exportTo: "., bank"}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
)");
  mesh.config().default_service_export_to = {"."};
  const auto shared = mesh.snapshot().service("web.shop.svc.cluster.local");
  EXPECT_TRUE(shared->visible.to("shop"));
  EXPECT_TRUE(shared->visible.to("bank"));
  EXPECT_FALSE(shared->visible.to("office"));
  const auto cart = mesh.snapshot().service("cart.shop.svc.cluster.local");
  EXPECT_TRUE(cart->visible.to("shop"));
  EXPECT_FALSE(cart->visible.to("bank"));
}

TEST(ExternalName, IsAnotherNameOfTheServiceItLeadsToThroughOthers) {
  TestMesh mesh(web);
  mesh.apply(R"(
apiVersion: v1
kind: Service
metadata: {name: www, namespace: shop}
spec: {type: ExternalName, externalName: front.shop.svc.cluster.local}
---
apiVersion: v1
kind: Service
metadata: {name: front, namespace: shop}
spec: {type: ExternalName, externalName: web.shop.svc.cluster.local}
)");
  EXPECT_THAT(mesh.snapshot().service("web.shop.svc.cluster.local")->aliases,
              ElementsAre("front.shop.svc.cluster.local", "www.shop.svc.cluster.local"));
  EXPECT_EQ(mesh.snapshot().service("www.shop.svc.cluster.local"), nullptr);
}

TEST(ExternalName, GoingInACircleNamesNothing) {
  TestMesh mesh(R"(
apiVersion: v1
kind: Service
metadata: {name: a, namespace: shop}
spec: {type: ExternalName, externalName: b.shop.svc.cluster.local}
---
apiVersion: v1
kind: Service
metadata: {name: b, namespace: shop}
spec: {type: ExternalName, externalName: a.shop.svc.cluster.local}
)");
  EXPECT_TRUE(mesh.snapshot().services().empty());
}

constexpr std::string_view api_entry = R"(
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: shop}
spec:
  hosts: [api.example.com, www.example.com]
  addresses: [240.0.0.1]
  ports: [{number: 443, name: https, protocol: HTTPS}, {number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  location: MESH_EXTERNAL
  resolution: DNS
  exportTo: ["."]
)";

TEST(ServiceEntry, GivesOneServiceForEachHost) {
  TestMesh mesh(api_entry);
  for (const auto* host : {"api.example.com", "www.example.com"}) {
    const auto service = mesh.snapshot().service(host);
    ASSERT_NE(service, nullptr) << host;
    EXPECT_FALSE(service->kubernetes);
    EXPECT_TRUE(service->external);
    EXPECT_EQ(service->resolution, Resolution::dns);
    EXPECT_THAT(service->addresses, ElementsAre("240.0.0.1"));
    EXPECT_EQ(service->ports[1], (Port{"http", 80, Protocol::http, 8080, ""}));
    EXPECT_FALSE(service->visible.to("bank"));
  }
}

TEST(ServiceEntry, OfAHostTwiceInANamespaceIsUnited) {
  TestMesh mesh(R"(
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api-1, namespace: shop}
spec:
  hosts: [api.example.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api-2, namespace: shop}
spec:
  hosts: [api.example.com]
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 81, name: admin, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.2}]
)");
  EXPECT_EQ(mesh.snapshot().services().size(), 1U);
  EXPECT_EQ(mesh.endpoints("api.example.com", 0), "10.0.0.1:80 10.0.0.2:80");
  EXPECT_EQ(mesh.endpoints("api.example.com", 1), "10.0.0.2:81");
  EXPECT_THAT(mesh.problems(), ElementsAre());
}

TEST(ServiceEntry, OfAHostResolvedInAnotherWayGivesWayToTheOlderAndSaysSo) {
  TestMesh mesh(R"(
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: shop, creationTimestamp: "2024-02-02T00:00:00Z"}
spec:
  hosts: [api.example.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: old, namespace: shop, creationTimestamp: "2023-02-02T00:00:00Z"}
spec:
  hosts: [api.example.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.1}]
)");
  EXPECT_EQ(mesh.snapshot().service("api.example.com")->origin.name, "old");
  EXPECT_THAT(mesh.problems(),
              ElementsAre("mesh.yaml:2 ServiceEntry shop/api: spec.hosts[0] api.example.com, is "
                          "already ServiceEntry shop/old at mesh.yaml:10, which goes before"));
}

TEST(ServiceEntry, GivesWayToAKubernetesServiceOfItsHost) {
  TestMesh mesh(web);
  mesh.apply(R"(
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: shop}
spec:
  hosts: [web.shop.svc.cluster.local]
  ports: [{number: 9999, name: http, protocol: HTTP}]
  resolution: STATIC
)",
             "entry.yaml");
  EXPECT_EQ(mesh.snapshot().service("web.shop.svc.cluster.local")->ports.size(), 2U);
  EXPECT_THAT(mesh.problems(), Contains(HasSubstr("is already Service shop/web at mesh.yaml:2")));
}

}  // namespace
}  // namespace graymesh::snapshot
