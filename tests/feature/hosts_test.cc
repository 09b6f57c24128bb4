// Which names a service answers to, and which VirtualService a name belongs to.
#include <gtest/gtest.h>

#include "mesh.h"

namespace graymesh::feature {
namespace {

std::string route(const std::string& name, const std::string& host, const std::string& to,
                  const std::string& namespace_ = "fe-pre", const std::string& more = "") {
  return "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " + name +
         ", namespace: " + namespace_ + "}\nspec:\n  hosts: ['" + host + "']\n" + more +
         "  http: [{name: " + name + ", route: [{destination: {host: " + to + "}}]}]\n";
}

TEST(Hosts, AServiceOfTheOwnNamespaceHasEveryFormOfItsName) {
  const Mesh mesh(app("cart"));
  const Proxy web = mesh.sidecar("web");
  for (const std::string host :
       {"cart", "cart.fe-pre", "cart.fe-pre.svc", "cart.fe-pre.svc.cluster.local",
        "cart.fe-pre.svc.cluster.local.", "CART"}) {
    EXPECT_EQ(web.to("http://" + host + ":8080/"), outbound(8080, "", "cart")) << host;
  }
}

TEST(Hosts, AServiceOfAnotherNamespaceNeedsItsNamespace) {
  const Mesh mesh(app("cart", {"baseline"}, "other"));
  const Proxy web = mesh.sidecar("web");
  EXPECT_EQ(web.to("http://cart.other:8080/"), outbound(8080, "", "cart.other.svc.cluster.local"));
  EXPECT_EQ(web.to("http://cart:8080/"), "PassthroughCluster")
      << "no such name here: it passes through";
}

TEST(Hosts, AServiceAnswersToItsVirtualIpToo) {
  const Mesh mesh(app("cart"));
  const auto addresses = mesh.snapshot().service("cart.fe-pre.svc.cluster.local")->addresses;
  ASSERT_EQ(addresses.size(), 1u);
  EXPECT_EQ(mesh.sidecar("web").to("http://" + addresses[0] + ":8080/"),
            outbound(8080, "", "cart"));
}

TEST(Hosts, TheSameShortNameIsAnotherServiceInAnotherNamespace) {
  const Mesh mesh(app("cart") + app("cart", {"baseline"}, "other"));
  EXPECT_EQ(mesh.sidecar("web").to("http://cart:8080/"), outbound(8080, "", "cart"));
  EXPECT_EQ(mesh.sidecar("web", "other").to("http://cart:8080/"),
            outbound(8080, "", "cart.other.svc.cluster.local"));
}

TEST(Hosts, ShortNamesInAVirtualServiceAreOfItsNamespace) {
  const Mesh mesh(app("cart") + app("pay") + app("pay", {"baseline"}, "other") +
                  route("cart", "cart", "pay"));
  EXPECT_EQ(mesh.sidecar("web").to("http://cart:8080/"), outbound(8080, "", "pay"));
  EXPECT_EQ(mesh.sidecar("web", "other").to("http://cart.fe-pre:8080/"), outbound(8080, "", "pay"))
      << "whoever asks";
}

TEST(Hosts, AHostThatIsNoServiceIsThereOnPort80) {
  const Mesh mesh(app("pay", {"baseline"}, "fe-pre", 80) + app("cart") +
                  route("shop", "shop.example", "pay"));
  EXPECT_EQ(mesh.sidecar("web").to("http://shop.example/"), outbound(80, "", "pay"));
  EXPECT_EQ(mesh.sidecar("web").to("http://shop.example:8080/"), "PassthroughCluster");
}

TEST(Hosts, AWildcardTakesTheServicesUnderItAndAnExactNameComesFirst) {
  const Mesh mesh(app("cart") + app("pay") + app("audit") +
                  route("all", "*.fe-pre.svc.cluster.local", "audit") +
                  route("cart", "cart", "pay"));
  const Proxy web = mesh.sidecar("web");
  EXPECT_EQ(web.to("http://cart:8080/"), outbound(8080, "", "pay"));
  EXPECT_EQ(web.to("http://pay:8080/"), outbound(8080, "", "audit"));
}

TEST(Hosts, OfTwoVirtualServicesOfOneHostTheFirstByNameWinsInTheMesh) {
  const Mesh mesh(app("cart") + app("pay") + app("audit") + route("b", "cart", "audit") +
                  route("a", "cart", "pay"));
  EXPECT_EQ(mesh.sidecar("web").to("http://cart:8080/"), outbound(8080, "", "pay"));
}

TEST(Hosts, TheOlderOfTwoVirtualServicesOfOneHostWins) {
  const std::string aged =
      "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: z, "
      "namespace: "
      "fe-pre, creationTimestamp: '2020-01-01T00:00:00Z'}\nspec:\n  hosts: [cart]\n"
      "  http: [{route: [{destination: {host: audit}}]}]\n";
  std::string younger = route("a", "cart", "pay");
  younger.replace(younger.find("namespace: fe-pre"), 17,
                  "namespace: fe-pre, creationTimestamp: '2021-01-01T00:00:00Z'");
  const Mesh mesh(app("cart") + app("pay") + app("audit") + younger + aged);
  EXPECT_EQ(mesh.sidecar("web").to("http://cart:8080/"), outbound(8080, "", "audit"));
}

TEST(Hosts, UpperAndLowerCaseAreOneName) {
  const Mesh mesh(app("cart") + app("pay", {"baseline"}, "fe-pre", 80) +
                  route("shop", "Shop.Example", "pay"));
  EXPECT_EQ(mesh.sidecar("web").to("http://shop.example/"), outbound(80, "", "pay"));
}

TEST(Hosts, AHeadlessServiceAnswersForEachOfItsPods) {
  const Mesh mesh(R"(
apiVersion: v1
kind: Service
metadata: {name: db, namespace: fe-pre}
spec:
  clusterIP: None
  selector: {app: db}
  ports: [{name: http, port: 8080}]
)" + app("cart"));
  EXPECT_EQ(mesh.sidecar("web").to("http://db-0.db:8080/"), outbound(8080, "", "db"));
}

TEST(Hosts, AnExternalNameServiceIsAnotherNameForItsTarget) {
  const Mesh mesh(app("cart") + R"(---
apiVersion: v1
kind: Service
metadata: {name: basket, namespace: fe-pre}
spec: {type: ExternalName, externalName: cart.fe-pre.svc.cluster.local}
)");
  EXPECT_EQ(mesh.sidecar("web").to("http://basket:8080/"), outbound(8080, "", "cart"));
}

TEST(Hosts, WhatIsNotInTheRegistryPassesThroughOrIsRefusedAsTheMeshSays) {
  EXPECT_EQ(Mesh(app("cart")).sidecar("web").to("http://elsewhere.example:8080/"),
            "PassthroughCluster");
  const Mesh strict(app("cart"), "outboundTrafficPolicy: {mode: REGISTRY_ONLY}");
  EXPECT_EQ(strict.sidecar("web").to("http://elsewhere.example:8080/"), "answers 502");
}

TEST(Hosts, TwoServicesThatClashKeepTheFirstAndTheOtherIsTold) {
  const Mesh mesh(app("cart") + R"(---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: impostor, namespace: fe-pre}
spec:
  hosts: [cart.fe-pre.svc.cluster.local]
  ports: [{number: 8080, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.6.6.6}]
)");
  const auto addresses = mesh.sidecar("web").addresses(outbound(8080, "", "cart"));
  ASSERT_EQ(addresses.size(), 1u);
  EXPECT_NE(addresses[0], "10.6.6.6:8080") << "Kubernetes before a ServiceEntry";
  EXPECT_TRUE(mesh.mentions("ServiceEntry fe-pre/impostor"));
}

}  // namespace
}  // namespace graymesh::feature
