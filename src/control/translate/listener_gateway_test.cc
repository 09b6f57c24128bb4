// Listeners of gateways: docs/translation.md 6.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/translate/config_testing.h"

namespace graymesh::translate::testing {
namespace {

using ::testing::ElementsAre;

Mesh edge(std::string_view servers) {
  Mesh mesh;
  mesh.service("shop/web", {"http 8080", "https 8443", "tcp 9000"});
  mesh.apply(
      gateway("shop/edge", "selector: {istio: ingressgateway}\nservers:\n" + std::string(servers)));
  return mesh;
}

Answer ask(const Mesh& mesh) { return Control(mesh).ask(gateway_node("127.1.0.1")); }

constexpr const char* http_server =
    "- {port: {number: 8080, name: http, protocol: HTTP}, hosts: [shop.example.com]}\n";

TEST(GatewayListeners, HttpServersOfAPortShareAChain) {
  const auto answer =
      ask(edge(std::string(http_server) +
               "- {port: {number: 8080, name: http2, protocol: HTTP}, hosts: [b.example.com]}"));
  const auto listener = answer.listener("127.1.0.1_8080");
  ASSERT_EQ(listener["filter_chains"].size(), 1u);
  const auto http = http_of(listener["filter_chains"][0]);
  EXPECT_EQ(http["rds"]["route_config_name"], "http.8080");
  EXPECT_EQ(http["use_remote_address"], true);
  EXPECT_EQ(http["server_name"], "istio-envoy");
  EXPECT_EQ(http["http_filters"][0]["name"], "envoy.filters.http.lua");
  EXPECT_EQ(http["http_filters"][0]["disabled"], true) << "but where a route wakes it";
  EXPECT_TRUE(answer.has(Type::route, "http.8080"));
}

TEST(GatewayListeners, BindEveryAddressWhereTheGatewayHasItsMachineForItself) {
  EXPECT_THAT(Control(edge(http_server)).ask(gateway_node("10.1.0.1")).names(Type::listener),
              ElementsAre("0.0.0.0_8080"));
}

TEST(GatewayListeners, ListenWhereTheGatewaysServiceLeads) {
  Mesh mesh = edge("- {port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com]}");
  mesh.apply(
      "apiVersion: v1\nkind: Service\nmetadata: {namespace: istio-system, name: ingress}\nspec:\n  "
      "clusterIP: 10.96.0.1\n"
      "  selector: {istio: ingressgateway}\n  ports: [{name: http, port: 80, targetPort: 8080}]\n");
  const auto answer = ask(mesh);
  EXPECT_THAT(answer.names(Type::listener), ElementsAre("127.1.0.1_8080"));
  EXPECT_EQ(
      http_of(answer.listener("127.1.0.1_8080")["filter_chains"][0])["rds"]["route_config_name"],
      "http.8080");
}

TEST(GatewayListeners, HttpsServersAreToldByTheNameAskedFor) {
  const auto answer = ask(edge(
      R"(- {port: {number: 443, name: a, protocol: HTTPS}, hosts: [a.example.com], tls: {mode: SIMPLE, serverCertificate: /a.pem, privateKey: /a.key}}
- {port: {number: 443, name: b, protocol: HTTPS}, hosts: [shop/b.example.com], tls: {mode: MUTUAL, serverCertificate: /b.pem, privateKey: /b.key, caCertificates: /ca.pem, ecdhCurves: [P-256], alpnProtocols: [http/1.1]}})"));
  const auto listener = answer.listener("127.1.0.1_443");
  ASSERT_EQ(listener["filter_chains"].size(), 2u);
  const auto& a = listener["filter_chains"][0];
  EXPECT_EQ(a["filter_chain_match"]["server_names"], Json::parse(R"(["a.example.com"])"));
  const auto tls = a["transport_socket"]["typed_config"];
  EXPECT_EQ(tls["common_tls_context"]["tls_certificates"][0]["certificate_chain"]["filename"],
            "/a.pem");
  EXPECT_EQ(tls["common_tls_context"]["alpn_protocols"], Json::parse(R"(["h2", "http/1.1"])"));
  EXPECT_TRUE(answer.has(Type::route, http_of(a)["rds"]["route_config_name"].get<std::string>()));
  const auto& b = listener["filter_chains"][1];
  EXPECT_EQ(b["filter_chain_match"]["server_names"], Json::parse(R"(["b.example.com"])"));
  EXPECT_EQ(b["transport_socket"]["typed_config"]["require_client_certificate"], true);
  const auto& common = b["transport_socket"]["typed_config"]["common_tls_context"];
  EXPECT_EQ(common["alpn_protocols"], Json::parse(R"(["http/1.1"])"));
  EXPECT_EQ(common["tls_params"]["ecdh_curves"], Json::parse(R"(["P-256"])"));
  EXPECT_EQ(listener["listener_filters"][0]["name"], "envoy.filters.listener.tls_inspector");
}

TEST(GatewayListeners, AServerWhoseCertificateIsASecretIsNotServed) {
  const auto answer =
      ask(edge("- {port: {number: 443, name: a, protocol: HTTPS}, hosts: [a.example.com], tls: "
               "{mode: SIMPLE, credentialName: a}}"));
  EXPECT_THAT(answer.names(Type::listener), ElementsAre());
}

TEST(GatewayListeners, TlsPassesThroughToWhereTlsRoutesSay) {
  Mesh mesh = edge(
      "- {port: {number: 443, name: tls, protocol: TLS}, hosts: [web.example.com], tls: {mode: "
      "PASSTHROUGH}}");
  mesh.apply(virtual_service("shop/web", R"(hosts: [web.example.com]
gateways: [edge]
tls:
- match:
  - {port: 443, sniHosts: [web.example.com], destinationSubnets: [10.0.0.0/8]}
  - {port: 443, sniHosts: [web.example.com], destinationSubnets: [10.1.0.0/16]}
  route: [{destination: {host: web, port: {number: 8443}}}])"));
  const auto chains = ask(mesh).listener("127.1.0.1_443")["filter_chains"];
  ASSERT_EQ(chains.size(), 1u);
  const auto& chain = chains[0];
  EXPECT_EQ(chain["filter_chain_match"],
            Json::parse(R"({"server_names": ["web.example.com"], "transport_protocol": "tls"})"))
      << "as in Istio, gateways ask for no subnets";
  EXPECT_EQ(tcp_of(chain)["cluster"], "outbound|8443||web.shop.svc.cluster.local");
  EXPECT_FALSE(chain.contains("transport_socket"));
}

// The names that pass through a server for the one host to a VirtualService for the other.
std::string names_passed_through(const std::string& host, const std::string& server) {
  Mesh mesh = edge("- {port: {number: 443, name: a, protocol: TLS}, hosts: [" + server +
                   "], tls: {mode: PASSTHROUGH}}");
  mesh.apply(virtual_service("shop/web", "hosts: [" + host + R"(]
gateways: [edge]
tls:
- match: [{sniHosts: [)" + host + R"(]}]
  route: [{destination: {host: web, port: {number: 8443}}}])"));
  const auto answer = ask(mesh);
  if (!answer.has(Type::listener, "127.1.0.1_443")) return "nothing";
  return answer.listener("127.1.0.1_443")["filter_chains"][0]["filter_chain_match"]["server_names"]
      .dump();
}

TEST(GatewayListeners, OnlyHostsOfTheServerPassThrough) {
  EXPECT_EQ(names_passed_through("b.example.com", "a.example.com"), "nothing");
  EXPECT_EQ(names_passed_through("b.example.com", "\"*.example.com\""), R"(["b.example.com"])");
  EXPECT_EQ(names_passed_through("\"*.example.com\"", "a.example.com"), R"(["*.example.com"])")
      << "as in Istio, the sniHosts are not cut to the server's";
  EXPECT_EQ(names_passed_through("a.example.com", "./a.example.com"), R"(["a.example.com"])");
  EXPECT_EQ(names_passed_through("a.example.com", "bank/a.example.com"), "nothing");
}

TEST(GatewayListeners, TcpRoutesOfOtherHostsArePassedOver) {
  Mesh mesh = edge("- {port: {number: 9000, name: tcp, protocol: TCP}, hosts: [a.example.com]}");
  mesh.apply(virtual_service("shop/other", R"(hosts: [b.example.com]
gateways: [edge]
tcp: [{route: [{destination: {host: other, port: {number: 1}}}]}])"));
  mesh.apply(virtual_service("shop/web", R"(hosts: [a.example.com]
gateways: [edge]
tcp: [{route: [{destination: {host: web, port: {number: 9000}}}]}])"));
  EXPECT_EQ(tcp_of(ask(mesh).listener("127.1.0.1_9000")["filter_chains"][0])["cluster"],
            "outbound|9000||web.shop.svc.cluster.local");
}

TEST(GatewayListeners, TcpGoesToTheFirstRouteThatApplies) {
  Mesh mesh = edge("- {port: {number: 9000, name: tcp, protocol: TCP}, hosts: [\"*\"]}");
  mesh.apply(virtual_service("shop/web", R"(hosts: [web.example.com]
gateways: [edge]
tcp:
- {match: [{port: 1}], route: [{destination: {host: other}}]}
- {match: [{port: 9000}], route: [{destination: {host: web, port: {number: 9000}}}]})"));
  EXPECT_EQ(tcp_of(ask(mesh).listener("127.1.0.1_9000")["filter_chains"][0])["cluster"],
            "outbound|9000||web.shop.svc.cluster.local");
}

TEST(GatewayListeners, AreOnlyForGatewaysThatAGatewaySelects) {
  EXPECT_THAT(Control(edge(http_server))
                  .ask(gateway_node("127.1.0.1", {{"istio", "other"}}))
                  .names(Type::listener),
              ElementsAre());
}

TEST(GatewayListeners, LeaveTheProxysOwnPagesAlone) {
  EXPECT_THAT(ask(edge("- {port: {number: 15021, name: http, protocol: HTTP}, hosts: [\"*\"]}"))
                  .names(Type::listener),
              ElementsAre());
}

}  // namespace
}  // namespace graymesh::translate::testing
