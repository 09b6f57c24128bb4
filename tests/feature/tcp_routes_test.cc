// tcp and tls routes: which bytes they take, where those go, and by whose DestinationRule.
#include <gtest/gtest.h>

#include "mesh.h"

namespace graymesh::feature {
namespace {

// A Service with one port at an address of its own.
std::string service(const std::string& name, const std::string& ip, const std::string& port) {
  return "---\napiVersion: v1\nkind: Service\nmetadata: {name: " + name +
         ", namespace: fe-pre}\nspec: {clusterIP: " + ip + ", selector: {app: " + name +
         "}, ports: [" + port + "]}\n";
}

std::string istio_object(const std::string& kind, const std::string& name,
                         const std::string& spec) {
  return "---\napiVersion: networking.istio.io/v1\nkind: " + kind + "\nmetadata: {name: " + name +
         ", namespace: fe-pre}\nspec:\n" + spec;
}

std::string route(const std::string& name, const std::string& spec) {
  return istio_object("VirtualService", name, spec);
}
std::string rule(const std::string& host, const std::string& policy) {
  return istio_object("DestinationRule", host, "  host: " + host + "\n" + policy);
}

const std::string echo = service("echo", "10.96.0.9", "{name: tcp, port: 9000}");
const std::string db = service("db", "10.96.0.7", "{name: tcp, port: 5432}");

// The TCP proxy of a chain; of a listener's first one.
Json tcp(const Json& chain) { return chain.at("filters").at(0).at("typed_config"); }
Json first(const Json& listener) { return tcp(listener.at("filter_chains").at(0)); }

// What a gateway does with the bytes that come to a port of this protocol.
Json at_gateway(const std::string& server, const std::string& routes,
                const std::string& more = "") {
  const Mesh mesh(
      echo + more +
      istio_object("Gateway", "door",
                   "  selector: {istio: ingressgateway}\n  servers:\n  - " + server + "\n") +
      route("echo", "  hosts: [echo.example]\n  gateways: [door]\n" + routes));
  const Proxy router = mesh.gateway(31400);
  return first(router.listener(router.listeners().at(0)));
}

const std::string plain =
    "{port: {number: 31400, name: tcp, protocol: TCP}, hosts: [echo.example]}";
const std::string passed =
    "{port: {number: 443, name: tls, protocol: TLS}, hosts: [echo.example], tls: {mode: "
    "PASSTHROUGH}}";
const std::string ended =
    "{port: {number: 443, name: tls, protocol: TLS}, hosts: [echo.example], tls: {mode: SIMPLE, "
    "serverCertificate: /etc/certs/tls.crt, privateKey: /etc/certs/tls.key}}";
const std::string to_echo = "  tcp: [{route: [{destination: {host: echo}}]}]\n";
const std::string tls_to_echo =
    "  tls: [{match: [{sniHosts: [echo.example]}], route: [{destination: {host: echo}}]}]\n";

TEST(TcpRoutes, OfAGatewayLeadToTheOnlyPortOfAService) {
  EXPECT_EQ(at_gateway(plain, to_echo)["cluster"], outbound(9000, "", "echo"));
  EXPECT_EQ(at_gateway(ended, to_echo)["cluster"], outbound(9000, "", "echo"));
  EXPECT_EQ(at_gateway(passed, tls_to_echo)["cluster"], outbound(9000, "", "echo"));
}

TEST(TcpRoutes, OfASidecarLeadToTheOnlyPortOfAService) {
  const Mesh mesh(echo + db +
                  route("db", "  hosts: [db]\n  tcp: [{route: [{destination: {host: echo}}]}]\n"));
  EXPECT_EQ(first(mesh.sidecar("web").listener("10.96.0.7_5432"))["cluster"],
            outbound(9000, "", "echo"));
}

TEST(TcpRoutes, ToAServiceOfSeveralPortsKeepThePortThatIsAskedFor) {
  const Mesh mesh(
      service("many", "10.96.0.8", "{name: tcp, port: 5432}, {name: tcp-b, port: 5433}") + db +
      route("db", "  hosts: [db]\n  tcp: [{route: [{destination: {host: many}}]}]\n"));
  EXPECT_EQ(first(mesh.sidecar("web").listener("10.96.0.7_5432"))["cluster"],
            outbound(5432, "", "many"));
}

TEST(TcpRoutes, GoToWhatAnExternalNameStandsFor) {
  const std::string alias =
      "---\napiVersion: v1\nkind: Service\nmetadata: {name: voice, namespace: fe-pre}\nspec: "
      "{type: ExternalName, externalName: echo.fe-pre.svc.cluster.local}\n";
  EXPECT_EQ(
      at_gateway(plain, "  tcp: [{route: [{destination: {host: voice}}]}]\n", alias)["cluster"],
      outbound(9000, "", "echo"));
}

const std::string lasting = rule("echo", R"(  trafficPolicy:
    connectionPool: {tcp: {idleTimeout: 7s, maxConnectionDuration: 60s}}
    loadBalancer: {consistentHash: {useSourceIp: true}}
)");

void expect_lasting(Json proxy) {
  EXPECT_EQ(proxy["idle_timeout"], "7s");
  EXPECT_EQ(proxy["max_downstream_connection_duration"], "60s");
  EXPECT_EQ(proxy["hash_policy"], Json::parse(R"([{"source_ip": {}}])"));
}

TEST(TcpRoutes, OfAGatewayHeedTheRuleOfTheirDestination) {
  expect_lasting(at_gateway(plain, to_echo, lasting));
  expect_lasting(at_gateway(ended, to_echo, lasting));
  expect_lasting(at_gateway(passed, tls_to_echo, lasting));
}

TEST(TcpRoutes, OfASidecarHeedTheRuleOfTheirDestination) {
  const Mesh mesh(echo + db + lasting +
                  rule("db", "  trafficPolicy: {connectionPool: {tcp: {idleTimeout: 99s}}}\n") +
                  route("db", "  hosts: [db]\n  tcp: [{route: [{destination: {host: echo}}]}]\n"));
  expect_lasting(first(mesh.sidecar("web").listener("10.96.0.7_5432")));
}

TEST(TcpRoutes, ToSeveralDestinationsHeedTheRuleOfTheFirst) {
  const Mesh mesh(echo + db + lasting +
                  route("db",
                        "  hosts: [db]\n  tcp: [{route: [{destination: {host: echo}, weight: 1}, "
                        "{destination: {host: db}, weight: 99}]}]\n"));
  expect_lasting(first(mesh.sidecar("web").listener("10.96.0.7_5432")));
}

TEST(TcpRoutes, ToASubsetAreSpreadAsTheSubsetSays) {
  const auto hash_of = [](const std::string& subset) {
    const Mesh mesh(
        echo + rule("echo", R"(  trafficPolicy: {loadBalancer: {simple: RANDOM}}
  subsets:
  - name: kept
    labels: {v: a}
    trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}
  - {name: free, labels: {v: b}}
)") +
        route("echo", "  hosts: [echo]\n  tcp: [{route: [{destination: {host: echo, subset: " +
                          subset + "}}]}]\n"));
    return first(mesh.sidecar("web").listener("10.96.0.9_9000")).contains("hash_policy");
  };
  EXPECT_TRUE(hash_of("kept"));
  EXPECT_FALSE(hash_of("free"));
}

// A ServiceEntry for all of 10.0.0.0/8, of which a VirtualService takes a part.
Json listener_of_range(const std::string& protocol, const std::string& routes) {
  const Mesh mesh(db +
                  istio_object("ServiceEntry", "range",
                               "  hosts: [range.example]\n  addresses: [10.0.0.0/8]\n  ports: "
                               "[{number: 6379, name: a, protocol: " +
                                   protocol + "}]\n  resolution: NONE\n") +
                  route("range", "  hosts: [range.example, '*.range.example']\n" + routes));
  return mesh.sidecar("web").listener("0.0.0.0_6379");
}

TEST(DestinationSubnets, AreAPartOfTheServicesRange) {
  Json chains = listener_of_range("TCP", R"(  tcp:
  - match: [{destinationSubnets: [10.0.1.0/24]}]
    route: [{destination: {host: db}}]
)")
                    .at("filter_chains");
  ASSERT_EQ(chains.size(), 2u) << "the rest of the range still goes to the service";
  EXPECT_EQ(chains[0]["filter_chain_match"]["prefix_ranges"],
            Json::parse(R"([{"address_prefix": "10.0.1.0", "prefix_len": 24}])"));
  EXPECT_EQ(tcp(chains[0])["cluster"], outbound(5432, "", "db"));
  EXPECT_EQ(chains[1]["filter_chain_match"]["prefix_ranges"],
            Json::parse(R"([{"address_prefix": "10.0.0.0", "prefix_len": 8}])"));
  EXPECT_EQ(tcp(chains[1])["cluster"], outbound(6379, "", "range.example"));
}

TEST(DestinationSubnets, OfTlsRoutesStandBesideTheName) {
  Json chains = listener_of_range("TLS", R"(  tls:
  - match:
    - {sniHosts: [a.range.example], destinationSubnets: [10.0.1.0/24]}
    - {sniHosts: [b.range.example]}
    route: [{destination: {host: db}}]
)")
                    .at("filter_chains");
  ASSERT_EQ(chains.size(), 2u);
  EXPECT_EQ(chains[0]["filter_chain_match"],
            Json::parse(R"({"prefix_ranges": [{"address_prefix": "10.0.1.0", "prefix_len": 24}],
                            "server_names": ["a.range.example"]})"));
  EXPECT_EQ(chains[1]["filter_chain_match"],
            Json::parse(R"({"prefix_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}],
                            "server_names": ["b.range.example"]})"));
}

TEST(TcpRoutes, LeaveTlsPortsToTlsRoutes) {
  const auto cluster_of = [](const std::string& port_name) {
    const Mesh mesh(
        echo + service("vault", "10.96.0.8", "{name: " + port_name + ", port: 443}") +
        route("vault", "  hosts: [vault]\n  tcp: [{route: [{destination: {host: echo}}]}]\n"));
    return first(mesh.sidecar("web").listener("10.96.0.8_443"))["cluster"];
  };
  EXPECT_EQ(cluster_of("tls"), outbound(443, "", "vault"));
  EXPECT_EQ(cluster_of("https"), outbound(443, "", "vault"));
  EXPECT_EQ(cluster_of("tcp"), outbound(9000, "", "echo"));
}

}  // namespace
}  // namespace graymesh::feature
