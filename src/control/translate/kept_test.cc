// What is kept of a node from one Generation to the next spares work, and is never seen in the
// result.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/translate/answers.h"
#include "control/translate/config_testing.h"

namespace graymesh::translate::testing {
namespace {

std::string slice(const std::string& service, const std::string& address) {
  return "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: " + service +
         "-1, namespace: shop, labels: {kubernetes.io/service-name: " + service +
         "}}\naddressType: IPv4\nports: [{name: http, port: 8080}]\nendpoints: [{addresses: [" +
         address + "], conditions: {ready: true}}]\n---\n";
}

// A proxy that asks every Generation with what it kept, beside one that starts anew each time.
struct Kept : ::testing::Test {
  Kept() {
    for (const char* name : {"s0", "s1", "s2"}) {
      mesh.service("shop/" + std::string(name), {"http 8080"},
                   "selector: {app: " + std::string(name) + "}");
    }
    mesh.apply(pod("shop/a", "10.1.0.1", {{"app", "s1"}}));
    mesh.apply(pod("shop/b", "10.1.0.2", {{"app", "s1"}}));
    mesh.apply(slice("s1", "10.1.0.2"));
  }

  // By type and name.
  static std::map<std::string, std::string> versions(const resource::Config& config) {
    std::map<std::string, std::string> all;
    for (const Type type : resource::all_types) {
      for (const auto& layer : config.of(type)) {
        for (const auto& resource : layer->all())
          all[std::string(resource::short_name(type)) + " " + resource->name()] =
              resource->version_text();
      }
    }
    return all;
  }

  void expect_same_as_from_nothing(const std::string& step) {
    generation = std::make_shared<const Generation>(mesh.snapshot(), generation);
    const Generation fresh(mesh.snapshot(), nullptr);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const auto early = generation->config_at_hand(nodes[i], kept[i]);
      const auto config = generation->config_for(nodes[i], kept[i]);
      EXPECT_EQ(config->snapshot, mesh.snapshot()->number());
      const auto expected = versions(*fresh.config_for(nodes[i]));
      EXPECT_EQ(versions(*config), expected) << step << ", node " << i;
      if (early) {
        EXPECT_EQ(versions(*early), expected) << step << ", node " << i;
      }
      const auto again = generation->config_at_hand(nodes[i], kept[i]);
      ASSERT_EQ(again != nullptr, !nodes[i].addresses.empty()) << step << ", node " << i;
      if (again) {
        EXPECT_EQ(versions(*again), expected) << step << ", node " << i;
      }
    }
  }

  Mesh mesh;
  std::shared_ptr<const Generation> generation;
  std::vector<resource::Node> nodes{
      sidecar_node("10.1.0.1", "shop"), bound_node("127.1.1.1", "shop", "127.65.1.1"),
      sidecar_node("10.9.0.1", "other"), gateway_node("10.9.0.2"), grpc_client("shop")};
  std::vector<std::shared_ptr<void>> kept{nodes.size()};
};

TEST_F(Kept, GivesWhatOneFromNothingGives) {
  expect_same_as_from_nothing("at first");
  const auto steps = std::vector<std::pair<const char*, std::string>>{
      {"an endpoint", slice("s1", "10.1.0.3")},
      {"an endpoint that is the proxy", slice("s2", "10.1.0.1")},
      {"a pod comes", pod("shop/c", "10.1.0.4", {{"app", "s0"}})},
      {"the proxy's pod is another's", pod("shop/a", "10.1.0.1", {{"app", "s0"}, {"v", "x"}})},
      {"a pod where there was none", pod("other/z", "10.9.0.1", {{"app", "z"}})},
      {"a rule", destination_rule("shop/s1", "host: s1\nsubsets: [{name: x, labels: {v: x}}]")},
      {"a rule that looks at localities",
       destination_rule("shop/s0",
                        "host: s0\ntrafficPolicy: {outlierDetection: {consecutive5xxErrors: 1}}")},
      {"an endpoint after that", slice("s1", "10.1.0.5")},
      {"a Sidecar",
       "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: default, "
       "namespace: shop}\nspec: {egress: [{hosts: [./s1.shop.svc.cluster.local]}]}\n"},
      {"an endpoint beside it", slice("s1", "10.1.0.6")},
      {"a name that leads elsewhere",
       "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: far, namespace: "
       "shop}\nspec: {hosts: [far.example.com], resolution: DNS, ports: [{number: 80, name: http, "
       "protocol: HTTP}], endpoints: [{address: a.example.com}]}\n"},
      {"a service whose traffic stays on the node",
       "apiVersion: v1\nkind: Service\nmetadata: {name: s1, namespace: shop}\nspec: {clusterIP: "
       "10.0.0.9, internalTrafficPolicy: Local, selector: {app: s1}, ports: [{name: http, port: "
       "8080}]}\n"},
      {"an endpoint of it",
       "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: shop, labels: {app: s1}}\nspec: "
       "{nodeName: n1}\nstatus: {phase: Running, podIP: 10.1.0.1, conditions: [{type: Ready, "
       "status: \"True\"}]}\n"},
      {"a Namespace that prefers near endpoints",
       "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, annotations: "
       "{networking.istio.io/traffic-distribution: PreferSameNode}}\n"},
      {"an endpoint of a headless one",
       "apiVersion: v1\nkind: Service\nmetadata: {name: s2, namespace: shop}\nspec: {clusterIP: "
       "None, selector: {app: s2}, ports: [{name: http, port: 8080}]}\n---\n" +
           slice("s2", "10.1.0.7")},
      {"and another", slice("s2", "10.1.0.8")},
      {"one on loopback", slice("s1", "127.0.0.9")},
      {"and another there", slice("s1", "127.0.0.10")},
      {"and it leaves loopback", slice("s1", "10.1.0.9")},
  };
  for (const auto& [name, change] : steps) {
    mesh.apply(change);
    expect_same_as_from_nothing(name);
  }
  mesh.config("connectTimeout: 3s");
  expect_same_as_from_nothing("another MeshConfig");
}

TEST_F(Kept, LetsOtherScopesBeWhenAnEndpointMoves) {
  expect_same_as_from_nothing("at first");
  const auto before = generation->config_for(nodes[2], kept[2]);
  mesh.apply(slice("s1", "10.1.0.3"));
  generation = std::make_shared<const Generation>(mesh.snapshot(), generation);
  const auto after = generation->config_for(nodes[2], kept[2]);
  for (const Type type : {Type::cluster, Type::listener, Type::route})
    EXPECT_EQ(before->of(type).front(), after->of(type).front());
  EXPECT_EQ(generation->work().resources_made, 1u);
  const auto &was = *before->of(Type::endpoints).front(), &is = *after->of(Type::endpoints).front();
  ASSERT_EQ(was.size(), is.size());
  std::size_t differ = 0;
  for (std::size_t i = 0; i < is.size(); ++i) differ += was.all()[i] != is.all()[i];
  EXPECT_EQ(differ, 1u);
}

TEST_F(Kept, IsAtHandOnceOneOfItsScopeHasAsked) {
  const auto a = sidecar_node("10.1.0.1", "shop"), b = sidecar_node("10.1.0.2", "shop");
  std::shared_ptr<void> of_a, of_b;
  const auto next = [&] {
    generation = std::make_shared<const Generation>(mesh.snapshot(), generation);
  };
  next();
  EXPECT_EQ(generation->config_at_hand(a, of_a), nullptr) << "nothing is kept";
  (void)generation->config_for(a, of_a);
  (void)generation->config_for(b, of_b);
  mesh.apply(slice("s1", "10.1.0.3"));
  next();
  EXPECT_EQ(generation->config_at_hand(a, of_a), nullptr) << "somebody has to make it";
  const auto made = generation->config_for(b, of_b);
  const auto at_hand = generation->config_at_hand(a, of_a);
  ASSERT_NE(at_hand, nullptr);
  EXPECT_EQ(at_hand->snapshot, mesh.snapshot()->number());
  EXPECT_EQ(at_hand->of(Type::endpoints).front(), made->of(Type::endpoints).front());
  mesh.apply(pod("shop/a", "10.1.0.1", {{"app", "s0"}}));
  next();
  (void)generation->config_for(b, of_b);
  EXPECT_EQ(generation->config_at_hand(a, of_a), nullptr) << "its place is another";
}

TEST_F(Kept, IsNotAskedForItsOwnPortsWhenAnEndpointMoves) {
  expect_same_as_from_nothing("at first");
  const auto before = generation->config_for(nodes[0], kept[0]);
  mesh.apply(slice("s1", "10.1.0.3"));
  generation = std::make_shared<const Generation>(mesh.snapshot(), generation);
  const auto after = generation->config_for(nodes[0], kept[0]);
  EXPECT_EQ(generation->work().scopes, 1u) << "outbound, and not inbound";
  EXPECT_EQ(before->of(Type::listener).back(), after->of(Type::listener).back());
  EXPECT_NE(after->of(Type::listener).front(), after->of(Type::listener).back());
}

// Of the services in a View, which leave loopback.
TEST(Answers, KeepWhoLeavesLoopbackWhileTheyDo) {
  Mesh mesh;
  for (const char* name : {"s0", "s1"}) mesh.service("shop/" + std::string(name), {"http 8080"});
  mesh.apply(slice("s0", "127.0.0.1") + slice("s1", "10.1.0.1"));
  const auto view = [&] { return mesh.snapshot()->view("shop", {}); };
  AnswerBook first(mesh.snapshot());
  const auto beyond = first.of(view())->beyond_loopback;
  EXPECT_EQ(*beyond, Places{1});

  mesh.apply(slice("s0", "127.0.0.2") + slice("s1", "10.1.0.2"));
  AnswerBook second(mesh.snapshot(), first);
  EXPECT_EQ(second.of(view())->beyond_loopback, beyond);

  mesh.apply(destination_rule("bank/other", "host: other.example.com"));
  AnswerBook third(mesh.snapshot(), second);
  EXPECT_EQ(third.of(view())->beyond_loopback, beyond) << "though something else is declared";

  mesh.apply(slice("s0", "10.1.0.3") + slice("s1", "127.0.0.3"));
  AnswerBook fourth(mesh.snapshot(), third);
  EXPECT_EQ(*fourth.of(view())->beyond_loopback, Places{0});
}

TEST_F(Kept, HoldsNoOldSnapshot) {
  expect_same_as_from_nothing("at first");
  const std::weak_ptr<const snapshot::Snapshot> old = mesh.snapshot();
  mesh.apply(slice("s1", "10.1.0.3"));
  expect_same_as_from_nothing("an endpoint");
  EXPECT_TRUE(old.expired());
}

}  // namespace
}  // namespace graymesh::translate::testing
