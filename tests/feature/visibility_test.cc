// Who sees what: exportTo of every kind, and Istio's Sidecar that narrows what its workloads
// import.
#include <gtest/gtest.h>

#include <algorithm>

#include "mesh.h"

namespace graymesh::feature {
namespace {

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

std::string with_export(std::string yaml, const std::string& export_to) {
  return yaml + "  exportTo: " + export_to + "\n";
}

const std::string cart = app("cart", {"baseline", "feature-a"});
const std::string cart_route =
    "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: cart, "
    "namespace: fe-pre}\n"
    "spec:\n  hosts: [cart]\n  http: [{directResponse: {status: 403}}]\n";

TEST(ExportTo, AServiceForItsNamespaceIsUnknownElsewhere) {
  std::string hidden = cart;
  hidden.replace(hidden.find("{name: cart, namespace: fe-pre}"), 31,
                 "{name: cart, namespace: fe-pre, annotations: {networking.istio.io/exportTo: .}}");
  const Mesh mesh(hidden);
  EXPECT_TRUE(has(mesh.sidecar("web").clusters(), outbound(8080, "", "cart")));
  EXPECT_FALSE(has(mesh.sidecar("web", "other").clusters(), outbound(8080, "", "cart")));
}

TEST(ExportTo, AVirtualServiceForItsNamespaceDoesNotTouchOthers) {
  const Mesh mesh(cart + with_export(cart_route, "['.']"));
  EXPECT_EQ(mesh.sidecar("web").to("http://cart:8080/"), "answers 403");
  EXPECT_EQ(mesh.sidecar("web", "other").to("http://cart.fe-pre:8080/"),
            outbound(8080, "", "cart"));
}

TEST(ExportTo, AVirtualServiceForANamedNamespaceIsForThatOne) {
  const Mesh mesh(cart + with_export(cart_route, "[other]"));
  EXPECT_EQ(mesh.sidecar("web", "other").to("http://cart.fe-pre:8080/"), "answers 403");
  EXPECT_EQ(mesh.sidecar("web", "third").to("http://cart.fe-pre:8080/"),
            outbound(8080, "", "cart"));
}

TEST(ExportTo, ADestinationRuleForItsNamespaceGivesNoSubsetsToOthers) {
  const Mesh mesh(cart + with_export(subsets("cart", {"baseline"}), "['.']"));
  EXPECT_TRUE(has(mesh.sidecar("web").clusters(), outbound(8080, "baseline", "cart")));
  EXPECT_FALSE(has(mesh.sidecar("web", "other").clusters(), outbound(8080, "baseline", "cart")));
}

TEST(ExportTo, TheMeshHasADefault) {
  const Mesh mesh(cart + cart_route, "defaultVirtualServiceExportTo: ['.']");
  EXPECT_EQ(mesh.sidecar("web", "other").to("http://cart.fe-pre:8080/"),
            outbound(8080, "", "cart"));
}

std::string sidecar(const std::string& spec, const std::string& name = "default",
                    const std::string& namespace_ = "fe-pre") {
  return "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: " + name +
         ", namespace: " + namespace_ + "}\nspec:\n" + spec;
}

const std::string everything =
    cart + app("pay") + app("cart", {"baseline"}, "other") + app("report", {"baseline"}, "other");

TEST(SidecarScope, OnlyImportedHostsHaveClustersAndRoutes) {
  const Mesh mesh(everything +
                  sidecar("  egress: [{hosts: ['./*', other/report.other.svc.cluster.local]}]\n"));
  const Proxy web = mesh.sidecar("web");
  EXPECT_TRUE(has(web.clusters(), outbound(8080, "", "cart")));
  EXPECT_TRUE(has(web.clusters(), outbound(8080, "", "report.other.svc.cluster.local")));
  EXPECT_FALSE(has(web.clusters(), outbound(8080, "", "cart.other.svc.cluster.local")));
  EXPECT_EQ(web.to("http://cart.other:8080/"), "PassthroughCluster");
}

TEST(SidecarScope, AWorkloadSelectorChoosesWhoIsNarrowed) {
  const Mesh mesh(everything + sidecar("  workloadSelector: {labels: {app: web}}\n  egress: "
                                       "[{hosts: ['./pay.fe-pre.svc.cluster.local']}]\n"));
  EXPECT_FALSE(has(mesh.sidecar("web").clusters(), outbound(8080, "", "cart")));
  EXPECT_TRUE(has(mesh.sidecar("batch").clusters(), outbound(8080, "", "cart")));
}

TEST(SidecarScope, TheRootNamespacesSidecarIsForEveryNamespaceWithoutOne) {
  const Mesh mesh(everything +
                  sidecar("  egress: [{hosts: ['./*']}]\n", "default", "istio-system"));
  EXPECT_FALSE(
      has(mesh.sidecar("web").clusters(), outbound(8080, "", "cart.other.svc.cluster.local")));
  EXPECT_TRUE(has(mesh.sidecar("web", "other").clusters(),
                  outbound(8080, "", "cart.other.svc.cluster.local")))
      << "./ is the namespace of the workload";
}

TEST(SidecarScope, ARouteBringsItsDestinationsWithIt) {
  const Mesh mesh(everything + R"(---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: pay, namespace: fe-pre}
spec:
  hosts: [pay]
  http: [{route: [{destination: {host: report.other.svc.cluster.local, port: {number: 8080}}}]}]
)" + sidecar("  egress: [{hosts: ['./pay.fe-pre.svc.cluster.local']}]\n"));
  const Proxy web = mesh.sidecar("web");
  EXPECT_EQ(web.to("http://pay:8080/"), outbound(8080, "", "report.other.svc.cluster.local"));
  EXPECT_TRUE(has(web.clusters(), outbound(8080, "", "report.other.svc.cluster.local")))
      << "or the route leads nowhere";
}

TEST(SidecarScope, OutboundTrafficPolicyOfTheSidecarReplacesTheMeshs) {
  const Mesh mesh(everything + sidecar("  outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n"));
  EXPECT_EQ(mesh.sidecar("web").to("http://elsewhere.example:8080/"), "answers 502");
  EXPECT_EQ(mesh.sidecar("web", "other").to("http://elsewhere.example:8080/"),
            "PassthroughCluster");
}

TEST(SidecarScope, AnEgressListenerOfAPortHasOnlyThatPort) {
  const Mesh mesh(
      everything + app("pay2", {"baseline"}, "fe-pre", 9000) +
      sidecar(
          "  egress:\n  - {port: {number: 9000, protocol: HTTP, name: http}, hosts: ['./*']}\n"));
  const Proxy web = mesh.sidecar("web");
  EXPECT_TRUE(web.listener("0.0.0.0_9000").is_object());
  EXPECT_TRUE(web.listener("0.0.0.0_8080").is_null());
  EXPECT_EQ(web.to("http://pay2:9000/"), outbound(9000, "", "pay2"));
}

TEST(SidecarScope, IngressSaysWhereTheApplicationListens) {
  const Mesh mesh(cart + sidecar("  workloadSelector: {labels: {app: cart}}\n  ingress:\n"
                                 "  - {port: {number: 9080, protocol: HTTP, name: http}, "
                                 "defaultEndpoint: '127.0.0.1:8080'}\n"));
  const Json cluster = mesh.sidecar("cart").cluster("inbound|9080||");
  ASSERT_TRUE(cluster.is_object());
  EXPECT_NE(cluster.dump().find("\"127.0.0.1\""), std::string::npos);
}

TEST(SidecarScope, AGatewayIsNeverNarrowed) {
  const Mesh mesh(everything +
                  sidecar("  egress: [{hosts: ['./*']}]\n", "default", "istio-system"));
  EXPECT_TRUE(has(mesh.gateway(80).clusters(), outbound(8080, "", "cart")));
}

}  // namespace
}  // namespace graymesh::feature
