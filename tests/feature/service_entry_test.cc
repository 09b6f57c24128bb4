// ServiceEntry: hosts that Kubernetes does not know, inside the mesh or out of it.
#include <gtest/gtest.h>

#include "mesh.h"

namespace graymesh::feature {
namespace {

std::string entry(const std::string& spec) {
  return "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: bank, "
         "namespace: fe-pre}\nspec:\n"
         "  hosts: [bank.example]\n" +
         spec;
}

TEST(ServiceEntry, StaticEndpointsAreServedByEds) {
  const Mesh mesh(entry(R"(  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  resolution: STATIC
  endpoints:
  - {address: 10.7.0.1}
  - {address: 10.7.0.2, ports: {http: 9090}, weight: 3}
)"));
  const Proxy web = mesh.sidecar("web");
  EXPECT_EQ(web.cluster(outbound(80, "", "bank.example"))["type"], "EDS");
  EXPECT_EQ(web.addresses(outbound(80, "", "bank.example")),
            (std::vector<std::string>{"10.7.0.1:8080", "10.7.0.2:9090"}));
  EXPECT_EQ(web.to("http://bank.example/"), outbound(80, "", "bank.example"));
}

TEST(ServiceEntry, DnsNamesAreResolvedByTheProxy) {
  const Mesh mesh(
      entry("  ports: [{number: 80, name: http, protocol: HTTP}]\n  resolution: DNS\n"));
  const Json cluster = mesh.sidecar("web").cluster(outbound(80, "", "bank.example"));
  EXPECT_EQ(cluster["type"], "STRICT_DNS");
  EXPECT_EQ(cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
                   ["socket_address"]["address"],
            "bank.example");
}

TEST(ServiceEntry, DnsRoundRobinTakesOneAddressAtATime) {
  const Mesh mesh(entry(
      "  ports: [{number: 80, name: http, protocol: HTTP}]\n  resolution: DNS_ROUND_ROBIN\n"));
  EXPECT_EQ(mesh.sidecar("web").cluster(outbound(80, "", "bank.example"))["type"], "LOGICAL_DNS");
}

TEST(ServiceEntry, WithoutResolutionTheOriginalAddressIsUsed) {
  const Mesh mesh(
      entry("  ports: [{number: 443, name: tls, protocol: TLS}]\n  resolution: NONE\n"));
  const Json cluster = mesh.sidecar("web").cluster(outbound(443, "", "bank.example"));
  EXPECT_EQ(cluster["type"], "ORIGINAL_DST");
  EXPECT_EQ(cluster["lb_policy"], "CLUSTER_PROVIDED");
}

TEST(ServiceEntry, SelectsWorkloadEntriesAndPods) {
  const Mesh mesh(entry("  location: MESH_INTERNAL\n  ports: [{number: 80, name: http, protocol: "
                        "HTTP}]\n  resolution: STATIC\n"
                        "  workloadSelector: {labels: {app: bank}}\n") +
                  R"(---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm-1, namespace: fe-pre}
spec: {address: 10.8.0.1, labels: {app: bank}, ports: {http: 8081}}
---
apiVersion: v1
kind: Pod
metadata: {name: bank-1, namespace: fe-pre, labels: {app: bank}}
spec: {containers: [{name: app}]}
status: {phase: Running, podIP: 10.8.0.2, conditions: [{type: Ready, status: "True"}]}
)");
  EXPECT_EQ(mesh.sidecar("web").addresses(outbound(80, "", "bank.example")),
            (std::vector<std::string>{"10.8.0.1:8081", "10.8.0.2:80"}));
}

TEST(ServiceEntry, HasSubsetsByTheLabelsOfItsEndpoints) {
  const Mesh mesh(entry("  ports: [{number: 80, name: http, protocol: HTTP}]\n  resolution: "
                        "STATIC\n  endpoints:\n"
                        "  - {address: 10.7.0.1, labels: {version: v1}}\n  - {address: 10.7.0.2, "
                        "labels: {version: v2}}\n") +
                  "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: "
                  "{name: bank, namespace: fe-pre}\n"
                  "spec: {host: bank.example, subsets: [{name: v2, labels: {version: v2}}]}\n");
  EXPECT_EQ(mesh.sidecar("web").addresses(outbound(80, "v2", "bank.example")),
            (std::vector<std::string>{"10.7.0.2:80"}));
}

TEST(ServiceEntry, AWildcardHostTakesEveryNameUnderIt) {
  const Mesh mesh(
      "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: banks, namespace: "
      "fe-pre}\n"
      "spec:\n  hosts: ['*.bank.example']\n  ports: [{number: 80, name: http, protocol: HTTP}]\n  "
      "resolution: NONE\n");
  EXPECT_EQ(mesh.sidecar("web").to("http://a.bank.example/"), outbound(80, "", "*.bank.example"));
}

TEST(ServiceEntry, TlsHostsOnOnePortAreToldApartByTheirNames) {
  const auto tls = [](const std::string& name) {
    return "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " + name +
           ", namespace: fe-pre}\nspec:\n"
           "  hosts: [" +
           name +
           ".example]\n  ports: [{number: 443, name: tls, protocol: TLS}]\n  resolution: DNS\n";
  };
  const Json listener = Mesh(tls("one") + tls("two")).sidecar("web").listener("0.0.0.0_443");
  ASSERT_TRUE(listener.is_object());
  ASSERT_EQ(listener["filter_chains"].size(), 2u);
  EXPECT_EQ(listener["filter_chains"][0]["filter_chain_match"]["server_names"],
            Json::array({"one.example"}));
  EXPECT_EQ(listener["filter_chains"][1]["filter_chain_match"]["server_names"],
            Json::array({"two.example"}));
}

}  // namespace
}  // namespace graymesh::feature
