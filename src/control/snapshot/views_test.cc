#include <gmock/gmock.h>

#include "control/snapshot/test_mesh.h"

namespace graymesh::snapshot {
namespace {

using testing::SizeIs;

std::string service(const std::string& name, const std::string& namespace_,
                    const std::string& export_to = "*") {
  return "\n---\napiVersion: v1\nkind: Service\nmetadata: {name: " + name +
         ", namespace: " + namespace_ + ", annotations: {networking.istio.io/exportTo: \"" +
         export_to + "\"}}\nspec: {ports: [{name: http, port: 80}, {name: admin, port: 9000}]}\n";
}

std::string route(const std::string& name, const std::string& namespace_, const std::string& host,
                  const std::string& destination, const std::string& more = "") {
  return "\n---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " +
         name + ", namespace: " + namespace_ + "}\nspec:\n  hosts: [\"" + host + "\"]\n" + more +
         "  http: [{route: [{destination: {host: " + destination + "}}]}]\n";
}

std::string sidecar(const std::string& name, const std::string& namespace_,
                    const std::string& spec) {
  return "\n---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: " + name +
         ", namespace: " + namespace_ + "}\nspec:\n" + spec;
}

std::string web_and_cart() {
  return service("web", "shop") + service("cart", "shop") + service("vault", "bank");
}

std::string egress(const std::string& hosts) { return "  egress: [{hosts: [" + hosts + "]}]\n"; }

TEST(View, WithoutASidecarSeesAllThatIsVisible) {
  TestMesh mesh(web_and_cart() + service("secret", "bank", "."));
  const auto shop = mesh.snapshot().view("shop", {});
  ASSERT_THAT(shop->egress, SizeIs(1));
  EXPECT_EQ(hosts_of(shop->egress[0].services),
            "cart.shop.svc.cluster.local vault.bank.svc.cluster.local web.shop.svc.cluster.local");
  EXPECT_EQ(hosts_of(shop->services), hosts_of(shop->egress[0].services));
  EXPECT_EQ(shop->sidecar, std::nullopt);
  EXPECT_EQ(mesh.snapshot().view("bank", {})->services.size(), 4U);
  EXPECT_EQ(mesh.snapshot().view("nowhere", {})->services.size(), 3U);
}

TEST(View, IsShapedByTheSidecarThatSelectsTheWorkloadThenTheNamespacesThenTheRoots) {
  TestMesh mesh(web_and_cart() + sidecar("default", "istio-system", egress("\"./*\"")));
  const auto name = [&mesh](std::string_view namespace_, const model::Labels& labels) {
    const auto view = mesh.snapshot().view(namespace_, labels);
    return view->sidecar ? view->sidecar->namespace_ + '/' + view->sidecar->name : "none";
  };
  EXPECT_EQ(name("shop", {}), "istio-system/default");
  EXPECT_EQ(hosts_of(mesh.snapshot().view("bank", {})->services), "vault.bank.svc.cluster.local")
      << "`.` is the namespace of the workload";
  mesh.apply(sidecar("all", "shop", egress("\"*/*\"")));
  EXPECT_EQ(name("shop", {}), "shop/all");
  mesh.apply(
      sidecar("some", "shop", "  workloadSelector: {labels: {app: web}}\n" + egress("\"./*\"")));
  EXPECT_EQ(name("shop", {{"app", "web"}}), "shop/some");
  EXPECT_EQ(name("shop", {{"app", "cart"}}), "shop/all");
}

struct Import {
  const char* hosts;
  const char* seen;
};

class EgressHostsTest : public testing::TestWithParam<Import> {};

TEST_P(EgressHostsTest, ImportWhatTheyName) {
  TestMesh mesh(web_and_cart() + sidecar("default", "shop", egress(GetParam().hosts)));
  EXPECT_EQ(hosts_of(mesh.snapshot().view("shop", {})->services), GetParam().seen);
}

INSTANTIATE_TEST_SUITE_P(
    Egress, EgressHostsTest,
    testing::Values(Import{"\"./*\"", "cart.shop.svc.cluster.local web.shop.svc.cluster.local"},
                    Import{"\"bank/*\"", "vault.bank.svc.cluster.local"},
                    Import{"\"*/web.shop.svc.cluster.local\"", "web.shop.svc.cluster.local"},
                    Import{"\"shop/*.shop.svc.cluster.local\"",
                           "cart.shop.svc.cluster.local web.shop.svc.cluster.local"},
                    Import{"\"bank/web.shop.svc.cluster.local\"", ""}, Import{"\"~/*\"", ""},
                    Import{"\"*/*\", \"~bank/*\"",
                           "cart.shop.svc.cluster.local web.shop.svc.cluster.local"}));

TEST(View, OfAListenerWithAPortSeesThatPortAlone) {
  TestMesh mesh(web_and_cart() + sidecar("default", "shop", R"(
  egress:
  - port: {number: 9000, protocol: HTTP, name: admin}
    bind: 127.0.0.2
    captureMode: NONE
    hosts: ["./web.shop.svc.cluster.local"]
  - hosts: ["bank/*"]
)"));
  mesh.apply(R"(
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-abc, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}, {name: admin, port: 9001}]
endpoints: [{addresses: [10.0.0.1]}]
)");
  const auto& snapshot = mesh.snapshot();
  const auto view = snapshot.view("shop", {});
  ASSERT_THAT(view->egress, SizeIs(2));
  EXPECT_EQ(view->egress[0].port->number, 9000U);
  EXPECT_EQ(view->egress[0].bind, "127.0.0.2");
  EXPECT_EQ(view->egress[0].capture_mode, model::CaptureMode::none);
  const auto& web = view->egress[0].services[0].service;
  ASSERT_THAT(web->ports, SizeIs(1));
  EXPECT_EQ(web->ports[0].number, 9000U);
  EXPECT_EQ(view->services.size(), 2U);

  const auto endpoints = snapshot.endpoints(*web);
  ASSERT_THAT(endpoints->by_port, SizeIs(1));
  EXPECT_EQ(endpoints->by_port[0][0].port, 9001U);
  EXPECT_EQ(snapshot.endpoints(*web), endpoints) << "the same address each time";
}

TEST(View, HasClustersForDestinationsOfImportedVirtualServicesButOnlyTheirPorts) {
  TestMesh mesh(service("web", "shop") + service("vault", "bank") +
                route("web", "shop", "web", "vault.bank.svc.cluster.local, port: {number: 80}") +
                sidecar("default", "shop", egress("\"./*\"")));
  const auto view = mesh.snapshot().view("shop", {});
  EXPECT_EQ(hosts_of(view->egress[0].services), "web.shop.svc.cluster.local");
  EXPECT_EQ(hosts_of(view->services), "vault.bank.svc.cluster.local web.shop.svc.cluster.local");
  EXPECT_THAT(view->services[0].service->ports, SizeIs(1));
}

TEST(View, HasVirtualServicesOfItsOwnThenThoseExportedToItThenPublicOnes) {
  TestMesh mesh(route("a", "bank", "a.example.com", "web") +
                route("b", "bank", "b.example.com", "web", "  exportTo: [shop]\n") +
                route("c", "shop", "c.example.com", "web", "  exportTo: [\".\"]\n") +
                route("d", "bank", "d.example.com", "web", "  exportTo: [\".\"]\n") +
                route("e", "shop", "e.example.com", "web", "  gateways: [public]\n"));
  EXPECT_EQ(names_of(mesh.snapshot().view("shop", {})->egress[0].virtual_services),
            "shop/c bank/b bank/a");
}

TEST(View, ImportsVirtualServicesByHostWideOrNarrow) {
  TestMesh mesh(route("wide", "shop", "*.example.com", "web") +
                route("other", "shop", "www.example.org", "web") +
                sidecar("default", "shop", egress("\"./www.example.com\"")));
  EXPECT_EQ(names_of(mesh.snapshot().view("shop", {})->egress[0].virtual_services), "shop/wide");
}

TEST(View, SaysWhetherSourceLabelsMatter) {
  TestMesh mesh(route("a", "shop", "web", "web"));
  EXPECT_FALSE(mesh.snapshot().view("shop", {})->source_labels_matter);
  mesh.apply(R"(
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b, namespace: shop}
spec:
  hosts: [cart]
  http: [{match: [{sourceLabels: {app: web}}], route: [{destination: {host: cart}}]}]
)");
  EXPECT_TRUE(mesh.snapshot().view("shop", {})->source_labels_matter);
}

TEST(View, TakesTheOutboundPolicyOfItsSidecarElseOfTheMesh) {
  TestMesh mesh(sidecar("strict", "shop", "  outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n"));
  EXPECT_EQ(mesh.snapshot().view("shop", {})->outbound_traffic,
            model::OutboundTraffic::registry_only);
  EXPECT_EQ(mesh.snapshot().view("bank", {})->outbound_traffic, model::OutboundTraffic::allow_any);
  mesh.config().outbound_traffic = model::OutboundTraffic::registry_only;
  EXPECT_EQ(mesh.snapshot().view("bank", {})->outbound_traffic,
            model::OutboundTraffic::registry_only);
}

std::string entry(const std::string& namespace_, const std::string& port) {
  return "\n---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: api, "
         "namespace: " +
         namespace_ +
         "}\nspec:\n  hosts: [api.example.com]\n  resolution: DNS\n  ports: [{number: " + port +
         ", name: http, protocol: HTTP}]\n";
}

TEST(View, OfAHostInSeveralNamespacesHasItsOwnElseTheOldest) {
  TestMesh mesh(entry("bank", "81") + entry("shop", "82"));
  EXPECT_EQ(mesh.snapshot().view("shop", {})->services[0].service->namespace_, "shop");
  EXPECT_EQ(mesh.snapshot().view("office", {})->services[0].service->namespace_, "bank");
  EXPECT_THAT(mesh.snapshot().view("office", {})->services, SizeIs(1));
}

}  // namespace
}  // namespace graymesh::snapshot
