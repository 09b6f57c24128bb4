#include <gmock/gmock.h>

#include "control/snapshot/test_mesh.h"

namespace graymesh::snapshot {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view host = "web.shop.svc.cluster.local";

constexpr std::string_view web = R"(
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 10.96.0.1
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}, {name: grpc, port: 81, targetPort: rpc}]
)";

constexpr std::string_view pods = R"(
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web, canarytag: feature-a}}
spec:
  serviceAccountName: web
  nodeName: n1
  containers: [{name: app, ports: [{name: rpc, containerPort: 9090}]}]
status: {phase: Running, podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-2, namespace: shop, labels: {app: web}}
spec: {nodeName: n2, containers: [{name: app}]}
status: {phase: Running, podIP: 10.0.0.2, podIPs: [{ip: 10.0.0.2}], conditions: [{type: Ready, status: "True"}]}
)";

constexpr std::string_view slice = R"(
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-abc, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}, {name: grpc, port: 9090, protocol: TCP}]
endpoints:
- {addresses: [10.0.0.2], conditions: {ready: true}, targetRef: {kind: Pod, name: web-2, namespace: shop}}
- {addresses: [10.0.0.1], conditions: {ready: true}, targetRef: {kind: Pod, name: web-1, namespace: shop}}
)";

TestMesh whole_mesh() {
  TestMesh mesh(web);
  mesh.apply(pods).apply(slice);
  return mesh;
}

// A slice of one address, not backed by a pod.
std::string lone_slice(const std::string& conditions) {
  return R"(
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-abc, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.0.0.1], conditions: )" +
         conditions + "}]\n";
}

TEST(EndpointSlice, GivesEachPortItsEndpointsByNameSortedByAddress) {
  TestMesh mesh = whole_mesh();
  EXPECT_EQ(mesh.endpoints(host, 0), "10.0.0.1:8080 10.0.0.2:8080");
  EXPECT_EQ(mesh.endpoints(host, 1), "10.0.0.1:9090 10.0.0.2:9090");
}

TEST(EndpointSlice, TakesLabelsAccountAndLocalityFromPodAndNode) {
  TestMesh mesh = whole_mesh();
  mesh.apply(R"(
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: eu-1, topology.istio.io/subzone: rack-7}}
)");
  const auto& snapshot = mesh.snapshot();
  const auto endpoints = snapshot.endpoints(*snapshot.service(host));
  const Endpoint& last = endpoints->by_port[0].back();  // localities sort before addresses
  EXPECT_EQ(last.address, "10.0.0.1");
  EXPECT_EQ(last.labels.at("canarytag"), "feature-a");
  EXPECT_EQ(last.service_account, "web");
  EXPECT_EQ(last.namespace_, "shop");
  EXPECT_EQ(last.locality, (Locality{"eu", "eu-1", "rack-7"}));
  EXPECT_EQ(last.node, "n1");
  EXPECT_EQ(last.weight, 1U);
}

TEST(EndpointSlice, SeveralOfOneServiceAreUnitedAndAnAddressCountsOnce) {
  TestMesh mesh = whole_mesh();
  mesh.apply(R"(
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-def, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.0.0.1]}, {addresses: [10.0.0.9]}]
)");
  EXPECT_EQ(mesh.endpoints(host), "10.0.0.1:8080 10.0.0.2:8080 10.0.0.9:8080");
}

TEST(EndpointSlice, OfIpv6IsTakenAndOfNamesIsNot) {
  TestMesh mesh(web);
  mesh.apply(R"(
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: six, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv6
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: ["fd00::1"]}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: names, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: FQDN
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [web.example.com]}]
)");
  EXPECT_EQ(mesh.endpoints(host), "fd00::1:8080");
  EXPECT_THAT(
      mesh.problems(),
      ElementsAre("mesh.yaml:9 EndpointSlice shop/names: addressType FQDN, is not supported: "
                  "the slice is left out"));
}

TEST(EndpointSlice, NamingAPodThatIsNotThereWaitsForIt) {
  TestMesh mesh(web);
  mesh.apply(slice).apply(pods).remove(model::Kind::pod, "shop", "web-1");
  EXPECT_EQ(mesh.endpoints(host), "10.0.0.2:8080");
  EXPECT_THAT(mesh.problems(), Contains(HasSubstr("endpoints[1].targetRef.name web-1")));
  mesh.apply(pods);
  EXPECT_EQ(mesh.endpoints(host), "10.0.0.1:8080 10.0.0.2:8080");
}

TEST(EndpointSlice, IsTakenAsItIsWhereANamespaceHasNoPodsAtAll) {
  TestMesh mesh(web);
  mesh.apply(slice);
  EXPECT_EQ(mesh.endpoints(host), "10.0.0.1:8080 10.0.0.2:8080");
}

TEST(EndpointHealth, LeavesOutWhatIsNotReadyOrTerminating) {
  TestMesh mesh(web);
  EXPECT_EQ(mesh.apply(lone_slice("{ready: true}")).endpoints(host), "10.0.0.1:8080");
  EXPECT_EQ(mesh.apply(lone_slice("{}")).endpoints(host), "10.0.0.1:8080");
  EXPECT_EQ(mesh.apply(lone_slice("{ready: false}")).endpoints(host), "");
  EXPECT_EQ(
      mesh.apply(lone_slice("{ready: false, serving: true, terminating: true}")).endpoints(host),
      "");
}

TEST(EndpointHealth, KeepsWhatIsNotReadyIfTheServicePublishesIt) {
  TestMesh mesh(R"(
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: None, publishNotReadyAddresses: true, ports: [{name: http, port: 80}]}
)");
  mesh.apply(lone_slice("{ready: false}"));
  EXPECT_EQ(mesh.endpoints(host), "10.0.0.1:8080");
}

TEST(EndpointHealth, TellsOfWhatIsNotReadyWhereOthersTakeOver) {
  const auto service = [](const std::string& annotation) {
    return "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop, annotations: "
           "{networking.istio.io/traffic-distribution: " +
           annotation + "}}\nspec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}\n";
  };
  TestMesh mesh(lone_slice("{ready: false}"));
  EXPECT_EQ(mesh.apply(service("PreferClose")).endpoints(host), "10.0.0.1:8080 (unhealthy)");
  EXPECT_EQ(mesh.apply(service("Nearby")).endpoints(host), "") << "no word for a preference";
  mesh.apply(web);
  EXPECT_EQ(mesh.endpoints(host), "");
  mesh.apply(
      "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, annotations: "
      "{networking.istio.io/traffic-distribution: PreferSameNode}}\n");
  EXPECT_EQ(mesh.endpoints(host), "10.0.0.1:8080 (unhealthy)");
  EXPECT_EQ(mesh.snapshot().service(host)->distribution, model::TrafficDistribution::same_node);
}

TEST(EndpointHealth, KeepsDrainingOnesForPersistentSessions) {
  TestMesh mesh(R"(
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, labels: {istio.io/persistent-session: cookie}}
spec: {ports: [{name: http, port: 80}]}
)");
  mesh.apply(lone_slice("{ready: false, serving: true, terminating: true}"));
  EXPECT_EQ(mesh.endpoints(host), "10.0.0.1:8080 (draining)");
  mesh.apply(lone_slice("{ready: false, serving: false, terminating: true}"));
  EXPECT_EQ(mesh.endpoints(host), "");
}

constexpr std::string_view old_endpoints = R"(
apiVersion: v1
kind: Endpoints
metadata: {name: web, namespace: shop}
subsets:
- addresses: [{ip: 10.0.0.7}]
  ports: [{name: http, port: 8080}]
)";

TEST(Endpoints, ServeAServiceWithoutSlices) {
  TestMesh mesh(web);
  EXPECT_EQ(mesh.apply(old_endpoints).endpoints(host), "10.0.0.7:8080");
}

TEST(Endpoints, AreNotHeededBesideSlicesWhichMirrorThem) {
  TestMesh mesh = whole_mesh();
  EXPECT_EQ(mesh.apply(old_endpoints).endpoints(host), "10.0.0.1:8080 10.0.0.2:8080");
}

TEST(Pods, AnswerForAServiceThatHasNeitherSlicesNorEndpoints) {
  TestMesh mesh(web);
  mesh.apply(pods);
  EXPECT_EQ(mesh.endpoints(host, 0), "10.0.0.1:8080 10.0.0.2:8080");
  EXPECT_EQ(mesh.endpoints(host, 1), "10.0.0.1:9090") << "web-2 has no container port `rpc`";
}

TEST(WorkloadEntries, AnswerForTheKubernetesServiceThatSelectsThem) {
  TestMesh mesh = whole_mesh();
  mesh.apply(R"(
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm, namespace: shop}
spec: {address: 10.1.0.1, labels: {app: web}, ports: {http: 7070}, locality: eu/eu-2, weight: 5}
)");
  EXPECT_EQ(mesh.endpoints(host, 0), "10.0.0.1:8080 10.0.0.2:8080 10.1.0.1:7070");
  const auto* vm = mesh.snapshot().workload("10.1.0.1");
  ASSERT_NE(vm, nullptr);
  EXPECT_EQ(vm->locality, (Locality{"eu", "eu-2", ""}));
  EXPECT_EQ(vm->weight, 5U);
  EXPECT_EQ(vm->workload, "vm");
}

TEST(WorkloadEntries, AnswerOnceTheyPassTheirChecks) {
  TestMesh mesh(web);
  const auto vm = [](const std::string& healthy) {
    return "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: vm, "
           "namespace: shop, annotations: {proxy.istio.io/health-checks-enabled: \"true\"}}\nspec: "
           "{address: 10.1.0.1, labels: {app: web}}\nstatus: {conditions: [{type: Healthy, status: "
           "\"" +
           healthy + "\"}]}\n";
  };
  EXPECT_EQ(mesh.apply(vm("False")).endpoints(host), "");
  EXPECT_EQ(mesh.apply(vm("True")).endpoints(host), "10.1.0.1:8080");
}

constexpr std::string_view selecting_entry = R"(
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: all-web, namespace: shop}
spec:
  hosts: [all.example.com]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  location: MESH_INTERNAL
  resolution: STATIC
  workloadSelector: {labels: {app: web}}
)";

TEST(ServiceEntry, WithASelectorIsAnsweredByPodsAndWorkloadEntries) {
  TestMesh mesh(selecting_entry);
  mesh.apply(pods).apply(R"(
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm, namespace: shop, labels: {app: web}}
spec: {address: 10.1.0.1, ports: {http: 7070}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: other, namespace: shop}
spec: {address: 10.1.0.2, labels: {app: other}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: far, namespace: bank}
spec: {address: 10.1.0.3, labels: {app: web}}
)");
  EXPECT_EQ(mesh.endpoints("all.example.com"), "10.0.0.1:8080 10.0.0.2:8080 10.1.0.1:7070");
}

TEST(ServiceEntry, HasItsInlineEndpointsWithTheirOwnPorts) {
  TestMesh mesh(R"(
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: shop}
spec:
  hosts: [api.example.com]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  resolution: STATIC
  endpoints:
  - {address: 10.0.0.1, ports: {http: 7000}, labels: {version: v1}}
  - {address: 10.0.0.2}
  - {address: "unix:///var/run/api.sock"}
)");
  EXPECT_EQ(mesh.endpoints("api.example.com"),
            "10.0.0.1:7000 10.0.0.2:8080 unix:///var/run/api.sock:0");
}

TEST(ServiceEntry, OverDnsIsAnsweredByItsOwnHost) {
  TestMesh mesh(R"(
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: shop}
spec:
  hosts: [api.example.com]
  ports: [{number: 443, name: https, protocol: HTTPS}]
  resolution: DNS
)");
  EXPECT_EQ(mesh.endpoints("api.example.com"), "api.example.com:443");
}

std::string inbound_of(const Snapshot& snapshot, const std::vector<std::string>& addresses,
                       const model::Labels& labels) {
  std::string result;
  for (const auto& inbound : snapshot.inbound("shop", addresses, labels)) {
    if (!result.empty()) result += ' ';
    result += inbound.service->host + ':' +
              std::to_string(inbound.service->ports[inbound.port].number) + '>' +
              std::to_string(inbound.target_port);
  }
  return result;
}

TEST(Inbound, IsWhatEndpointsWithTheAddressServe) {
  TestMesh mesh = whole_mesh();
  EXPECT_EQ(inbound_of(mesh.snapshot(), {"10.0.0.1"}, {}),
            "web.shop.svc.cluster.local:80>8080 web.shop.svc.cluster.local:81>9090");
}

TEST(Inbound, IsThereBeforeTheWorkloadIsReady) {
  TestMesh mesh(web);
  mesh.apply(lone_slice("{ready: false}"));
  EXPECT_EQ(mesh.endpoints(host), "");
  EXPECT_EQ(inbound_of(mesh.snapshot(), {"10.0.0.1"}, {}), "web.shop.svc.cluster.local:80>8080");
}

TEST(Inbound, OfAnUnknownAddressIsWhatSelectsItsLabels) {
  TestMesh mesh = whole_mesh();
  EXPECT_EQ(inbound_of(mesh.snapshot(), {"127.0.0.1"}, {{"app", "web"}}),
            "web.shop.svc.cluster.local:80>8080")
      << "where the named port leads is known of pods only";
  EXPECT_EQ(inbound_of(mesh.snapshot(), {"127.0.0.1"}, {{"app", "cart"}}), "");
}

TEST(Workload, IsFoundByItsAddressUnlessItIsTheNodes) {
  TestMesh mesh = whole_mesh();
  mesh.apply(R"(
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: shop}
spec: {hostNetwork: true, containers: [{name: app}]}
status: {phase: Running, podIP: 192.168.0.1, podIPs: [{ip: 192.168.0.1}]}
)");
  ASSERT_NE(mesh.snapshot().workload("10.0.0.1"), nullptr);
  EXPECT_EQ(mesh.snapshot().workload("10.0.0.1")->labels.at("app"), "web");
  EXPECT_EQ(mesh.snapshot().workload("192.168.0.1"), nullptr);
  EXPECT_EQ(mesh.snapshot().workload("10.9.9.9"), nullptr);
}

}  // namespace
}  // namespace graymesh::snapshot
