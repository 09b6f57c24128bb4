// VirtualServices of one host put together by the label graymesh.io/precedence.
#include <gmock/gmock.h>

#include "control/snapshot/test_mesh.h"

namespace graymesh::snapshot {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

// A VirtualService "shop/NAME" with routes of these names, each for a path of its name ("all": for
// every request).
std::string vs(const std::string& name, const std::string& precedence, const std::string& hosts,
               const std::vector<std::string>& routes, const std::string& spec = "",
               int created = 0) {
  const auto slash = name.find('/');
  std::string yaml = "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n";
  yaml += "  name: " + name.substr(slash + 1) + "\n  namespace: " + name.substr(0, slash) + "\n";
  if (!precedence.empty()) yaml += "  labels: {graymesh.io/precedence: " + precedence + "}\n";
  if (created != 0)
    yaml += "  creationTimestamp: \"2026-01-01T00:00:0" + std::to_string(created) + "Z\"\n";
  yaml += "spec:\n  hosts: [" + hosts + "]\n" + spec + "  http:\n";
  for (const auto& route : routes) {
    yaml += "  - {name: " + route + ", route: [{destination: {host: web}}]" +
            (route == "all" ? "" : ", match: [{uri: {prefix: /" + route + "}}]") + "}\n";
  }
  return yaml;
}

// "a b all", of the first VirtualService for the host that a sidecar of the namespace sees.
std::string routes_of(const std::vector<VirtualServicePtr>& services, const std::string& host) {
  for (const auto& service : services) {
    if (std::ranges::count(service->spec.hosts, host) == 0) continue;
    std::string result;
    for (const auto& http : service->spec.http) result += (result.empty() ? "" : " ") + http.name;
    return result;
  }
  return "none";
}
const std::vector<VirtualServicePtr>& seen(TestMesh& mesh, const std::string& namespace_ = "shop") {
  return mesh.snapshot().view(namespace_, {})->egress.front().virtual_services;
}
std::string routes_of(TestMesh& mesh, const std::string& host,
                      const std::string& namespace_ = "shop") {
  return routes_of(seen(mesh, namespace_), host);
}

const std::string web = "web.shop.svc.cluster.local";
const std::string cart = "cart.shop.svc.cluster.local";

TEST(Fragments, StandBeforeAndBehindTheTeamsRoutes) {
  TestMesh mesh(vs("shop/team", "", "web", {"a"}) + vs("shop/z", "default", "web", {"d"}) +
                vs("shop/r2", "release", "web", {"r2"}) + vs("shop/r1", "release", "web", {"r1"}));
  EXPECT_EQ(routes_of(mesh, web), "r1 r2 a d");
  const auto& merged = seen(mesh).front();
  EXPECT_EQ(seen(mesh).size(), 1U);
  EXPECT_EQ(model::to_string(merged->origin), "VirtualService shop/team");
  std::vector<std::string> others;
  for (const auto& key : merged->delegates) others.push_back(key.name);
  EXPECT_THAT(others, ElementsAre("r1", "r2", "z"));
  EXPECT_THAT(merged->spec.gateways, ElementsAre("mesh"));
}

TEST(Fragments, OfOneKindStandByAge) {
  TestMesh mesh(vs("shop/a", "release", "web", {"young"}, "", 5) +
                vs("shop/b", "release", "web", {"old"}, "", 2));
  EXPECT_EQ(routes_of(mesh, web), "old young");
  EXPECT_EQ(seen(mesh).front()->origin.name, "b") << "without a team's, the first release's";
}

TEST(Fragments, WithoutLabelsNothingIsMergedAndAddressesStay) {
  TestMesh mesh(vs("shop/a", "", "web", {"a"}) + vs("shop/b", "", "web", {"b"}) +
                vs("shop/c", "", "cart", {"c"}));
  const auto before = seen(mesh);
  EXPECT_EQ(before.size(), 3U);
  EXPECT_EQ(routes_of(mesh, web), "a");
  mesh.apply(vs("shop/r", "release", "cart", {"r"}));
  const auto after = seen(mesh);
  EXPECT_EQ(after.at(0), before.at(0));
  EXPECT_EQ(after.at(1), before.at(1));
  EXPECT_EQ(routes_of(mesh, cart), "r c");
}

TEST(Fragments, OfAHostLeaveTheOtherHostsOfTheTeamAlone) {
  TestMesh mesh(vs("shop/team", "", "web, cart", {"a"}) + vs("shop/r", "release", "web", {"r"}));
  EXPECT_EQ(routes_of(mesh, web), "r a");
  EXPECT_EQ(routes_of(mesh, cart), "a");
  EXPECT_EQ(seen(mesh).size(), 2U);
}

TEST(Fragments, MeetTheTeamsThatGoesBeforeAlone) {
  TestMesh mesh(vs("shop/a", "", "web", {"a"}) + vs("shop/b", "", "web", {"b"}) +
                vs("shop/r", "release", "web", {"r"}));
  EXPECT_EQ(routes_of(mesh, web), "r a");
}

TEST(Fragments, HostsAreComparedByTheirFullNames) {
  TestMesh mesh(vs("shop/team", "", "web", {"a"}) + vs("ops/r", "release", web, {"r"}));
  EXPECT_EQ(routes_of(mesh, web), "r a");
}

TEST(Fragments, TakePartOnlyWhereTheyAreVisible) {
  TestMesh mesh(vs("shop/team", "", "web", {"a"}) +
                vs("shop/r", "release", "web", {"r"}, "  exportTo: [\".\"]\n"));
  EXPECT_EQ(routes_of(mesh, web), "r a");
  EXPECT_EQ(routes_of(mesh, web, "bank"), "a");
}

TEST(Fragments, BringTcpAndTlsRoutesOnlyWhereTheTeamIsSilent) {
  const auto tcp = [](const std::string& host) {
    return "  tcp: [{route: [{destination: {host: " + host + "}}]}]\n";
  };
  TestMesh mesh(vs("shop/team", "", "web", {"a"}, tcp("mine")) +
                vs("shop/r", "release", "web, cart", {"r"}, tcp("theirs")));
  std::map<std::string, std::string> to;
  for (const auto& service : seen(mesh)) {
    ASSERT_EQ(service->spec.tcp.size(), 1U);
    to[service->spec.hosts.at(0)] = service->spec.tcp[0].route.at(0).destination.host;
  }
  EXPECT_EQ(to[web], "mine.shop.svc.cluster.local");
  EXPECT_EQ(to[cart], "theirs.shop.svc.cluster.local");
}

TEST(Fragments, KeepTheirOwnStickiness) {
  std::string release = vs("shop/r", "release", "web", {"r"});
  release.insert(release.find("  labels:"), "  annotations: {graymesh.io/sticky: header=x}\n");
  TestMesh mesh(vs("shop/team", "", "web", {"a"}) + release);
  const auto& http = seen(mesh).front()->spec.http;
  ASSERT_EQ(http.size(), 2U);
  EXPECT_TRUE(http[0].sticky);
  EXPECT_FALSE(http[1].sticky);
}

TEST(Fragments, MergeForTheGatewaysThatTheyName) {
  const std::string gateway = R"(---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  selector: {app: edge}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["shop/*", "ops/web.ops.svc.cluster.local"]}]
)";
  const std::string at_edge = "  gateways: [shop/edge]\n";
  TestMesh mesh(gateway + vs("shop/a", "", "web", {"a", "all"}, "  gateways: [mesh, edge]\n") +
                vs("shop/b", "", "web", {"b"}, at_edge) +
                vs("shop/r", "release", "web", {"r"}, at_edge) +
                vs("other/x", "release", web, {"x"}, at_edge));
  const auto view = mesh.snapshot().gateway("shop", {}, {{"app", "edge"}});
  EXPECT_EQ(routes_of(view->virtual_services, web), "r a b all")
      << "the Gateway takes nothing from namespace other";
  EXPECT_EQ(routes_of(mesh, web), "a all") << "the release is for the gateway only";
}

TEST(Fragments, LeaveOutRoutesForOtherGateways) {
  std::string release = vs("shop/r", "release", "web", {"r", "s"}, "  gateways: [mesh, edge]\n");
  release.replace(release.find("{uri: {prefix: /r}}"), 19, "{uri: {prefix: /r}, gateways: [edge]}");
  TestMesh mesh(vs("shop/team", "", "web", {"a"}) + release);
  EXPECT_EQ(routes_of(mesh, web), "s a");
}

TEST(Fragments, AreOneValueForEveryNamespaceAndTheNextSnapshot) {
  TestMesh mesh(vs("shop/team", "", "web, cart", {"a"}) + vs("shop/r", "release", "web", {"r"}));
  const auto here = seen(mesh);
  EXPECT_EQ(seen(mesh, "bank"), here);
  mesh.apply(vs("shop/more", "", "pay", {"p"}));
  EXPECT_THAT(seen(mesh), Contains(here.at(0)));
  EXPECT_THAT(seen(mesh), Contains(here.at(1)));
}

TEST(Fragments, HideRoutesOutLoud) {
  TestMesh mesh(vs("shop/web", "", "web", {"cart", "api"}) +
                vs("shop/web-x", "release", "web", {"api", "all"}));
  EXPECT_THAT(mesh.problems(),
              Contains(HasSubstr("VirtualService shop/web: http[0] cart, is hidden by "
                                 "http[1] \"all\" of VirtualService shop/web-x")));
  EXPECT_THAT(mesh.problems(),
              Contains(HasSubstr("VirtualService shop/web: http[1] api, is hidden by "
                                 "http[0] \"api\" of VirtualService shop/web-x")));
  mesh.apply(vs("shop/web-x", "default", "web", {"api"}));
  EXPECT_THAT(mesh.problems(),
              Contains(HasSubstr("VirtualService shop/web-x: http[0] api, is hidden by "
                                 "http[1] \"api\" of VirtualService shop/web")));
  for (const auto& problem : mesh.problems())
    EXPECT_THAT(problem, testing::Not(HasSubstr("already routed"))) << "they are merged";
}

TEST(Fragments, ThatHideARouteForOneHostOnlySaySo) {
  TestMesh mesh(vs("shop/web", "", "web, cart", {"a"}) +
                vs("shop/web-x", "release", "web", {"all"}));
  EXPECT_THAT(mesh.problems(),
              Contains(HasSubstr("of VirtualService shop/web-x for the host " + web)));
}

TEST(Shadowed, IsToldOfOneVirtualServiceToo) {
  TestMesh mesh(vs("shop/web", "", "web", {"a", "ab", "all"}));
  EXPECT_THAT(mesh.problems(), Contains(HasSubstr("VirtualService shop/web: http[1] ab, is hidden "
                                                  "by http[0] \"a\"")));
}

}  // namespace
}  // namespace graymesh::snapshot
