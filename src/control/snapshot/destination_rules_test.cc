#include <gmock/gmock.h>

#include "control/snapshot/test_mesh.h"

namespace graymesh::snapshot {
namespace {

const std::string host = "web.shop.svc.cluster.local";

constexpr std::string_view web = R"(
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
)";

// A rule named `name` whose subset of the same name tells it apart.
std::string rule(const std::string& name, const std::string& namespace_,
                 const std::string& rule_host, const std::string& more = "") {
  return "\n---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: " +
         name + ", namespace: " + namespace_ + "}\nspec:\n  host: \"" + rule_host + "\"\n" + more +
         "  subsets: [{name: " + name + ", labels: {rule: " + name + "}}]\n";
}

std::string seen_from(TestMesh& mesh, std::string_view namespace_,
                      const model::Labels& labels = {}) {
  const auto found = rule_for(*mesh.snapshot().view(namespace_, labels), host);
  if (!found) return "none";
  std::string result;
  for (const auto& subset : found->spec.subsets)
    result += (result.empty() ? "" : " ") + subset.name;
  return result;
}

TEST(DestinationRule, OfTheClientGoesBeforeTheServicesAndThatBeforeTheRoots) {
  TestMesh mesh{std::string(web) + rule("root", "istio-system", host)};
  EXPECT_EQ(seen_from(mesh, "bank"), "root");
  mesh.apply(rule("service", "shop", "web"));
  EXPECT_EQ(seen_from(mesh, "bank"), "service");
  mesh.apply(rule("client", "bank", host));
  EXPECT_EQ(seen_from(mesh, "bank"), "client");
  EXPECT_EQ(seen_from(mesh, "shop"), "service");
}

TEST(DestinationRule, OfAThirdNamespaceIsNotUsed) {
  TestMesh mesh{std::string(web) + rule("third", "office", host)};
  EXPECT_EQ(seen_from(mesh, "bank"), "none");
}

TEST(DestinationRule, OfTheMostSpecificHostIsUsedAlone) {
  TestMesh mesh{std::string(web) + rule("all", "shop", "*") +
                rule("local", "shop", "*.shop.svc.cluster.local")};
  EXPECT_EQ(seen_from(mesh, "bank"), "local");
  mesh.apply(rule("exact", "shop", "web"));
  EXPECT_EQ(seen_from(mesh, "bank"), "exact");
}

TEST(DestinationRule, NotExportedToTheClientGivesWayToTheRoots) {
  TestMesh mesh{std::string(web) + rule("private", "shop", "web", "  exportTo: [\".\"]\n") +
                rule("root", "istio-system", host)};
  EXPECT_EQ(seen_from(mesh, "shop"), "private");
  EXPECT_EQ(seen_from(mesh, "bank"), "root");
}

TEST(DestinationRule, OfTheRootNamespaceDoesNotHideTheServicesFromClientsThere) {
  TestMesh mesh{std::string(web) + rule("root", "istio-system", "*") +
                rule("service", "shop", "web")};
  EXPECT_EQ(seen_from(mesh, "istio-system"), "service");
}

TEST(DestinationRule, IsMergedWithAnotherOfItsHostSubsetsBySubset) {
  TestMesh mesh{
      std::string(web) +
      rule("a", "shop", "web", "  trafficPolicy: {loadBalancer: {simple: RANDOM}}\n") +
      rule("b", "shop", host, "  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}\n")};
  EXPECT_EQ(seen_from(mesh, "bank"), "a b");
  const auto merged = mesh.snapshot().destination_rules()[0];
  EXPECT_EQ(merged->origins.size(), 2U);
  EXPECT_EQ(merged->spec.policy->load_balancer->simple, model::LoadBalancer::Simple::random);
}

TEST(DestinationRule, TakesThePolicyOfALaterOneIfItHasNone) {
  TestMesh mesh{
      std::string(web) + rule("a", "shop", "web") +
      rule("b", "shop", "web", "  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}\n")};
  EXPECT_EQ(mesh.snapshot().destination_rules()[0]->spec.policy->load_balancer->simple,
            model::LoadBalancer::Simple::round_robin);
}

TEST(DestinationRule, WithAWorkloadSelectorIsForThoseWorkloadsOfItsNamespace) {
  TestMesh mesh{std::string(web) + rule("all", "bank", host) +
                rule("some", "bank", host, "  workloadSelector: {matchLabels: {app: teller}}\n")};
  EXPECT_EQ(seen_from(mesh, "bank", {{"app", "teller"}}), "some");
  EXPECT_EQ(seen_from(mesh, "bank", {{"app", "vault"}}), "all");
  EXPECT_EQ(seen_from(mesh, "shop", {{"app", "teller"}}), "none");
}

TEST(DestinationRule, InboundIsThatOfTheWorkloadsNamespaceWithoutSelector) {
  TestMesh mesh{R"(
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
)" + rule("all", "shop", "web") +
                rule("some", "shop", "web", "  workloadSelector: {matchLabels: {app: web}}\n")};
  const auto inbound = mesh.snapshot().inbound("shop", {}, {{"app", "web"}});
  ASSERT_EQ(inbound.size(), 1U);
  ASSERT_NE(inbound[0].rule, nullptr);
  EXPECT_EQ(inbound[0].rule->origins[0].name, "all");
}

}  // namespace
}  // namespace graymesh::snapshot
