// How a proxy takes connections, as its metadata says: HTTP10, IDLE_TIMEOUT (docs/translation.md
// 10).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/translate/config_testing.h"

namespace graymesh::translate::testing {
namespace {

using namespace std::chrono_literals;

Mesh shop() {
  Mesh mesh;
  mesh.service("shop/web", {"http 8080", "tcp 9000", "odd 7070"}, "selector: {app: web}")
      .service("shop/db", {"tcp 5432"})
      .config("proxyHttpPort: 15002");
  mesh.apply(gateway("shop/edge", R"(selector: {istio: ingressgateway}
servers:
- {port: {number: 8080, name: http, protocol: HTTP}, hosts: [shop.example.com]}
- {port: {number: 9000, name: tcp, protocol: TCP}, hosts: ["*"]})"));
  mesh.apply(virtual_service("shop/edge", R"(hosts: [shop.example.com]
gateways: [edge]
tcp: [{match: [{port: 9000}], route: [{destination: {host: web, port: {number: 9000}}}]}])"));
  mesh.apply(destination_rule("shop/db",
                              "host: db\ntrafficPolicy: {connectionPool: {tcp: "
                              "{idleTimeout: 7s}}}"));
  return mesh;
}

std::vector<resource::Node> proxies() {
  return {sidecar_node("10.1.0.1", "shop", {{"app", "web"}}),
          bound_node("127.1.1.1", "shop", "127.65.1.1", {{"app", "web"}}),
          gateway_node("127.1.0.1")};
}

// All HTTP connection managers and all TCP proxies that a proxy has.
struct Filters {
  std::vector<Json> http, tcp;
};

Filters filters_of(const Answer& answer) {
  Filters found;
  for (const auto& name : answer.names(Type::listener)) {
    const Json listener = answer.listener(name);
    std::vector<Json> chains = listener.value("filter_chains", std::vector<Json>());
    if (listener.contains("default_filter_chain"))
      chains.push_back(listener["default_filter_chain"]);
    for (const auto& chain : chains) {
      if (Json http = http_of(chain); !http.is_null()) found.http.push_back(std::move(http));
      if (Json tcp = tcp_of(chain); !tcp.is_null()) found.tcp.push_back(std::move(tcp));
    }
  }
  return found;
}

TEST(Manner, IsEnvoysDefaultWhereNothingIsSaid) {
  const Mesh mesh = shop();
  for (const auto& node : proxies()) {
    const Filters found = filters_of(Control(mesh).ask(node));
    ASSERT_FALSE(found.http.empty()) << node.id;
    for (const auto& http : found.http) {
      EXPECT_FALSE(http.value("http_protocol_options", Json::object()).contains("accept_http_10"));
      EXPECT_FALSE(http.contains("common_http_protocol_options"));
    }
  }
}

TEST(Manner, TakesHttp10OnEveryListenerOfAProxyThatSaysSo) {
  const Mesh mesh = shop();
  for (auto node : proxies()) {
    node.http10 = true;
    const Filters found = filters_of(Control(mesh).ask(node));
    ASSERT_FALSE(found.http.empty()) << node.id;
    for (const auto& http : found.http)
      EXPECT_EQ(http["http_protocol_options"]["accept_http_10"], true) << http["stat_prefix"];
  }
  auto node = proxies()[1];
  node.http10 = true;
  const Json proxy = Control(mesh).ask(node).listener("127.1.1.1_15002");
  EXPECT_EQ(http_of(proxy["filter_chains"][0])["http_protocol_options"],
            Json::parse(R"({"allow_absolute_url": true, "accept_http_10": true})"));
}

TEST(Manner, ClosesConnectionsThatAreIdleForAsLongAsTheProxySays) {
  const Mesh mesh = shop();
  for (auto node : proxies()) {
    node.idle_timeout = 90s;
    const Filters found = filters_of(Control(mesh).ask(node));
    ASSERT_FALSE(found.http.empty()) << node.id;
    ASSERT_FALSE(found.tcp.empty()) << node.id;
    for (const auto& http : found.http)
      EXPECT_EQ(http["common_http_protocol_options"]["idle_timeout"], "90s");
    for (const auto& tcp : found.tcp) {
      const bool has_rule = tcp["stat_prefix"] == "outbound|5432||db.shop.svc.cluster.local";
      EXPECT_EQ(tcp["idle_timeout"], has_rule ? "7s" : "90s") << tcp["stat_prefix"];
    }
  }
}

TEST(Manner, OfOneProxyIsNotThatOfItsNeighbour) {
  const Mesh mesh = shop();
  const Control control(mesh);
  for (const auto& plain : proxies()) {
    auto other = plain;
    other.http10 = true;
    other.idle_timeout = 0s;
    const Answer said = control.ask(other), unsaid = control.ask(plain);
    EXPECT_EQ(filters_of(said).http[0]["common_http_protocol_options"]["idle_timeout"], "0s");
    EXPECT_FALSE(filters_of(unsaid).http[0].contains("common_http_protocol_options"));
    for (const auto& name : said.names(Type::cluster))
      EXPECT_EQ(said.resource(Type::cluster, name), unsaid.resource(Type::cluster, name)) << name;
  }
}

}  // namespace
}  // namespace graymesh::translate::testing
