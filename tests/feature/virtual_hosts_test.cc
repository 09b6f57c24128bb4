// Virtual hosts one by one: a changed route is its own virtual host, and nothing else.
#include <gtest/gtest.h>

#include <map>

#include "mesh.h"

namespace graymesh::feature {
namespace {

using Versions = std::map<std::string, std::uint64_t>;

const std::string on = "defaultConfig: {proxyMetadata: {GRAYMESH_VHDS: \"on\"}}\n";

std::string by_tag(const std::string& name, const std::string& version) {
  return "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " + name +
         ", namespace: fe-pre}\nspec:\n  hosts: [" + name +
         "]\n  http:\n  - match: [{headers: {canarytag: {exact: " + version +
         "}}}]\n    route: [{destination: {host: " + name + ", subset: " + version +
         "}}]\n  - route: [{destination: {host: " + name + ", subset: baseline}}]\n";
}

std::string service(const std::string& name) {
  return app(name, {"baseline", "feature-a", "feature-b"}) +
         subsets(name, {"baseline", "feature-a", "feature-b"});
}

std::string shop(const std::string& version_of_cart = "feature-a") {
  return service("web") + service("cart") + service("pay") + by_tag("web", "feature-a") +
         by_tag("cart", version_of_cart);
}

resource::Node delta_node(const std::string& app) {
  resource::Node node = sidecar_node(app);
  node.user_agent = "envoy 1.40.0";
  node.delta = true;
  return node;
}

// "VHDS 8080|vhds/cart..." and versions, of all that a proxy would be sent.
Versions versions(const Proxy& proxy) {
  Versions out;
  for (const auto type : resource::all_types) {
    for (const auto& layer : proxy.config().of(type)) {
      for (const auto& one : layer->all())
        out[std::string(resource::short_name(type)) + " " + one->name()] = one->version();
    }
  }
  return out;
}

std::vector<std::string> differences(const Versions& before, const Versions& after) {
  std::vector<std::string> out;
  for (const auto& [name, version] : after) {
    const auto found = before.find(name);
    if (found == before.end() || found->second != version) out.push_back(name);
  }
  for (const auto& [name, version] : before) {
    if (!after.contains(name)) out.push_back("-" + name);
  }
  return out;
}

using Names = std::vector<std::string>;

TEST(VirtualHosts, OneChangedRouteIsOneVirtualHostAndNothingElse) {
  Mesh mesh(shop(), on);
  const auto before = versions(mesh.proxy(delta_node("client")));
  mesh.change(shop("feature-b"));
  const Proxy after = mesh.proxy(delta_node("client"));
  EXPECT_EQ(differences(before, versions(after)),
            Names{"VHDS 8080|vhds/cart.fe-pre.svc.cluster.local:8080"});
  EXPECT_EQ(mesh.generation().work().resources_made, 1u) << "and the others are not made anew";
  EXPECT_EQ(after.to("http://cart:8080/", {{"canarytag", "feature-b"}}),
            outbound(8080, "feature-b", "cart"));
}

TEST(VirtualHosts, RuleThatGoesLeavesTheHostToItsServiceAndAServiceThatGoesRemovesIt) {
  Mesh mesh(shop(), on);
  const auto before = versions(mesh.proxy(delta_node("client")));
  mesh.change(service("web") + service("cart") + service("pay") + by_tag("web", "feature-a"));
  const auto between = versions(mesh.proxy(delta_node("client")));
  EXPECT_EQ(differences(before, between),
            Names{"VHDS 8080|vhds/cart.fe-pre.svc.cluster.local:8080"});
  mesh.change(service("web") + service("cart") + by_tag("web", "feature-a"));
  const auto removed = differences(between, versions(mesh.proxy(delta_node("client"))));
  EXPECT_EQ(std::ranges::count(removed, "-VHDS 8080|vhds/pay.fe-pre.svc.cluster.local:8080"), 1);
  for (const auto& name : removed) EXPECT_NE(name.find("pay"), std::string::npos) << name;
}

TEST(VirtualHosts, HostOfOneTableLeadsToTheObjectItWasMadeFrom) {
  const Mesh mesh(shop(), on);
  const Proxy client = mesh.proxy(delta_node("client"));
  const auto* cart = client.config().find(resource::Type::virtual_host,
                                          "8080|vhds/cart.fe-pre.svc.cluster.local:8080");
  ASSERT_NE(cart, nullptr);
  EXPECT_EQ((*cart)->origins(), Names{"VirtualService fe-pre/cart"});
}

TEST(VirtualHosts, CatchAllIsAHostLikeTheOthers) {
  const Mesh mesh(shop(), on + "outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n");
  const Proxy client = mesh.proxy(delta_node("client"));
  EXPECT_EQ(std::ranges::count(client.hosts(), "8080|vhds/block_all"), 1);
  EXPECT_EQ(client.to("http://nobody:8080/"), "answers 502");
}

TEST(VirtualHosts, OfAGatewayAreOneForEachDomainSoThatNamesStayWithTheirHosts) {
  const std::string gateway =
      "---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: shop, namespace: "
      "istio-system}\nspec:\n  selector: {istio: ingressgateway}\n  servers:\n"
      "  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}\n";
  const auto route = [](const std::string& name, const std::string& hosts) {
    return "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " +
           name + ", namespace: fe-pre}\nspec:\n  hosts: " + hosts +
           "\n  gateways: [istio-system/shop]\n  http: [{route: [{destination: {host: web}}]}]\n";
  };
  resource::Node node = gateway_node();
  node.user_agent = "envoy 1.40.0";
  node.delta = true;
  Mesh mesh(shop() + gateway + route("all", "[a.example, b.example]"), on);
  const Proxy before = mesh.proxy(node, "http.80");
  EXPECT_EQ(before.hosts(), (Names{"http.80|vhds/a.example:80", "http.80|vhds/b.example:80"}));
  EXPECT_EQ(before.to("http://b.example/"), outbound(8080, "", "web"));
  mesh.change(shop() + gateway + route("all", "[a.example]") + route("b", "[b.example]"));
  const Proxy after = mesh.proxy(node, "http.80");
  EXPECT_EQ(after.hosts(), before.hosts());
  const auto* b = after.config().find(resource::Type::virtual_host, "http.80|vhds/b.example:80");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ((*b)->origins(), (Names{"VirtualService fe-pre/b", "Gateway istio-system/shop"}));
}

TEST(VirtualHosts, AGatewayThatServesNobodyHasOneHostAllTheSame) {
  const Mesh mesh(
      "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: shop, namespace: "
      "istio-system}\nspec:\n  selector: {istio: ingressgateway}\n  servers:\n"
      "  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}\n",
      on);
  resource::Node node = gateway_node();
  node.user_agent = "envoy 1.40.0";
  node.delta = true;
  EXPECT_EQ(mesh.proxy(node).hosts(), Names{"http.80|vhds/blackhole:80"})
      << "its listener would wait for ever";
}

// Whether a proxy has its virtual hosts one by one.
bool one_by_one(const Mesh& mesh, const resource::Node& node) {
  const Proxy proxy = mesh.proxy(node);
  EXPECT_EQ(proxy.hosts().empty(), proxy.config().find(resource::Type::route, "8080") != nullptr);
  return !proxy.hosts().empty();
}

TEST(VirtualHosts, AreSwitchedByTheMeshAndByEachProxyForDeltaAlone) {
  const Mesh with(shop(), on), without(shop());
  resource::Node node = delta_node("client");
  node.vhds.reset();
  EXPECT_TRUE(one_by_one(with, node));
  EXPECT_FALSE(one_by_one(without, node));
  node.vhds = false;
  EXPECT_FALSE(one_by_one(with, node));
  node.vhds = true;
  EXPECT_TRUE(one_by_one(without, node));
  node.delta = false;
  EXPECT_FALSE(one_by_one(with, node)) << "state of the world has no form for them";
}

TEST(VirtualHosts, AreForEnvoysThatCanHaveThemByAds) {
  const Mesh mesh(shop(), on);
  const auto of = [&](const std::string& agent) {
    resource::Node node = delta_node("client");
    node.user_agent = agent;
    return one_by_one(mesh, node);
  };
  EXPECT_TRUE(of("envoy 1.40.0"));
  EXPECT_TRUE(of("envoy 2.0.0"));
  for (const char* agent : {"envoy 1.39.9", "envoy", "envoy x", "envoy 1", ""})
    EXPECT_FALSE(of(agent)) << agent;
}

TEST(VirtualHosts, AnEnvoyWithListenersOfItsOwnGetsTheTablesThatItKnows) {
  const Mesh mesh(shop(), on);
  resource::Node node = delta_node("client");
  node.kind = resource::Node::Kind::other;
  node.id = "somebody";
  EXPECT_FALSE(one_by_one(mesh, node));
}

TEST(VirtualHosts, ProxiesThatHaveThemShareEveryByteOfThem) {
  const Mesh mesh(shop(), on);
  const Proxy one = mesh.proxy(delta_node("client")), other = mesh.proxy(delta_node("web"));
  EXPECT_EQ(one.config().of(resource::Type::virtual_host).front(),
            other.config().of(resource::Type::virtual_host).front());
}

TEST(VirtualHosts, ListenersAskForTheTablesThatThereAre) {
  const Mesh mesh(shop(), on);
  const Proxy client = mesh.proxy(delta_node("client"));
  const Json manager = connection_managers(client.listener("0.0.0.0_8080")).front();
  EXPECT_EQ(manager["rds"]["route_config_name"], "8080|vhds");
  const auto* table = client.config().find(resource::Type::route, "8080|vhds");
  ASSERT_NE(table, nullptr);
  EXPECT_LT((*table)->body().size(), std::size_t{100}) << "all that is left of it";
  EXPECT_TRUE((*table)->origins().empty());
}

}  // namespace
}  // namespace graymesh::feature
