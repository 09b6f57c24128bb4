// Near endpoints first: trafficDistribution, internalTrafficPolicy, and localityLbSetting by
// labels.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "mesh.h"

namespace graymesh::feature {
namespace {

struct Where {
  std::string node, zone;  // "n1", "z1"; in region r1, but z9 in r9
};

std::string node(const Where& where) {
  const std::string region = where.zone == "z9" ? "r9" : "r1";
  return "---\napiVersion: v1\nkind: Node\nmetadata: {name: " + where.node +
         ", labels: {topology.kubernetes.io/region: " + region +
         ", topology.kubernetes.io/zone: " + where.zone + "}}\n";
}

std::string pod(const std::string& name, const std::string& address, const std::string& node,
                bool ready = true, const std::string& labels = "v: a") {
  return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name +
         ", namespace: fe-pre, labels: {app: cart, " + labels + "}}\nspec: {nodeName: " + node +
         "}\nstatus: {phase: Running, podIP: " + address +
         ", conditions: [{type: Ready, status: \"" + (ready ? "True" : "False") + "\"}]}\n";
}

// The Service cart: in its metadata and spec these as well.
std::string cart(const std::string& metadata, const std::string& spec) {
  return "---\napiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: fe-pre" + metadata +
         "}\nspec: {clusterIP: 10.96.0.1, selector: {app: cart}, ports: [{name: http, port: "
         "8080}]" +
         spec + "}\n";
}

// Two nodes in a zone, one in another, one in another region; a pod on each.
std::string places() {
  return node({"n1", "z1"}) + node({"n2", "z1"}) + node({"n3", "z2"}) + node({"n4", "z9"}) +
         pod("cart-1", "10.1.0.1", "n1") + pod("cart-2", "10.1.0.2", "n2") +
         pod("cart-3", "10.1.0.3", "n3") + pod("cart-4", "10.1.0.4", "n4");
}

resource::Node on(const std::string& node, const std::string& zone) {
  auto proxy = sidecar_node("web");
  proxy.node_name = node;
  if (!zone.empty()) proxy.region = zone == "z9" ? "r9" : "r1";
  proxy.zone = zone;
  return proxy;
}

// The last numbers of the addresses, "1 2 > 3 > 4": those behind > take over from those before. One
// that is not ready has a minus.
std::string order_in(const Json& assignment) {
  std::map<int, std::string> by_priority;
  for (const auto& group : assignment.value("endpoints", Json::array())) {
    auto& text = by_priority[group.value("priority", 0)];
    for (const auto& each : group.value("lb_endpoints", Json::array())) {
      const std::string address = each["endpoint"]["address"]["socket_address"]["address"];
      text += text.empty() ? "" : " ";
      if (each.value("health_status", "") == "UNHEALTHY") text += "-";
      text += address.substr(address.rfind('.') + 1);
    }
  }
  std::string out;
  for (const auto& [priority, text] : by_priority) out += (out.empty() ? "" : " > ") + text;
  return out;
}

const std::string cluster = outbound(8080, "", "cart");

std::string order(const Mesh& mesh, const resource::Node& proxy) {
  return order_in(mesh.proxy(proxy).endpoints(cluster));
}

std::string rule(const std::string& policy, const std::string& host = "cart") {
  return "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: cart, "
         "namespace: fe-pre}\nspec: {host: " +
         host + ", trafficPolicy: {" + policy + "}}\n";
}

std::string by_labels(const std::string& labels) {
  return "outlierDetection: {consecutive5xxErrors: 3}, loadBalancer: {localityLbSetting: "
         "{failoverPriority: [" +
         labels + "]}}";
}

TEST(TrafficDistribution, PrefersTheZoneAndThenTheRegion) {
  for (const char* word : {"PreferClose", "PreferSameZone"}) {
    const Mesh mesh(places() + cart("", std::string(", trafficDistribution: ") + word));
    EXPECT_EQ(order(mesh, on("n1", "z1")), "1 2 > 3 > 4") << word;
    EXPECT_EQ(order(mesh, on("n3", "z2")), "3 > 1 2 > 4") << word;
  }
}

TEST(TrafficDistribution, PrefersTheNodeWhereItSaysSo) {
  const Mesh mesh(places() + cart("", ", trafficDistribution: PreferSameNode"));
  EXPECT_EQ(order(mesh, on("n2", "z1")), "2 > 1 > 3 > 4");
}

TEST(TrafficDistribution, IsAnAnnotationToo) {
  const std::string prefers = ", annotations: {networking.istio.io/traffic-distribution: ";
  EXPECT_EQ(order(Mesh(places() + cart(prefers + "preferclose}", "")), on("n1", "z1")),
            "1 2 > 3 > 4");
  EXPECT_EQ(order(Mesh(places() +
                       cart(prefers + "PreferSameNode}", ", trafficDistribution: PreferClose")),
                  on("n1", "z1")),
            "1 2 > 3 > 4")
      << "the spec goes before";
  const std::string of_namespace =
      "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: fe-pre" + prefers + "PreferClose}}\n";
  EXPECT_EQ(order(Mesh(of_namespace + places() + cart("", "")), on("n1", "z1")), "1 2 > 3 > 4");
  EXPECT_EQ(order(Mesh(of_namespace + places() + cart(prefers + "Any}", "")), on("n1", "z1")),
            "1 2 3 4")
      << "another word is none";
}

TEST(TrafficDistribution, OfANamespaceThatChangesItsMindIsHeeded) {
  const std::string rest = places() + cart("", "");
  Mesh mesh(rest);
  EXPECT_EQ(order(mesh, on("n1", "z1")), "1 2 3 4");
  mesh.change(rest +
              "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: fe-pre, annotations: "
              "{networking.istio.io/traffic-distribution: PreferClose}}\n");
  EXPECT_EQ(order(mesh, on("n1", "z1")), "1 2 > 3 > 4");
  mesh.change(rest);
  EXPECT_EQ(order(mesh, on("n1", "z1")), "1 2 3 4");
}

TEST(TrafficDistribution, OfAServiceEntryIsItsAnnotation) {
  const std::string entry = R"(---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: far, namespace: fe-pre, annotations: {networking.istio.io/traffic-distribution: PreferClose}}
spec:
  hosts: [far.example]
  resolution: STATIC
  ports: [{number: 8080, name: http, protocol: HTTP}]
  endpoints: [{address: 10.2.0.1, locality: r9/z9}, {address: 10.2.0.2, locality: r1/z1}]
)";
  const Mesh mesh(entry);
  const Proxy web = mesh.proxy(on("n1", "z1"));
  EXPECT_EQ(order_in(web.endpoints(outbound(8080, "", "far.example"))), "2 > 1");
}

TEST(TrafficDistribution, NeverSendsRequestsToWhatIsNotReady) {
  const std::string pods = node({"n1", "z1"}) + node({"n3", "z2"}) +
                           pod("cart-1", "10.1.0.1", "n1", false) +
                           pod("cart-2", "10.1.0.2", "n1", false) + pod("cart-3", "10.1.0.3", "n3");
  const Mesh mesh(pods + cart("", ", trafficDistribution: PreferClose"));
  const Proxy web = mesh.proxy(on("n1", "z1"));
  EXPECT_EQ(order_in(web.endpoints(cluster)), "-1 -2 > 3") << "Envoy is told, so that 3 takes over";
  const Json common = web.cluster(cluster)["common_lb_config"];
  ASSERT_TRUE(common.contains("healthy_panic_threshold")) << "50 %: all would be asked";
  EXPECT_EQ(common["healthy_panic_threshold"], Json::object()) << "0 %";
  EXPECT_TRUE(common.contains("locality_weighted_lb_config"));

  const Mesh given(pods + cart("", ", trafficDistribution: PreferClose") +
                   rule("outlierDetection: {consecutive5xxErrors: 3, minHealthPercent: 30}"));
  EXPECT_EQ(
      given.proxy(on("n1", "z1")).cluster(cluster)["common_lb_config"]["healthy_panic_threshold"],
      Json::object());

  const Proxy plain = Mesh(pods + cart("", "")).proxy(on("n1", "z1"));
  EXPECT_EQ(order_in(plain.endpoints(cluster)), "3");
  EXPECT_FALSE(plain.cluster(cluster)["common_lb_config"].contains("healthy_panic_threshold"));
}

TEST(TrafficDistribution, OfAnUnknownWordIsToldAndKeepsWhatIsNotReadyOut) {
  const Mesh mesh(node({"n1", "z1"}) + pod("cart-1", "10.1.0.1", "n1", false) +
                  pod("cart-2", "10.1.0.2", "n1") +
                  cart(", annotations: {networking.istio.io/traffic-distribution: Nearby}", ""));
  EXPECT_EQ(order(mesh, on("n1", "z1")), "2");
  EXPECT_TRUE(mesh.mentions(
      "Service fe-pre/cart: metadata.annotations[networking.istio.io/traffic-distribution] Nearby, "
      "is not PreferClose, PreferSameZone or PreferSameNode"));
}

TEST(TrafficDistribution, YieldsToTheRuleAndGoesBeforeTheMesh) {
  const std::string prefers = cart("", ", trafficDistribution: PreferClose");
  EXPECT_EQ(
      order(Mesh(places() + prefers + rule("loadBalancer: {localityLbSetting: {enabled: false}}")),
            on("n1", "z1")),
      "1 2 3 4");
  EXPECT_EQ(order(Mesh(places() + prefers, "localityLbSetting: {enabled: false}"), on("n1", "z1")),
            "1 2 > 3 > 4");
}

TEST(InternalTrafficPolicy, LocalStaysOnTheNode) {
  const Mesh mesh(places() + cart("", ", internalTrafficPolicy: Local"));
  EXPECT_EQ(order(mesh, on("n1", "z1")), "1");
  EXPECT_EQ(order(mesh, on("n4", "z9")), "4");
  EXPECT_EQ(order(mesh, on("n7", "z1")), "") << "nobody is there";
  EXPECT_EQ(order(Mesh(places() + cart("", ", internalTrafficPolicy: Cluster")), on("n1", "z1")),
            "1 2 3 4");
}

TEST(InternalTrafficPolicy, LeavesEverythingElseSharedByTheNodes) {
  const Mesh mesh(places() + cart("", ", internalTrafficPolicy: Local") + app("pay"));
  const Proxy one = mesh.proxy(on("n1", "z1")), two = mesh.proxy(on("n2", "z1"));
  for (const auto type :
       {resource::Type::cluster, resource::Type::listener, resource::Type::route}) {
    EXPECT_TRUE(std::ranges::equal(one.config().of(type), two.config().of(type)));
  }
  const std::string pay = outbound(8080, "", "pay");
  EXPECT_EQ(*one.config().find(resource::Type::endpoints, pay),
            *two.config().find(resource::Type::endpoints, pay));
  EXPECT_NE(*one.config().find(resource::Type::endpoints, cluster),
            *two.config().find(resource::Type::endpoints, cluster));
}

TEST(FailoverPriority, ComparesLabelsOfAProxyThatIsNowhere) {
  const Mesh mesh(places() + pod("cart-5", "10.1.0.5", "n1", true, "v: b") + cart("", "") +
                  rule(by_labels("v")));
  auto proxy = on("", "");
  proxy.labels["v"] = "b";
  EXPECT_EQ(order(mesh, proxy), "5 > 1 2 3 4");
}

TEST(FailoverPriority, ComparesAGatewaysLabels) {
  const Mesh mesh(places() + pod("cart-5", "10.1.0.5", "n1", true, "v: b") + cart("", "") +
                  rule(by_labels("v")));
  auto gateway = gateway_node();
  gateway.labels["v"] = "b";
  EXPECT_EQ(order(mesh, gateway), "5 > 1 2 3 4");
}

TEST(FailoverPriority, KnowsNodeNetworkAndCluster) {
  const std::string pods = node({"n1", "z1"}) + node({"n2", "z1"}) +
                           pod("cart-1", "10.1.0.1", "n1", true, "topology.istio.io/network: far") +
                           pod("cart-2", "10.1.0.2", "n2", true, "topology.istio.io/network: own") +
                           cart("", "");
  auto proxy = on("n1", "z1");
  proxy.network = "own";
  proxy.cluster_id = "c1";
  EXPECT_EQ(order(Mesh(pods + rule(by_labels("kubernetes.io/hostname"))), proxy), "1 > 2");
  EXPECT_EQ(order(Mesh(pods + rule(by_labels("topology.istio.io/network"))), proxy), "2 > 1");
  EXPECT_EQ(order(Mesh(pods + rule(by_labels("topology.istio.io/cluster"))), proxy), "1 2");
}

TEST(FailoverPriority, AnotherNetworkComesBehindAllOfTheOwn) {
  const auto far = [](const std::string& name, const std::string& address,
                      const std::string& node) {
    return pod(name, address, node, true, "topology.istio.io/network: far");
  };
  const Mesh mesh(places() + far("cart-5", "10.1.0.5", "n1") + far("cart-6", "10.1.0.6", "n3") +
                  cart("", "") +
                  rule(by_labels("topology.istio.io/network, topology.kubernetes.io/region, "
                                 "topology.kubernetes.io/zone")));
  EXPECT_EQ(order(mesh, on("n1", "z1")), "1 2 > 3 > 4 > 5 > 6")
      << "the nearest of another network behind the farthest of the own";
}

TEST(FailoverPriority, HoldsForEndpointsByDns) {
  const std::string entry = R"(---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: far, namespace: fe-pre}
spec:
  hosts: [far.example]
  resolution: DNS
  ports: [{number: 8080, name: http, protocol: HTTP}]
  endpoints: [{address: 10.2.0.1, labels: {v: a}}, {address: 10.2.0.2, labels: {v: b}}]
)";
  const Mesh mesh(entry + rule(by_labels("v"), "far.example"));
  auto proxy = on("", "");
  proxy.labels["v"] = "b";
  const std::string name = outbound(8080, "", "far.example");
  EXPECT_EQ(order_in(mesh.proxy(proxy).cluster(name)["load_assignment"]), "2 > 1");
  proxy.labels["v"] = "a";
  EXPECT_EQ(order_in(mesh.proxy(proxy).cluster(name)["load_assignment"]), "1 > 2");
}

TEST(Distribute, FromAnywhereHoldsForAProxyThatIsNowhere) {
  const Mesh mesh(places() + cart("", "") +
                  rule("loadBalancer: {localityLbSetting: {distribute: [{from: \"*\", to: {r1/*: "
                       "70, r9/*: 30}}]}}"));
  const Json groups = mesh.proxy(on("", "")).endpoints(cluster)["endpoints"];
  ASSERT_EQ(groups.size(), 3u);
  EXPECT_EQ(groups[0]["load_balancing_weight"], 47) << "2 of the 3 in r1";
  EXPECT_EQ(groups[2]["load_balancing_weight"], 30);
}

TEST(WorkloadHealth, KeepsAnEntryOutThatDoesNotPassItsChecks) {
  const auto entry = [](const std::string& name, const std::string& address,
                        const std::string& annotation, const std::string& healthy) {
    return "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: " +
           name + ", namespace: fe-pre, labels: {app: cart}, annotations: {" + annotation +
           "}}\nspec: {address: " + address + "}\n" +
           (healthy.empty()
                ? ""
                : "status: {conditions: [{type: Healthy, status: \"" + healthy + "\"}]}\n");
  };
  const std::string checked = "proxy.istio.io/health-checks-enabled: \"true\"";
  const Mesh mesh(cart("", "") + entry("a", "10.2.0.1", checked, "True") +
                  entry("b", "10.2.0.2", checked, "False") + entry("c", "10.2.0.3", checked, "") +
                  entry("d", "10.2.0.4", "", "False") + R"(---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: vm, namespace: fe-pre}
spec:
  hosts: [vm.example]
  resolution: STATIC
  ports: [{number: 8080, name: http, protocol: HTTP}]
  workloadSelector: {labels: {app: cart}}
)");
  const Proxy web = mesh.proxy(on("n1", "z1"));
  EXPECT_EQ(order_in(web.endpoints(cluster)), "1 4");
  EXPECT_EQ(order_in(web.endpoints(outbound(8080, "", "vm.example"))), "1 4");
}

}  // namespace
}  // namespace graymesh::feature
