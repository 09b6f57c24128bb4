#include <gmock/gmock.h>

#include "control/snapshot/test_mesh.h"

namespace graymesh::snapshot {
namespace {

using testing::ElementsAre;

TEST(VirtualService, HasItsShortNamesExpandedInItsOwnNamespace) {
  TestMesh mesh(R"(
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [web, www.example.com]
  gateways: [mesh, public, local.office.svc.cluster.local, edge/main]
  http:
  - match: [{gateways: [public], uri: {prefix: /a}}]
    route: [{destination: {host: web, subset: v1}}]
    mirror: {host: shadow}
  - route: [{destination: {host: cart.bank.svc.cluster.local}}]
  tcp:
  - route: [{destination: {host: db}}]
)");
  ASSERT_EQ(mesh.snapshot().virtual_services().size(), 1U);
  const auto& spec = mesh.snapshot().virtual_services()[0]->spec;
  EXPECT_THAT(spec.hosts, ElementsAre("web.shop.svc.cluster.local", "www.example.com"));
  EXPECT_THAT(spec.gateways, ElementsAre("mesh", "shop/public", "office/local", "edge/main"));
  EXPECT_THAT(spec.http[0].match[0].gateways, ElementsAre("shop/public"));
  EXPECT_EQ(spec.http[0].route[0].destination.host, "web.shop.svc.cluster.local");
  EXPECT_EQ(spec.http[0].route[0].destination.subset, "v1");
  EXPECT_EQ(spec.http[0].mirrors[0].destination.host, "shadow.shop.svc.cluster.local");
  EXPECT_EQ(spec.http[1].route[0].destination.host, "cart.bank.svc.cluster.local");
  EXPECT_EQ(spec.tcp[0].route[0].destination.host, "db.shop.svc.cluster.local");
}

TEST(VirtualService, WithoutGatewaysIsForTheMesh) {
  TestMesh mesh(R"(
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}
)");
  EXPECT_THAT(mesh.snapshot().virtual_services()[0]->spec.gateways, ElementsAre("mesh"));
}

TEST(VirtualService, StandsInOrderOfAgeThenName) {
  TestMesh mesh(R"(
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: shop, creationTimestamp: "2024-01-02T00:00:00Z"}
spec: {hosts: [a], http: [{route: [{destination: {host: a}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: z, namespace: bank, creationTimestamp: "2024-01-01T00:00:00Z"}
spec: {hosts: [a], http: [{route: [{destination: {host: a}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b, namespace: shop, creationTimestamp: "2024-01-02T00:00:00Z"}
spec: {hosts: [a], http: [{route: [{destination: {host: a}}]}]}
)");
  const auto all = mesh.snapshot().virtual_services();
  EXPECT_EQ(names_of({all.begin(), all.end()}), "bank/z shop/a shop/b");
}

TEST(VirtualService, ThatLeadsToAnExternalNameLeadsToTheHostBehindIt) {
  TestMesh mesh(R"(
apiVersion: v1
kind: Service
metadata: {name: old-web, namespace: shop}
spec: {type: ExternalName, externalName: web.bank.svc.cluster.local}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec: {hosts: [web], http: [{route: [{destination: {host: old-web}}]}]}
)");
  const auto& spec = mesh.snapshot().virtual_services()[0]->spec;
  EXPECT_EQ(spec.http[0].route[0].destination.host, "web.bank.svc.cluster.local");
}

TEST(VirtualService, IsVisibleWhereExportToOrTheMeshSays) {
  TestMesh mesh(R"(
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: shop}
spec: {hosts: [a], exportTo: [bank], http: [{route: [{destination: {host: a}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b, namespace: shop}
spec: {hosts: [b], http: [{route: [{destination: {host: b}}]}]}
)");
  mesh.config().default_virtual_service_export_to = {"."};
  const auto all = mesh.snapshot().virtual_services();
  EXPECT_TRUE(all[0]->visible.to("bank"));
  EXPECT_FALSE(all[0]->visible.to("shop"));
  EXPECT_TRUE(all[1]->visible.to("shop"));
  EXPECT_FALSE(all[1]->visible.to("bank"));
}

}  // namespace
}  // namespace graymesh::snapshot
