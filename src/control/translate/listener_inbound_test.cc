// Listeners towards the application: docs/translation.md 5.6, 5.7.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/translate/config_testing.h"

namespace graymesh::translate::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;

Mesh shop() {
  Mesh mesh;
  mesh.service("shop/web", {"http 8080", "tcp 9000", "odd 7070"}, "selector: {app: web}");
  return mesh;
}

Answer captured(const Mesh& mesh) {
  return Control(mesh).ask(sidecar_node("10.1.0.1", "shop", {{"app", "web"}}));
}
Answer bound(const Mesh& mesh, std::string_view app = "127.65.1.1") {
  return Control(mesh).ask(bound_node("127.1.1.1", "shop", app, {{"app", "web"}}));
}

// The chains of a listener for one port, in order.
std::vector<Json> chains(const Json& listener, int port) {
  std::vector<Json> out;
  for (const auto& chain : listener["filter_chains"]) {
    if (chain.value("filter_chain_match", Json::object()).value("destination_port", 0) == port)
      out.push_back(chain);
  }
  return out;
}

TEST(VirtualInbound, HasAChainForEachPortByItsProtocol) {
  const auto listener = captured(shop()).listener("virtualInbound");
  ASSERT_EQ(chains(listener, 8080).size(), 1u);
  EXPECT_FALSE(http_of(chains(listener, 8080)[0]).is_null());
  ASSERT_EQ(chains(listener, 9000).size(), 1u);
  EXPECT_EQ(tcp_of(chains(listener, 9000)[0])["cluster"], "inbound|9000||");
  ASSERT_EQ(chains(listener, 7070).size(), 2u);
  EXPECT_EQ(chains(listener, 7070)[0]["filter_chain_match"]["application_protocols"],
            Json::parse(R"(["http/1.1", "h2c"])"));
}

TEST(VirtualInbound, LetsPassWhatNoServiceNames) {
  const auto listener = captured(shop()).listener("virtualInbound");
  EXPECT_EQ(listener["filter_chains"][0]["filter_chain_match"]["destination_port"], 15006);
  EXPECT_EQ(listener["filter_chains"][1]["name"], "virtualInbound-catchall-http");
  EXPECT_EQ(tcp_of(listener["filter_chains"][2])["cluster"], "InboundPassthroughCluster");
}

TEST(VirtualInbound, DoesNotWaitForTheFirstBytesOfPortsWhoseProtocolIsKnown) {
  const auto listener = captured(shop()).listener("virtualInbound");
  const auto& inspector = listener["listener_filters"][1];
  EXPECT_EQ(inspector["name"], "envoy.filters.listener.http_inspector");
  EXPECT_EQ(inspector["filter_disabled"]["or_match"]["rules"], Json::parse(R"([
    {"destination_port_range": {"start": 8080, "end": 8081}}, {"destination_port_range": {"start": 9000, "end": 9001}}])"));
}

TEST(VirtualInbound, RoutesEveryRequestToTheApplication) {
  const auto routes =
      http_of(chains(captured(shop()).listener("virtualInbound"), 8080)[0])["route_config"];
  EXPECT_EQ(routes["name"], "inbound|8080||");
  EXPECT_EQ(routes["virtual_hosts"][0]["name"], "inbound|http|8080");
  const auto& route = routes["virtual_hosts"][0]["routes"][0];
  EXPECT_EQ(route["route"]["cluster"], "inbound|8080||");
  EXPECT_EQ(route["route"]["timeout"], "0s");
  EXPECT_EQ(route["decorator"]["operation"], "web.shop.svc.cluster.local:8080/*");
}

TEST(VirtualInbound, KeepsTheClientsAddressBehindATransparentProxy) {
  const auto mesh = shop();
  auto node = sidecar_node("10.1.0.1", "shop", {{"app", "web"}});
  node.interception = resource::Node::Interception::tproxy;
  const auto found = Control(mesh).ask(node).resource(Type::listener, "virtualInbound");
  EXPECT_NE(found->body().find("envoy.filters.listener.original_src"), std::string_view::npos);
  EXPECT_NE(found->version(), captured(mesh).resource(Type::listener, "virtualInbound")->version());
}

TEST(BoundInbound, BindsTheInstancesPortsAndTellsHttpByTheService) {
  const auto answer = bound(shop());
  EXPECT_THAT(answer.names(Type::listener),
              ElementsAre("127.1.1.1_7070", "127.1.1.1_8080", "127.1.1.1_9000"));
  const auto http = answer.listener("127.1.1.1_8080");
  EXPECT_EQ(http["address"]["socket_address"],
            Json::parse(R"({"address": "127.1.1.1", "port_value": 8080})"));
  EXPECT_EQ(http_of(http["filter_chains"][0])["stat_prefix"], "inbound_127.1.1.1_8080;");
  EXPECT_EQ(tcp_of(answer.listener("127.1.1.1_9000")["filter_chains"][0])["cluster"],
            "inbound|9000||");
  EXPECT_EQ(tcp_of(answer.listener("127.1.1.1_7070")["default_filter_chain"])["cluster"],
            "inbound|7070||");
}

TEST(BoundInbound, LeavesThePortToAnApplicationOnTheVeryAddress) {
  const auto answer = bound(shop(), "127.1.1.1");
  EXPECT_THAT(answer.names(Type::listener), ElementsAre())
      << "neither inbound nor outbound: the application has the port";
  EXPECT_THAT(answer.names(Type::cluster), Not(Contains("inbound|8080||")));
}

TEST(BoundInbound, IsFoundByTheTargetPort) {
  Mesh mesh;
  mesh.apply(
      "apiVersion: v1\nkind: Service\nmetadata: {namespace: shop, name: web}\nspec:\n  clusterIP: "
      "10.96.0.1\n"
      "  selector: {app: web}\n  ports: [{name: http, port: 80, targetPort: 8080}]\n");
  const auto answer = bound(mesh);
  EXPECT_THAT(answer.names(Type::listener), ElementsAre("127.1.1.1_80", "127.1.1.1_8080"));
  EXPECT_EQ(answer.listener("127.1.1.1_80")["traffic_direction"], "OUTBOUND");
  EXPECT_EQ(answer.listener("127.1.1.1_8080")["traffic_direction"], "INBOUND");
}

TEST(SidecarIngress, ReplacesTheServicesPorts) {
  Mesh mesh = shop();
  mesh.apply(testing::sidecar("shop/default", R"(ingress:
- {port: {number: 9080, protocol: HTTP, name: http}, defaultEndpoint: "127.0.0.1:8080"})"));
  const auto answer = captured(mesh);
  const auto listener = answer.listener("virtualInbound");
  EXPECT_EQ(chains(listener, 9080).size(), 1u);
  EXPECT_EQ(chains(listener, 8080).size(), 0u);
  const auto cluster = answer.cluster("inbound|9080||");
  EXPECT_EQ(cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
                   ["socket_address"],
            Json::parse(R"({"address": "127.0.0.1", "port_value": 8080})"));
  EXPECT_FALSE(cluster.contains("upstream_bind_config"));
}

}  // namespace
}  // namespace graymesh::translate::testing
