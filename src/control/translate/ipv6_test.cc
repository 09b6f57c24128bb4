// Proxies all of whose addresses are IPv6 (docs/translation.md 2.2, 2.12, 5.2, 10).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/translate/config_testing.h"

namespace graymesh::translate::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsSupersetOf;

Mesh shop() {
  Mesh mesh;
  mesh.service("shop/web", {"http 8080", "tcp 9000"}, "selector: {app: web}")
      .config("proxyHttpPort: 15002");
  mesh.apply(
      "apiVersion: v1\nkind: Service\nmetadata: {namespace: shop, name: db}\nspec: {clusterIP: "
      "'fd00::5', ports: [{name: tcp, port: 5432}]}\n");
  mesh.apply(service_entry("shop/out",
                           "hosts: [out.example]\nresolution: DNS\nports: [{number: 80, name: "
                           "http, protocol: HTTP}, {number: 3306, name: tcp, protocol: TCP}]"));
  return mesh;
}

Answer captured(const Mesh& mesh, std::string_view address = "fd00::1") {
  return Control(mesh).ask(sidecar_node(address, "shop", {{"app", "web"}}));
}

TEST(Ipv6, ACapturedProxyListensOnIpv6) {
  const auto answer = captured(shop());
  EXPECT_THAT(answer.names(Type::listener),
              IsSupersetOf({"::_8080", "::_80", "::_3306", "fd00::5_5432", "::1_15002",
                            "virtualOutbound", "virtualInbound"}));
  for (const auto& name : answer.names(Type::listener)) {
    const std::string address = answer.listener(name)["address"]["socket_address"]["address"];
    EXPECT_FALSE(address == "0.0.0.0" || address.starts_with("127.")) << name;
  }
  const auto http = answer.listener("::_8080");
  EXPECT_EQ(http["bind_to_port"], false);
  EXPECT_EQ(http["filter_chains"][0]["filter_chain_match"]["transport_protocol"], "raw_buffer");
  EXPECT_TRUE(http.contains("default_filter_chain")) << "told from the rest";
  EXPECT_EQ(http_of(http["filter_chains"][0])["rds"]["route_config_name"], "8080");
  EXPECT_EQ(answer.listener("virtualOutbound")["address"]["socket_address"]["address"], "::");
  const auto inbound = answer.listener("virtualInbound");
  EXPECT_EQ(inbound["address"]["socket_address"]["address"], "::");
  EXPECT_EQ(inbound["filter_chains"][3]["name"], "::_8080");
}

TEST(Ipv6, ACapturedProxySendsFromIpv6) {
  const auto answer = captured(shop());
  for (const char* name : {"inbound|8080||", "InboundPassthroughCluster"})
    EXPECT_EQ(answer.cluster(name)["upstream_bind_config"]["source_address"]["address"], "::6");
  EXPECT_EQ(answer.cluster("outbound|80||out.example")["dns_lookup_family"], "V6_ONLY");
}

TEST(Ipv6, ProxiesOfBothFamiliesKeepTheirOwn) {
  const Mesh mesh = shop();
  const Control control(mesh);
  const auto of = [&](std::vector<std::string> addresses) {
    auto node = sidecar_node(addresses[0], "shop", {{"app", "web"}});
    node.addresses = std::move(addresses);
    return control.ask(node);
  };
  const Answer v6 = of({"fd00::1"}), v4 = of({"10.1.0.1"}), both = of({"10.1.0.2", "fd00::2"});
  for (const Answer* one : {&v4, &both}) {
    EXPECT_EQ(one->cluster("outbound|80||out.example")["dns_lookup_family"], "V4_ONLY");
    EXPECT_TRUE(one->has(Type::listener, "0.0.0.0_8080"));
    EXPECT_FALSE(one->has(Type::listener, "::_8080"));
    EXPECT_EQ(one->listener("virtualInbound")["address"]["socket_address"]["address"], "0.0.0.0");
    EXPECT_EQ(one->cluster("inbound|8080||")["upstream_bind_config"]["source_address"]["address"],
              "127.0.0.6");
  }
  EXPECT_TRUE(v6.has(Type::listener, "::_8080"));
  EXPECT_EQ(*v6.config().find(Type::cluster, "outbound|8080||web.shop.svc.cluster.local"),
            *v4.config().find(Type::cluster, "outbound|8080||web.shop.svc.cluster.local"))
      << "what does not differ is shared";
}

TEST(Ipv6, AProxyThatIsNotCapturedListensOnItsLocalhost) {
  const auto answer = Control(shop()).ask(bound_node("fd00::1", "shop", "", {{"app", "web"}}));
  EXPECT_THAT(answer.names(Type::listener),
              IsSupersetOf({"::1_15002", "::1_80", "fd00::1_8080", "fd00::1_9000"}));
  const auto to =
      answer.cluster("inbound|8080||")["load_assignment"]["endpoints"][0]["lb_endpoints"][0]
                                      ["endpoint"]["address"]["socket_address"];
  EXPECT_EQ(to, Json::parse(R"({"address": "::1", "port_value": 8080})"));
}

TEST(Ipv6, AGatewayBindsEveryAddress) {
  Mesh mesh = shop();
  mesh.apply(gateway("shop/edge", R"(selector: {istio: ingressgateway}
servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]}])"));
  const auto answer = Control(mesh).ask(gateway_node("fd00::9"));
  EXPECT_THAT(answer.names(Type::listener), ElementsAre("::_8080"));
  EXPECT_EQ(answer.listener("::_8080")["address"]["socket_address"]["address"], "::");
  EXPECT_EQ(answer.cluster("outbound|80||out.example")["dns_lookup_family"], "V6_ONLY");
}

// As istiod: the localhost that the proxy has, whichever is written.
TEST(Ipv6, ASidecarsIngressLeadsToTheLocalhostThatThereIs) {
  const auto to = [](const Answer& answer, int port) {
    const auto cluster = answer.cluster("inbound|" + std::to_string(port) + "||");
    return cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
                  ["socket_address"]["address"];
  };
  Mesh mesh = shop();
  mesh.apply(testing::sidecar("shop/default", R"(ingress:
- {port: {number: 9080, protocol: HTTP, name: a}, defaultEndpoint: "127.0.0.1:8080"}
- {port: {number: 9081, protocol: HTTP, name: b}, defaultEndpoint: "[::1]:8080"}
- {port: {number: 9082, protocol: HTTP, name: c}, defaultEndpoint: "[::]:8080"}
- {port: {number: 9083, protocol: HTTP, name: d}, defaultEndpoint: "0.0.0.0:8080"})"));
  const auto v6 = captured(mesh), v4 = captured(mesh, "10.1.0.1");
  EXPECT_EQ(to(v6, 9080), "::1");
  EXPECT_EQ(to(v6, 9081), "::1");
  EXPECT_EQ(to(v6, 9082), "fd00::1");
  EXPECT_EQ(to(v6, 9083), "127.0.0.1");
  EXPECT_EQ(to(v4, 9080), "127.0.0.1");
  EXPECT_EQ(to(v4, 9081), "127.0.0.1");
  EXPECT_EQ(to(v4, 9083), "10.1.0.1");
}

}  // namespace
}  // namespace graymesh::translate::testing
