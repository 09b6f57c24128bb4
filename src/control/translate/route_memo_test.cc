// What does not change is not made again, and stays the same bytes: a changed VirtualService costs
// its own virtual hosts, and tables in which nothing changed are the same resource.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "control/translate/translate_testing.h"

namespace graymesh::translate::testing {
namespace {

using ::testing::ElementsAre;

std::string lead(const std::string& host, const std::string& subset) {
  return "hosts: [" + host + "]\nhttp:\n- route: [{destination: {host: " + host +
         ", subset: " + subset + "}}]";
}

Mesh big_shop(int services) {
  Mesh mesh;
  for (int i = 0; i < services; ++i) {
    const std::string name = "s" + std::to_string(i);
    mesh.service("fe-pre/" + name, {"http 8080"});
    mesh.apply(virtual_service("fe-pre/" + name, lead(name, "normal")));
  }
  mesh.service("fe-pre/other", {"http 9090"});
  return mesh;
}

resource::ResourcePtr find(const Resources& resources, std::string_view name) {
  const auto it = std::find_if(resources.begin(), resources.end(),
                               [&](const auto& r) { return r->name() == name; });
  return it == resources.end() ? nullptr : *it;
}

TEST(RouteMemo, MakesOnlyTheVirtualHostThatChanged) {
  Mesh mesh = big_shop(50);
  Memo first;
  const auto before = outbound_routes(mesh.outbound(), first);
  mesh.apply(virtual_service("fe-pre/s7", lead("s7", "feature-a")));
  Memo second(&first);
  const auto after = outbound_routes(mesh.outbound(), second);

  EXPECT_EQ(second.made(), 2u);  // the virtual host and its table
  EXPECT_NE(find(after, "8080"), find(before, "8080"));
  EXPECT_EQ(find(after, "9090"), find(before, "9090"));
}

TEST(RouteMemo, GivesTheSameResourcesForTheSameMesh) {
  Mesh mesh = big_shop(5);
  Memo first;
  const auto before = outbound_routes(mesh.outbound(), first);
  Memo second(&first);

  EXPECT_EQ(outbound_routes(mesh.outbound(), second), before);
  EXPECT_EQ(second.made(), 0u);
}

TEST(RouteMemo, IsSharedByNamespacesThatCallAHostByTheSameNames) {
  Mesh mesh = big_shop(50);
  Memo memo;
  outbound_routes(mesh.outbound({.namespace_ = "fe-online"}), memo);
  const auto made = memo.made();
  outbound_routes(mesh.outbound({.namespace_ = "be-online"}), memo);

  EXPECT_EQ(memo.made(), made);
}

TEST(RouteMemo, FollowsTheDestinationRuleThatAHashComesFrom) {
  Mesh mesh = big_shop(3);
  const auto policy = [](const std::string& header) {
    return destination_rule(
        "fe-pre/s1", "host: s1\ntrafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: " +
                         header + "}}}");
  };
  mesh.apply(policy("x-a"));
  Memo first;
  outbound_routes(mesh.outbound(), first);
  mesh.apply(policy("x-b"));
  Memo second(&first);
  const Routes routes(find(outbound_routes(mesh.outbound(), second), "8080"));

  EXPECT_EQ(json(routes.route("s1.fe-pre.svc.cluster.local:8080").route().hash_policy(0)),
            R"({"header":{"header_name":"x-b"}})");
  EXPECT_EQ(second.made(), 2u);
}

TEST(RouteMemo, FollowsTheMeshConfig) {
  Mesh mesh = big_shop(1);
  Memo first;
  outbound_routes(mesh.outbound(), first);
  mesh.config("defaultHttpRetryPolicy: {attempts: 9}");
  Memo second(&first);
  const Routes routes(find(outbound_routes(mesh.outbound(), second), "8080"));

  EXPECT_EQ(
      routes.route("s0.fe-pre.svc.cluster.local:8080").route().retry_policy().num_retries().value(),
      9u);
}

TEST(RouteMemo, TellsClientsApartOnlyWhereARuleLooksAtThem) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"});
  mesh.apply(virtual_service("fe-pre/web", R"(hosts: [web]
http:
- match: [{sourceLabels: {canarytag: a}}]
  route: [{destination: {host: web, subset: a}}]
- route: [{destination: {host: web}}])"));
  Memo memo;
  const auto plain = outbound_routes(mesh.outbound(), memo);
  const auto gray = outbound_routes(mesh.outbound({.labels = {{"canarytag", "a"}}}), memo);

  EXPECT_THAT(Routes(plain.front()).of("web.fe-pre.svc.cluster.local:8080"),
              ElementsAre("/* => outbound|8080||web.fe-pre.svc.cluster.local"));
  EXPECT_THAT(Routes(gray.front()).of("web.fe-pre.svc.cluster.local:8080"),
              ElementsAre("/* => outbound|8080|a|web.fe-pre.svc.cluster.local"));
}

TEST(RouteBytes, AreTheSameWhateverTheOrderOfTheFiles) {
  Mesh forwards, backwards;
  for (int i = 0; i < 9; ++i) {
    const std::string name = "s" + std::to_string(i);
    forwards.service("fe-pre/" + name, {"http 8080"}, "clusterIP: None")
        .apply(virtual_service("fe-pre/" + name, lead(name, "a")));
  }
  for (int i = 8; i >= 0; --i) {
    const std::string name = "s" + std::to_string(i);
    backwards.apply(virtual_service("fe-pre/" + name, lead(name, "a")))
        .service("fe-pre/" + name, {"http 8080"}, "clusterIP: None");
  }

  EXPECT_EQ(forwards.routes("8080").resource()->version(),
            backwards.routes("8080").resource()->version());
}

}  // namespace
}  // namespace graymesh::translate::testing
