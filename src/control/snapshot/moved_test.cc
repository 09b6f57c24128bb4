// What of a Snapshot is still so in the next: what proxies need not be asked again for.
#include <gmock/gmock.h>

#include "control/snapshot/test_mesh.h"

namespace graymesh::snapshot {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::string_view shop = R"(
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: vault, namespace: bank}
spec: {selector: {app: vault}, ports: [{name: http, port: 80}]}
)";

std::string pod(const std::string& at, const std::string& app, const std::string& ip,
                const std::string& port = "8080", const std::string& annotations = "") {
  const auto slash = at.find('/');
  return "\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + at.substr(slash + 1) +
         ", namespace: " + at.substr(0, slash) + ", labels: {app: " + app + "}, annotations: {" +
         annotations +
         "}}\nspec: {containers: [{name: app, ports: [{name: http, containerPort: " + port +
         "}]}]}\nstatus: {phase: Running, podIP: " + ip + ", podIPs: [{ip: " + ip +
         "}], conditions: [{type: Ready, status: \"True\"}]}\n";
}

std::string slice(const std::string& service, const std::string& ip) {
  return "\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: " +
         service + "-1, namespace: shop, labels: {kubernetes.io/service-name: " + service +
         "}}\naddressType: IPv4\nports: [{name: http, port: 80}]\nendpoints: [{addresses: [" + ip +
         "], conditions: {ready: true}}]\n";
}

std::vector<std::string> hosts(const std::vector<ServicePtr>& services) {
  std::vector<std::string> hosts;
  hosts.reserve(services.size());
  for (const auto& service : services) hosts.push_back(service->host);
  return hosts;
}

struct Moved : ::testing::Test {
  TestMesh mesh{std::string(shop) + pod("shop/web-1", "web", "10.0.0.1") +
                pod("bank/vault-1", "vault", "10.0.0.9")};
  SnapshotPtr before = mesh.snapshot_ptr();

  bool same_place(const std::string& namespace_, const std::string& address) {
    const std::vector<std::string> addresses{address};
    return mesh.snapshot().same_place(*before, namespace_, addresses);
  }
};

TEST_F(Moved, NothingWhenNothingChanged) {
  mesh.apply("# nothing");
  EXPECT_TRUE(mesh.snapshot().same_declared(*before));
  EXPECT_THAT(mesh.snapshot().moved(*before), IsEmpty());
  EXPECT_TRUE(same_place("shop", "10.0.0.1"));
}

TEST_F(Moved, AnEndpointThatComesMovesItsServiceAndNoOtherProxy) {
  mesh.apply(pod("shop/web-2", "web", "10.0.0.2"));
  EXPECT_TRUE(mesh.snapshot().same_declared(*before));
  EXPECT_THAT(hosts(mesh.snapshot().moved(*before)), ElementsAre("web.shop.svc.cluster.local"));
  EXPECT_TRUE(same_place("shop", "10.0.0.1"));
  EXPECT_TRUE(same_place("bank", "10.0.0.9"));
  EXPECT_FALSE(same_place("shop", "10.0.0.2")) << "nobody was there before";
}

TEST_F(Moved, ServicesThatCameLeaveNothingAsItWas) {
  mesh.apply(
      "apiVersion: v1\nkind: Service\nmetadata: {name: new, namespace: shop}\n"
      "spec: {ports: [{port: 80}]}\n");
  EXPECT_FALSE(mesh.snapshot().same_declared(*before));
  EXPECT_FALSE(same_place("bank", "10.0.0.9"));
}

TEST_F(Moved, AProxyIsElsewhereOnceItsWorkloadSaysSomethingElse) {
  mesh.apply(pod("shop/web-1", "cart", "10.0.0.1"));
  EXPECT_FALSE(same_place("shop", "10.0.0.1")) << "other labels";
  EXPECT_TRUE(same_place("bank", "10.0.0.9"));
  mesh.apply(pod("shop/web-1", "web", "10.0.0.1", "9090"));
  EXPECT_FALSE(same_place("shop", "10.0.0.1")) << "another target port";
  mesh.apply(pod("shop/web-1", "web", "10.0.0.1", "8080", "graymesh.io/lane-stamp: 'false'"));
  EXPECT_FALSE(same_place("shop", "10.0.0.1")) << "no stamp";
  mesh.apply(pod("shop/web-1", "web", "10.0.0.1"));
  EXPECT_TRUE(same_place("shop", "10.0.0.1")) << "as it was";
}

TEST_F(Moved, AProxyIsElsewhereOnceAnEndpointNamesIt) {
  mesh.apply(slice("cart", "10.0.0.1"));
  EXPECT_FALSE(same_place("shop", "10.0.0.1"));
  EXPECT_TRUE(same_place("bank", "10.0.0.9"));
}

}  // namespace
}  // namespace graymesh::snapshot
