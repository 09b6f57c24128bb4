// Computed once per scope, and again only where something changed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "control/translate/config_testing.h"

namespace graymesh::translate::testing {
namespace {

std::string address(int i) {
  return "10.1." + std::to_string(i / 200) + "." + std::to_string(i % 200 + 1);
}

Mesh shop(int services = 3) {
  Mesh mesh;
  for (int i = 0; i < services; ++i) {
    const std::string name = "s" + std::to_string(i);
    mesh.service("shop/" + name, {"http 8080"}, "selector: {app: " + name + "}");
    mesh.apply(pod("shop/" + name, address(i), {{"app", name}, {"v", "a"}}));
    mesh.apply(destination_rule(
        "shop/" + name,
        "host: " + name + "\nsubsets: [{name: a, labels: {v: a}}, {name: b, labels: {v: b}}]"));
  }
  return mesh;
}

const resource::ResourceSetPtr& layer(const Answer& answer, Type type) {
  static const resource::ResourceSetPtr none;
  return answer.config().of(type).empty() ? none : answer.config().of(type).front();
}

TEST(Scopes, ProxiesOfANamespaceAreOneScopeAndShareEveryByte) {
  const Mesh mesh = shop();
  const Control control(mesh);
  const auto first = control.ask(sidecar_node("10.9.0.1", "shop"));
  for (int i = 2; i <= 100; ++i) {
    const auto answer = control.ask(sidecar_node("10.9.0." + std::to_string(i), "shop"));
    for (const Type type : resource::all_types) EXPECT_EQ(layer(answer, type), layer(first, type));
  }
  EXPECT_EQ(control.work().scopes, 2u) << "one outbound, one inbound (which serves nothing)";
}

TEST(Scopes, InstancesOnLoopbackDifferOnlyInWhatTheyBind) {
  const Mesh mesh = shop();
  const Control control(mesh);
  const auto one = control.ask(bound_node("127.1.1.1", "shop", "127.65.1.1", {{"app", "s1"}}));
  const auto two = control.ask(bound_node("127.1.1.2", "shop", "127.65.1.2", {{"app", "s1"}}));
  for (const Type type : {Type::cluster, Type::endpoints, Type::route})
    EXPECT_EQ(layer(one, type), layer(two, type));
  EXPECT_NE(layer(one, Type::listener), layer(two, Type::listener));
}

TEST(Scopes, NamespacesShareClustersAndEndpoints) {
  const Mesh mesh = shop();
  const Control control(mesh);
  const auto here = control.ask(sidecar_node("10.9.0.1", "shop"));
  const auto there = control.ask(sidecar_node("10.9.0.2", "other"));
  const char* name = "outbound|8080|a|s1.shop.svc.cluster.local";
  EXPECT_NE(here.resource(Type::cluster, name), nullptr);
  EXPECT_EQ(here.resource(Type::endpoints, "outbound|8080||s2.shop.svc.cluster.local"),
            there.resource(Type::endpoints, "outbound|8080||s2.shop.svc.cluster.local"));
}

TEST(Scopes, LocalitiesMakeScopesOnlyWhereARulePrefersNearEndpoints) {
  Mesh mesh = shop();
  const auto at = [](std::string zone) {
    auto node = sidecar_node("10.9.0.1", "shop");
    node.region = "r";
    node.zone = std::move(zone);
    return node;
  };
  const Control before(mesh);
  EXPECT_EQ(layer(before.ask(at("z1")), Type::endpoints),
            layer(before.ask(at("z2")), Type::endpoints));
  mesh.apply(destination_rule(
      "shop/s0", "host: s0\ntrafficPolicy: {outlierDetection: {consecutive5xxErrors: 1}}"));
  const Control after(mesh);
  const auto one = after.ask(at("z1")), two = after.ask(at("z2"));
  EXPECT_NE(layer(one, Type::endpoints), layer(two, Type::endpoints));
  for (const Type type : {Type::cluster, Type::listener, Type::route})
    EXPECT_EQ(layer(one, type), layer(two, type)) << "it is about endpoints alone";
  EXPECT_EQ(after.work().scopes, 2u) << "one outbound, one inbound";
  for (const auto& [name, same] : {std::pair("outbound|8080||s0.shop.svc.cluster.local", false),
                                   std::pair("outbound|8080||s1.shop.svc.cluster.local", true)}) {
    const auto here = one.resource(Type::endpoints, name);
    EXPECT_EQ(here == two.resource(Type::endpoints, name), same)
        << name << ": made once where its rule does not look at localities";
  }
}

TEST(Scopes, NodesAndLabelsMakeScopesOnlyWhereTheyAreComparedToo) {
  Mesh mesh = shop();
  const auto node = [](const std::string& name, const model::Labels& labels = {}) {
    auto proxy = sidecar_node("10.9.0.1", "shop", labels);
    proxy.node_name = name;
    return proxy;
  };
  const auto same = [&](const resource::Node& a, const resource::Node& b) {
    const Control control(mesh);
    return layer(control.ask(a), Type::endpoints) == layer(control.ask(b), Type::endpoints);
  };
  EXPECT_TRUE(same(node("n1"), node("n2")));
  mesh.service("shop/s1", {"http 8080"}, "selector: {app: s1}\n  internalTrafficPolicy: Local");
  EXPECT_FALSE(same(node("n1"), node("n2")));
  EXPECT_TRUE(same(node("n1", {{"a", "1"}}), node("n1", {{"a", "2"}})));
  mesh.service("shop/s1", {"http 8080"}, "selector: {app: s1}");
  mesh.apply(destination_rule("shop/s0", R"(host: s0
trafficPolicy:
  outlierDetection: {consecutive5xxErrors: 1}
  loadBalancer: {localityLbSetting: {failoverPriority: [a, "b=1"]}})"));
  EXPECT_TRUE(same(node("n1"), node("n2")));
  EXPECT_FALSE(same(node("n1", {{"a", "1"}}), node("n1", {{"a", "2"}})));
  EXPECT_TRUE(same(node("n1", {{"b", "1"}}), node("n1", {{"b", "2"}}))) << "it has a value given";
  EXPECT_TRUE(same(node("n1", {{"c", "1"}}), node("n1", {{"c", "2"}})));
}

TEST(Generations, TheSameSnapshotAgainIsNoWork) {
  Mesh mesh = shop();
  Control control(mesh);
  const auto before = control.ask(sidecar_node("10.9.0.1", "shop"));
  control.update();
  const auto after = control.ask(sidecar_node("10.9.0.1", "shop"));
  for (const Type type : resource::all_types) EXPECT_EQ(layer(before, type), layer(after, type));
  EXPECT_EQ(control.work().resources_made, 0u);
}

TEST(Generations, AnEndpointMakesTheAssignmentsOfItsServiceAnewAndNothingElse) {
  Mesh mesh = shop(50);
  Control control(mesh);
  const auto node = sidecar_node("10.9.0.1", "shop");
  const auto before = control.ask(node);
  mesh.apply(pod("shop/s7-more", "10.2.0.1", {{"app", "s7"}, {"v", "b"}}));
  control.update();
  const auto after = control.ask(node);
  EXPECT_EQ(after.addresses("outbound|8080|b|s7.shop.svc.cluster.local"), "10.2.0.1:8080");
  EXPECT_EQ(control.work().resources_made, 3u) << "the service and its two subsets";
  for (const Type type : {Type::cluster, Type::listener, Type::route})
    EXPECT_EQ(layer(before, type), layer(after, type));
  const char* same = "outbound|8080|a|s7.shop.svc.cluster.local";
  EXPECT_EQ(before.resource(Type::endpoints, same), after.resource(Type::endpoints, same))
      << "its bytes came out the same";
  const char* other = "outbound|8080||s8.shop.svc.cluster.local";
  EXPECT_EQ(before.resource(Type::endpoints, other), after.resource(Type::endpoints, other));
}

TEST(Generations, AnEndpointLeavesTheRestOfTheAssignmentsWhereTheyLie) {
  Mesh mesh = shop(200);
  Control control(mesh);
  const auto node = sidecar_node("10.9.0.1", "shop");
  const auto before = control.ask(node);
  mesh.apply(pod("shop/s7-more", "10.2.0.1", {{"app", "s7"}, {"v", "b"}}));
  control.update();
  const auto after = control.ask(node);
  const auto &was = layer(before, Type::endpoints)->all(),
             &is = layer(after, Type::endpoints)->all();
  ASSERT_EQ(was.size(), 600u);
  std::size_t apart = 0;
  for (std::size_t i = 0; i < is.size(); ++i) apart += &was[i] != &is[i] ? 1 : 0;
  EXPECT_GT(apart, 0u);
  EXPECT_LE(apart, 2 * Pieces<resource::ResourcePtr>::piece_size) << "two changed";
}

TEST(Generations, ARuleMakesTheClustersOfItsServiceAnewAndNothingElse) {
  Mesh mesh = shop(50);
  Control control(mesh);
  const auto node = sidecar_node("10.9.0.1", "shop");
  const auto before = control.ask(node);
  mesh.apply(destination_rule(
      "shop/s7", "host: s7\nsubsets: [{name: a, labels: {v: a}}, {name: c, labels: {v: c}}]"));
  control.update();
  const auto after = control.ask(node);
  EXPECT_TRUE(after.has(Type::cluster, "outbound|8080|c|s7.shop.svc.cluster.local"));
  EXPECT_FALSE(after.has(Type::cluster, "outbound|8080|b|s7.shop.svc.cluster.local"));
  EXPECT_LE(control.work().resources_made, 9u)
      << "three clusters, three assignments, at most a table and its hosts";
  for (const char* name :
       {"outbound|8080||s7.shop.svc.cluster.local", "outbound|8080||s8.shop.svc.cluster.local"}) {
    EXPECT_EQ(before.resource(Type::cluster, name), after.resource(Type::cluster, name)) << name;
  }
}

TEST(Generations, AVirtualServiceLeavesClustersEndpointsAndListenersAlone) {
  Mesh mesh = shop(50);
  Control control(mesh);
  const auto node = sidecar_node("10.9.0.1", "shop");
  const auto before = control.ask(node);
  mesh.apply(virtual_service(
      "shop/s7", "hosts: [s7]\nhttp: [{route: [{destination: {host: s7, subset: a}}]}]"));
  control.update();
  const auto after = control.ask(node);
  for (const Type type : {Type::cluster, Type::endpoints, Type::listener})
    EXPECT_EQ(layer(before, type), layer(after, type));
  EXPECT_NE(layer(before, Type::route), layer(after, Type::route));
}

TEST(Generations, WhatAProxyMissedWhileItWaitedIsNotForgotten) {
  Mesh mesh = shop();
  Control control(mesh);
  const auto node = sidecar_node("10.9.0.1", "shop");
  const auto before = control.ask(node);
  for (int i = 0; i < 5; ++i) control.update();  // nobody asks
  EXPECT_EQ(layer(control.ask(node), Type::cluster), layer(before, Type::cluster));
  EXPECT_EQ(control.work().resources_made, 0u);
}

TEST(Generations, AnotherMeshConfigIsAnotherTranslation) {
  Mesh mesh = shop();
  Control control(mesh);
  const auto node = sidecar_node("10.9.0.1", "shop");
  control.ask(node);
  mesh.config("connectTimeout: 3s");
  control.update();
  EXPECT_EQ(
      control.ask(node).cluster("outbound|8080||s0.shop.svc.cluster.local")["connect_timeout"],
      "3s");
}

// What of ours one object says about many resources: a change of it, and of what it leads to, must
// reach them all.
TEST(Generations, SayTheSameAsOneFromNothing) {
  const auto rule = [](const std::string& annotation) {
    return "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: s1, "
           "namespace: shop, annotations: {" +
           annotation +
           "}}\nspec: {host: s1, subsets: [{name: a, labels: {v: a}}, {name: b, "
           "labels: {v: b}}]}\n";
  };
  const auto service = [](const std::string& name, const std::string& metadata, int weight) {
    return "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " + name +
           ", namespace: shop, " + metadata +
           "}\nspec: {hosts: [s1], http: [{route: [{destination: {host: s1, subset: a}, weight: " +
           std::to_string(weight) + "}, {destination: {host: s1, subset: b}, weight: 10}]}]}\n";
  };
  const std::string release = "labels: {graymesh.io/precedence: release}";
  Mesh mesh = shop();
  Control control(mesh);
  const auto node = sidecar_node("10.9.0.1", "shop", {{"stage", "gray"}, {"canarytag", "x"}});
  std::string state;
  int step = 0;
  for (const std::string& change : {
           service("s1", "annotations: {}", 1),
           rule("graymesh.io/fallback: \"a=b\""),
           pod("shop/b", "10.2.0.1", {{"app", "s1"}, {"v", "b"}}),
           pod("shop/a", "10.2.0.2", {{"app", "s1"}, {"v", "a"}}),
           pod("shop/b", "10.2.0.3", {{"app", "s1"}, {"v", "b"}}),
           rule("graymesh.io/fallback: \"b=a\""),
           rule(""),
           service("r", release, 2),
           service("r", release + ", annotations: {graymesh.io/sticky: header=u}", 2),
           service("r", "labels: {graymesh.io/precedence: default}", 2),
           service("s1", "annotations: {graymesh.io/sticky: cookie=u}", 3),
           service("r", "labels: {}", 2),
       }) {
    mesh.apply(change);
    control.update();
    const auto built = control.ask(node);
    const Generation fresh(mesh.snapshot(), nullptr);
    const Answer from_nothing(fresh.config_for(node));
    std::string now;
    for (const Type type : resource::all_types) {
      ASSERT_EQ(built.names(type), from_nothing.names(type)) << "step " << step;
      for (const auto& name : built.names(type)) {
        const auto resource = built.resource(type, name);
        EXPECT_EQ(resource->version(), from_nothing.resource(type, name)->version())
            << "step " << step << ", " << name;
        now += resource->version_text();
      }
    }
    EXPECT_NE(now, state) << "step " << step << " changed nothing";
    state = now;
    ++step;
  }
}

TEST(Threads, AScopeIsComputedOnceHoweverManyAskForIt) {
  const Mesh mesh = shop(20);
  const Control control(mesh);
  std::vector<std::thread> threads;
  std::vector<std::vector<Answer>> answers(8);
  for (std::size_t t = 0; t < answers.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        answers[t].push_back(control.ask(sidecar_node("10.9.0.1", "team-" + std::to_string(i))));
        answers[t].push_back(control.ask(
            bound_node("127.1.1." + std::to_string(i + 1), "shop", "", {{"app", "s1"}})));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& each : answers) {
    for (std::size_t i = 0; i < each.size(); ++i) {
      for (const Type type : resource::all_types)
        EXPECT_EQ(layer(each[i], type), layer(answers[0][i], type));
    }
  }
  EXPECT_EQ(control.work().scopes, 10u + 10u + 1u + 10u)
      << "outbound and inbound of ten teams; of shop one and ten";
}

TEST(Threads, ProxiesMayAskTheOldGenerationWhileTheNextIsMade) {
  Mesh mesh = shop(20);
  Control control(mesh);
  const auto old = control.generation();
  std::thread asking([&] {
    for (int i = 0; i < 50; ++i)
      old->config_for(sidecar_node("10.9.0.1", "team-" + std::to_string(i)));
  });
  for (int i = 0; i < 10; ++i) {
    mesh.apply(
        pod("shop/more-" + std::to_string(i), "10.2.0." + std::to_string(i + 1), {{"app", "s1"}}));
    control.update();
    control.ask(sidecar_node("10.9.0.1", "shop"));
  }
  asking.join();
  EXPECT_EQ(
      control.ask(sidecar_node("10.9.0.1", "shop"))
          .endpoints("outbound|8080||s1.shop.svc.cluster.local")["endpoints"][0]["lb_endpoints"]
          .size(),
      11u);
}

}  // namespace
}  // namespace graymesh::translate::testing
