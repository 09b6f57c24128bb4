#include <gmock/gmock.h>

#include "control/snapshot/test_mesh.h"

namespace graymesh::snapshot {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

constexpr std::string_view edge = R"(
apiVersion: v1
kind: Service
metadata: {name: ingress, namespace: istio-system}
spec:
  selector: {istio: ingress}
  ports: [{name: http2, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8443}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: shop}
spec:
  selector: {istio: ingress}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*.example.com"]}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: inner, namespace: shop}
spec:
  selector: {istio: egress}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*.example.com"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [www.example.com]
  gateways: [public]
  http: [{route: [{destination: {host: web}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: inner, namespace: shop}
spec:
  hosts: [inner.example.com]
  gateways: [inner, mesh]
  http: [{route: [{destination: {host: web}}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: secret, namespace: shop, annotations: {networking.istio.io/exportTo: "."}}
spec: {ports: [{name: http, port: 80}]}
)";

const model::Labels ingress{{"istio", "ingress"}};

TEST(GatewayView, HasTheGatewaysThatSelectTheWorkloadAndTheirVirtualServices) {
  TestMesh mesh(edge);
  const auto view = mesh.snapshot().gateway("istio-system", {}, ingress);
  ASSERT_EQ(view->gateways.size(), 1U);
  EXPECT_EQ(view->gateways[0].origin.name, "public");
  EXPECT_EQ(names_of(view->virtual_services), "shop/web");
}

TEST(GatewayView, SeesServicesVisibleToItsNamespaceWhateverSidecarsSay) {
  TestMesh mesh(edge);
  mesh.apply(R"(
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: istio-system}
spec: {egress: [{hosts: ["~/*"]}]}
)");
  EXPECT_EQ(hosts_of(mesh.snapshot().gateway("istio-system", {}, ingress)->services),
            "ingress.istio-system.svc.cluster.local web.shop.svc.cluster.local");
}

TEST(GatewayView, KnowsWhereTheGatewaysServiceLeads) {
  TestMesh mesh(edge);
  EXPECT_THAT(mesh.snapshot().gateway("istio-system", {}, ingress)->target_ports,
              ElementsAre(Pair(80, 8080), Pair(443, 8443)));
}

TEST(GatewayView, OfAWorkloadThatNoGatewaySelectsServesNothing) {
  TestMesh mesh(edge);
  const auto view = mesh.snapshot().gateway("istio-system", {}, {{"istio", "other"}});
  EXPECT_THAT(view->gateways, IsEmpty());
  EXPECT_THAT(view->virtual_services, IsEmpty());
}

TEST(GatewayView, SaysWhetherSourceLabelsMatter) {
  TestMesh mesh(edge);
  const auto matters = [&mesh] {
    return mesh.snapshot().gateway("istio-system", {}, ingress)->source_labels_matter;
  };
  EXPECT_FALSE(matters());
  mesh.apply(R"(
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: labelled, namespace: shop}
spec:
  hosts: [a.example.com]
  gateways: [public]
  http: [{match: [{sourceLabels: {app: web}}], route: [{destination: {host: web}}]}]
)");
  EXPECT_TRUE(matters());
}

TEST(GatewayView, LeavesOutVirtualServicesNotExportedToIt) {
  TestMesh mesh(edge);
  mesh.apply(R"(
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [www.example.com]
  gateways: [public]
  exportTo: ["."]
  http: [{route: [{destination: {host: web}}]}]
)");
  EXPECT_EQ(names_of(mesh.snapshot().gateway("istio-system", {}, ingress)->virtual_services), "");
}

}  // namespace
}  // namespace graymesh::snapshot
