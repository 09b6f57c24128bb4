// Kubernetes objects as `kubectl get -o yaml` exports them.
#include "model/testing.h"

namespace graymesh::model {
namespace {

using namespace testing;

TEST(Pod, IsReadAsExported) {
  const Object object = object_of(R"(apiVersion: v1
kind: Pod
metadata:
  creationTimestamp: "2024-05-01T12:00:00Z"
  deletionTimestamp: "2024-05-01T12:10:00Z"
  generateName: web-7d4b9c-
  labels: {app: web, pod-template-hash: 7d4b9c}
  name: web-7d4b9c-abcde
  namespace: shop
  ownerReferences:
  - {apiVersion: apps/v1, blockOwnerDeletion: true, controller: true, kind: ReplicaSet, name: web-7d4b9c}
spec:
  containers:
  - image: web
    ports: [{containerPort: 8080, name: http, protocol: TCP}]
    resources: {limits: {cpu: 1}}
  initContainers:
  - {name: proxy, restartPolicy: Always, ports: [{containerPort: 15090}]}
  - {name: once, ports: [{containerPort: 1}]}
  nodeName: n1
  hostNetwork: true
  serviceAccountName: web
  tolerations: [{effect: NoExecute, tolerationSeconds: 300}]
status:
  conditions: [{lastProbeTime: null, status: "True", type: Ready}]
  phase: Running
  podIP: 10.0.0.1
  podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}]
)");
  const Pod& pod = object.as<Pod>();
  EXPECT_EQ(pod.workload, "web");
  EXPECT_EQ(pod.ips, (std::vector<std::string>{"10.0.0.1", "fd00::1"}));
  EXPECT_EQ(pod.ports, (std::vector<ContainerPort>{{"http", 8080, "TCP"}, {"", 15090, "TCP"}}));
  EXPECT_TRUE(pod.ready);
  EXPECT_TRUE(pod.terminating);
  EXPECT_TRUE(pod.host_network);
  EXPECT_EQ(pod.node, "n1");
}

TEST(Pod, WithoutAnOwnerIsItsOwnWorkload) {
  EXPECT_EQ(spec_of<Pod>("apiVersion: v1\nkind: Pod\nmetadata: {name: one}\nspec: {}\n").workload,
            "one");
}

TEST(Pod, OfACronJobIsThatWorkload) {
  EXPECT_EQ(spec_of<Pod>("apiVersion: v1\nkind: Pod\nmetadata: {name: a, ownerReferences: "
                         "[{controller: true, kind: Job, name: tidy-28412345}]}\n")
                .workload,
            "tidy");
}

TEST(Service, IsReadAsExported) {
  const auto service = spec_of<Service>(R"(apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, resourceVersion: "1"}
spec:
  clusterIP: 10.96.0.1
  clusterIPs: [10.96.0.1]
  internalTrafficPolicy: Cluster
  ports:
  - {name: http, port: 80, protocol: TCP, targetPort: 8080, nodePort: 30000}
  - {name: grpc, port: 90, targetPort: grpc, appProtocol: grpc}
  - {port: 91}
  selector: {app: web}
  sessionAffinity: None
  type: ClusterIP
status: {loadBalancer: {}}
)");
  EXPECT_FALSE(service.headless());
  EXPECT_EQ(service.ports.at(0).target_port, 8080u);
  EXPECT_EQ(service.ports.at(1).target_port_name, "grpc");
  EXPECT_EQ(service.ports.at(1).app_protocol, "grpc");
  EXPECT_EQ(service.ports.at(2).protocol, "TCP");
}

TEST(Service, SaysWhichEndpointsComeFirst) {
  const auto service = [](const std::string& annotations, const std::string& spec) {
    return "apiVersion: v1\nkind: Service\nmetadata: {name: web, annotations: {" + annotations +
           "}}\nspec: {ports: [{port: 80}]" + spec + "}\n";
  };
  const auto of = [&](const std::string& annotations, const std::string& spec) {
    return spec_of<Service>(service(annotations, spec)).distribution;
  };
  const std::string annotation = "networking.istio.io/traffic-distribution: ";
  EXPECT_EQ(of("", ""), std::nullopt);
  EXPECT_EQ(of("", ", trafficDistribution: PreferClose"), TrafficDistribution::same_zone);
  EXPECT_EQ(of("", ", trafficDistribution: PreferSameZone"), TrafficDistribution::same_zone);
  EXPECT_EQ(of("", ", trafficDistribution: PreferSameNode"), TrafficDistribution::same_node);
  EXPECT_EQ(of(annotation + "preferSAMENODE", ""), TrafficDistribution::same_node);
  EXPECT_EQ(of(annotation + "PreferSameNode", ", trafficDistribution: PreferClose"),
            TrafficDistribution::same_zone);
  EXPECT_EQ(of(annotation + "Any", ""), TrafficDistribution::any) << "not the namespace's";
  const std::string rule =
      ", is not PreferClose, PreferSameZone or PreferSameNode: no endpoint "
      "comes first";
  EXPECT_EQ(warnings_of(service(annotation + "Any", "")),
            Lines{"f.yaml:3 Service default/web: "
                  "metadata.annotations[networking.istio.io/traffic-distribution] Any" +
                  rule});
  EXPECT_EQ(warnings_of(service("", ", trafficDistribution: Near")),
            Lines{"f.yaml:4 Service default/web: trafficDistribution Near" + rule});
  EXPECT_EQ(
      spec_of<Namespace>("apiVersion: v1\nkind: Namespace\nmetadata: {name: a, annotations: {" +
                         annotation + "PreferClose}}\n")
          .distribution,
      TrafficDistribution::same_zone);
}

TEST(Service, MayKeepTrafficOnTheNode) {
  const auto local = [](const std::string& policy) {
    return spec_of<Service>(
               "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}], "
               "internalTrafficPolicy: " +
               policy + "}\n")
        .node_local;
  };
  EXPECT_TRUE(local("Local"));
  EXPECT_FALSE(local("Cluster"));
}

TEST(Service, WithoutPortsIsAcceptedWithAWarning) {
  EXPECT_EQ(
      warnings_of(
          "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {a: b}}\n"),
      Lines{
          "f.yaml:4 Service default/web: ports is missing: nothing can be routed to this Service"});
  EXPECT_EQ(warnings_of(
                "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: None}\n"),
            Lines{});
  EXPECT_EQ(warnings_of("apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: "
                        "ExternalName, externalName: a.com}\n"),
            Lines{});
}

TEST(Service, WithBadPortsIsRefused) {
  EXPECT_EQ(errors_of("apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  ports:\n  - "
                      "{port: 70000}\n  - {port: \"80\"}\n"),
            (Lines{"f.yaml:6 Service default/web: ports[0].port 70000, must be 1 to 65535",
                   "f.yaml:7 Service default/web: ports[1].port \"80\", must be a number; remove "
                   "the quotes"}));
}

TEST(Node, HasItsAddresses) {
  EXPECT_EQ(spec_of<Node>("apiVersion: v1\nkind: Node\nmetadata: {name: n}\nstatus: {addresses: "
                          "[{type: InternalIP, address: 1.2.3.4}, {type: Hostname, address: n}]}\n")
                .addresses,
            std::vector<std::string>{"1.2.3.4"});
}

TEST(EndpointSlice, ReadsConditionsByTheirDefaults) {
  const auto slice = spec_of<EndpointSlice>(R"(apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 80, appProtocol: null}, {name: ""}]
endpoints:
- {addresses: [10.0.0.1]}
- {addresses: [10.0.0.2], conditions: {ready: false, serving: true, terminating: true}, nodeName: n, zone: z, targetRef: {kind: Pod, name: p, namespace: d}}
)");
  EXPECT_EQ(slice.service, "web");
  EXPECT_EQ(slice.ports.at(1).port, 0u);
  EXPECT_TRUE(slice.endpoints.at(0).ready);
  EXPECT_FALSE(slice.endpoints.at(1).ready);
  EXPECT_TRUE(slice.endpoints.at(1).serving);
  EXPECT_EQ(slice.endpoints.at(1).pod, "p");
}

TEST(Endpoints, AreReadAsSlicesOneASubset) {
  const auto documents = read(R"(apiVersion: v1
kind: Endpoints
metadata: {name: web}
subsets:
- {addresses: [{ip: 10.0.0.1, targetRef: {kind: Pod, name: p}}], notReadyAddresses: [{ip: 10.0.0.2}], ports: [{port: 80, name: http}]}
- {addresses: [{ip: 10.0.0.3}], ports: [{port: 81, name: http}]}
)",
                              "f.yaml");
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[0].key, (Key{Kind::endpoint_slice, "default", "endpoints/web"}));
  EXPECT_EQ(documents[1].key, (Key{Kind::endpoint_slice, "default", "endpoints/web/1"}));
  EXPECT_EQ(to_string(*documents[0].key), "Endpoints default/web");
  const auto& slice = documents[0].object->as<EndpointSlice>();
  EXPECT_EQ(slice.service, "web");
  EXPECT_TRUE(slice.endpoints.at(0).ready);
  EXPECT_FALSE(slice.endpoints.at(1).ready);
  EXPECT_EQ(slice.ports.at(0).port, 80u);
}

TEST(Endpoints, WithoutAnAddressAreRefused) {
  EXPECT_EQ(errors_of("apiVersion: v1\nkind: Endpoints\nmetadata: {name: web}\nsubsets:\n"
                      "- addresses: [{hostname: a}]\n"),
            Lines{"f.yaml:5 Endpoints default/web: subsets[0].addresses[0].ip is required"});
}

}  // namespace
}  // namespace graymesh::model
