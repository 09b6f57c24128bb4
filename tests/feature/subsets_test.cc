// A subset is a cluster of its own, with the instances that carry its labels.
#include <gtest/gtest.h>

#include <algorithm>

#include "mesh.h"

namespace graymesh::feature {
namespace {

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

TEST(Subsets, EachIsAClusterBesideTheWholeService) {
  const Mesh mesh(app("cart", {"baseline", "feature-a"}) +
                  subsets("cart", {"baseline", "feature-a"}));
  const auto clusters = mesh.sidecar("web").clusters();
  for (const std::string subset : {"", "baseline", "feature-a"}) {
    EXPECT_TRUE(has(clusters, outbound(8080, subset, "cart"))) << subset;
  }
}

TEST(Subsets, HaveExactlyTheInstancesThatCarryAllTheirLabels) {
  const Mesh mesh(app("cart", {"baseline", "feature-a", "feature-b"}) + R"(---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart, namespace: fe-pre}
spec:
  host: cart
  subsets:
  - {name: gray, labels: {stage: gray}}
  - {name: b, labels: {stage: gray, canarytag: feature-b}}
  - {name: all}
)");
  const Proxy web = mesh.sidecar("web");
  EXPECT_EQ(web.addresses(outbound(8080, "gray", "cart")).size(), 2u);
  EXPECT_EQ(web.addresses(outbound(8080, "b", "cart")).size(), 1u);
  EXPECT_EQ(web.addresses(outbound(8080, "all", "cart")).size(), 3u) << "no labels select all";
}

TEST(Subsets, OneThatSelectsNothingIsAnEmptyClusterAndAProblemOfItsRule) {
  const Mesh mesh(app("cart") + subsets("cart", {"baseline", "feature-z"}));
  const Proxy web = mesh.sidecar("web");
  EXPECT_TRUE(has(web.clusters(), outbound(8080, "feature-z", "cart")));
  EXPECT_EQ(web.endpoints(outbound(8080, "feature-z", "cart"))["cluster_name"],
            outbound(8080, "feature-z", "cart"))
      << "an assignment must come, or Envoy waits for it";
  EXPECT_TRUE(web.addresses(outbound(8080, "feature-z", "cart")).empty());
  EXPECT_TRUE(mesh.mentions("DestinationRule fe-pre/cart")) << "it is told";
  EXPECT_TRUE(mesh.mentions("feature-z"));
}

TEST(Subsets, ARouteToOneThatDoesNotExistIsAProblemOfItsVirtualService) {
  const Mesh mesh(app("cart") + subsets("cart", {"baseline"}) + R"(---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: fe-pre}
spec:
  hosts: [cart]
  http: [{route: [{destination: {host: cart, subset: nowhere}}]}]
)");
  EXPECT_EQ(mesh.sidecar("web").to("http://cart:8080/"), outbound(8080, "nowhere", "cart"))
      << "as istiod: 503 there";
  EXPECT_TRUE(mesh.mentions("VirtualService fe-pre/cart"));
  EXPECT_TRUE(mesh.mentions("nowhere"));
}

TEST(Subsets, AnInstanceThatIsNotReadyIsLeftOut) {
  const Mesh mesh(app("cart") + R"(---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: cart-1, namespace: fe-pre, labels: {kubernetes.io/service-name: cart}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints:
- {addresses: [10.5.0.1], conditions: {ready: true}}
- {addresses: [10.5.0.2], conditions: {ready: false}}
- {addresses: [10.5.0.3], conditions: {ready: false, serving: true, terminating: true}}
- {addresses: [10.5.0.4]}
)");
  EXPECT_EQ(mesh.sidecar("web").addresses(outbound(8080, "", "cart")),
            (std::vector<std::string>{"10.5.0.1:8080", "10.5.0.4:8080"}));
}

TEST(Subsets, ANamedTargetPortIsTakenFromEachInstance) {
  const Mesh mesh(R"(
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: fe-pre}
spec:
  clusterIP: 10.96.0.9
  selector: {app: cart}
  ports: [{name: http, port: 80, targetPort: web}]
---
apiVersion: v1
kind: Pod
metadata: {name: cart-1, namespace: fe-pre, labels: {app: cart}}
spec: {containers: [{name: app, ports: [{name: web, containerPort: 8001}]}]}
status: {phase: Running, podIP: 10.1.9.1, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: cart-2, namespace: fe-pre, labels: {app: cart}}
spec: {containers: [{name: app, ports: [{name: web, containerPort: 8002}]}]}
status: {phase: Running, podIP: 10.1.9.2, conditions: [{type: Ready, status: "True"}]}
)");
  EXPECT_EQ(mesh.sidecar("web").addresses(outbound(80, "", "cart")),
            (std::vector<std::string>{"10.1.9.1:8001", "10.1.9.2:8002"}));
}

TEST(Subsets, TheFirstRuleOfAHostGivesThePolicyAndOthersAddSubsets) {
  const Mesh mesh(app("cart", {"baseline", "feature-a"}) + R"(---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a-first, namespace: fe-pre}
spec:
  host: cart
  trafficPolicy: {loadBalancer: {simple: RANDOM}}
  subsets: [{name: baseline, labels: {stage: normal}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: b-second, namespace: fe-pre}
spec:
  host: cart.fe-pre.svc.cluster.local
  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}
  subsets:
  - {name: baseline, labels: {stage: gray}}
  - {name: feature-a, labels: {canarytag: feature-a}}
)");
  const Proxy web = mesh.sidecar("web");
  EXPECT_EQ(web.cluster(outbound(8080, "feature-a", "cart"))["lb_policy"], "RANDOM");
  const auto everyone = web.addresses(outbound(8080, "", "cart"));
  ASSERT_EQ(everyone.size(), 2u);
  EXPECT_EQ(web.addresses(outbound(8080, "baseline", "cart")),
            (std::vector<std::string>{everyone[0]}))
      << "of two subsets of one name the first stays";
}

}  // namespace
}  // namespace graymesh::feature
