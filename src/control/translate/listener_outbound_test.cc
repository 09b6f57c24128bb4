// Outbound listeners: who takes which address and port (docs/translation.md 5.2 to 5.5).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/translate/config_testing.h"

namespace graymesh::translate::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

Answer captured(const Mesh& mesh) { return Control(mesh).ask(sidecar_node("10.1.0.1", "shop")); }
Answer bound(const Mesh& mesh) {
  return Control(mesh).ask(bound_node("127.1.1.1", "shop", "127.65.1.1", {{"app", "web"}}));
}

// A service without a virtual IP of the test's own choosing.
std::string service(std::string_view name, std::string_view ip, std::string_view port) {
  const std::string full(name);
  return "apiVersion: v1\nkind: Service\nmetadata: {namespace: " + full.substr(0, full.find('/')) +
         ", name: " + full.substr(full.find('/') + 1) +
         "}\nspec:\n  clusterIP: " + std::string(ip) + "\n  ports: [" + std::string(port) +
         "]\n---\n";
}

TEST(CapturedOutbound, HttpServicesOfOnePortShareAListenerAndARouteTable) {
  Mesh mesh;
  mesh.service("shop/web", {"http 8080"}).service("shop/cart", {"http 8080"});
  const auto listener = captured(mesh).listener("0.0.0.0_8080");
  EXPECT_EQ(listener["bind_to_port"], false);
  ASSERT_EQ(listener["filter_chains"].size(), 1u);
  const auto& chain = listener["filter_chains"][0];
  EXPECT_EQ(
      chain["filter_chain_match"],
      Json::parse(
          R"({"transport_protocol": "raw_buffer", "application_protocols": ["http/1.1", "h2c"]})"));
  EXPECT_EQ(http_of(chain)["rds"]["route_config_name"], "8080");
  EXPECT_EQ(http_of(chain)["stat_prefix"], "outbound_0.0.0.0_8080;");
  EXPECT_EQ(tcp_of(listener["default_filter_chain"])["cluster"], "PassthroughCluster");
}

TEST(CapturedOutbound, WhatIsUnknownGoesNowhereIfOnlyTheRegistryIsAllowed) {
  Mesh mesh;
  mesh.service("shop/web", {"http 8080"}).config("outboundTrafficPolicy: {mode: REGISTRY_ONLY}");
  const auto answer = captured(mesh);
  EXPECT_EQ(tcp_of(answer.listener("0.0.0.0_8080")["default_filter_chain"])["cluster"],
            "BlackHoleCluster");
  EXPECT_EQ(tcp_of(answer.listener("virtualOutbound")["filter_chains"][1])["cluster"],
            "BlackHoleCluster");
}

TEST(CapturedOutbound, TcpServicesHaveAListenerOnTheirVirtualIp) {
  Mesh mesh;
  mesh.apply(service("shop/db", "10.96.0.7", "{name: tcp, port: 5432}"));
  const auto listener = captured(mesh).listener("10.96.0.7_5432");
  ASSERT_EQ(listener["filter_chains"].size(), 1u);
  EXPECT_EQ(tcp_of(listener["filter_chains"][0])["cluster"],
            "outbound|5432||db.shop.svc.cluster.local");
  EXPECT_FALSE(listener["filter_chains"][0].contains("filter_chain_match"));
}

TEST(CapturedOutbound, SniffedPortsTellHttpFromTheRest) {
  Mesh mesh;
  mesh.apply(service("shop/odd", "10.96.0.8", "{name: odd, port: 7070}"));
  const auto listener = captured(mesh).listener("10.96.0.8_7070");
  EXPECT_EQ(http_of(listener["filter_chains"][0])["rds"]["route_config_name"],
            "odd.shop.svc.cluster.local:7070");
  EXPECT_EQ(tcp_of(listener["default_filter_chain"])["cluster"],
            "outbound|7070||odd.shop.svc.cluster.local");
  EXPECT_EQ(listener["listener_filters"][0]["name"], "envoy.filters.listener.http_inspector");
}

TEST(CapturedOutbound, HeadlessTcpServicesHaveAListenerForEachPod) {
  Mesh mesh;
  mesh.service("shop/peers", {"tcp 7000"}, "clusterIP: None\n  selector: {app: peers}");
  mesh.apply(pod("shop/peers-0", "10.1.0.5", {{"app", "peers"}}));
  mesh.apply(pod("shop/peers-1", "10.1.0.6", {{"app", "peers"}}));
  const auto names = captured(mesh).names(Type::listener);
  EXPECT_THAT(names, Contains("10.1.0.5_7000"));
  EXPECT_THAT(names, Contains("10.1.0.6_7000"));
}

TEST(CapturedOutbound, TlsServicesWithoutAnAddressAreToldByTheirNames) {
  Mesh mesh;
  for (const std::string name : {"a", "b"}) {
    mesh.apply(service_entry(
        "shop/" + name,
        "hosts: [" + name +
            ".example.com]\nports: [{number: 443, name: tls, protocol: TLS}]\nresolution: DNS"));
  }
  const auto listener = captured(mesh).listener("0.0.0.0_443");
  ASSERT_EQ(listener["filter_chains"].size(), 2u);
  EXPECT_EQ(listener["filter_chains"][1]["filter_chain_match"]["server_names"],
            Json::parse(R"(["b.example.com"])"));
  EXPECT_EQ(tcp_of(listener["filter_chains"][1])["cluster"], "outbound|443||b.example.com");
  EXPECT_EQ(listener["listener_filters"][0]["name"], "envoy.filters.listener.tls_inspector");
}

TEST(CapturedOutbound, ConnectionsWithoutAListenerOfTheirOwnPassThrough) {
  Mesh mesh;
  const auto listener = captured(mesh).listener("virtualOutbound");
  EXPECT_EQ(listener["use_original_dst"], true);
  EXPECT_EQ(listener["filter_chains"][0]["filter_chain_match"]["destination_port"], 15001);
  EXPECT_EQ(tcp_of(listener["filter_chains"][0])["cluster"], "BlackHoleCluster");
  EXPECT_EQ(tcp_of(listener["filter_chains"][1])["cluster"], "PassthroughCluster");
}

TEST(TcpRoutes, ShareConnectionsOutByWeight) {
  Mesh mesh;
  mesh.apply(service("shop/db", "10.96.0.7", "{name: tcp, port: 5432}"));
  mesh.apply(virtual_service("shop/db", R"(hosts: [db]
tcp:
- match: [{port: 5432}]
  route: [{destination: {host: db, subset: a}, weight: 90}, {destination: {host: db, subset: b}, weight: 10}])"));
  const auto tcp = tcp_of(captured(mesh).listener("10.96.0.7_5432")["filter_chains"][0]);
  EXPECT_EQ(tcp["stat_prefix"], "db.shop");
  EXPECT_EQ(tcp["weighted_clusters"]["clusters"], Json::parse(R"([
    {"name": "outbound|5432|a|db.shop.svc.cluster.local", "weight": 90}, {"name": "outbound|5432|b|db.shop.svc.cluster.local", "weight": 10}])"));
}

TEST(TcpRoutes, BehindOneThatTakesAllAreNotAsked) {
  Mesh mesh;
  mesh.apply(service("shop/db", "10.96.0.7", "{name: tcp, port: 5432}"));
  mesh.apply(virtual_service("shop/a", "hosts: [db]\ntcp: [{route: [{destination: {host: db}}]}]"));
  mesh.apply(virtual_service("shop/b", R"(hosts: ["*.shop.svc.cluster.local"]
tcp: [{match: [{destinationSubnets: [10.96.0.0/16]}], route: [{destination: {host: other}}]}])"));
  const auto chains = captured(mesh).listener("10.96.0.7_5432")["filter_chains"];
  ASSERT_EQ(chains.size(), 1u);
  EXPECT_EQ(tcp_of(chains[0])["cluster"], "outbound|5432||db.shop.svc.cluster.local");
}

// What a tcp route with these destinations makes of a rule that hashes in some places.
bool hashes(const std::string& destinations) {
  Mesh mesh;
  mesh.apply(service("shop/db", "10.96.0.7", "{name: tcp, port: 5432}"));
  mesh.apply(service("shop/other", "10.96.0.8", "{name: tcp, port: 5433}"));
  mesh.apply(destination_rule("shop/db", R"(host: db
trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}
subsets:
- {name: as-db, labels: {v: a}}
- {name: also, labels: {v: b}, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}}
- {name: header, labels: {v: c}, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x}}}}
- {name: simple, labels: {v: d}, trafficPolicy: {loadBalancer: {simple: RANDOM}}})"));
  mesh.apply(virtual_service("shop/db", "hosts: [db]\ntcp: [{route: [" + destinations + "]}]"));
  return tcp_of(captured(mesh).listener("10.96.0.7_5432")["filter_chains"][0])
      .contains("hash_policy");
}

TEST(TcpRoutes, AreSpreadAsASubsetSaysWhereItSaysAnything) {
  EXPECT_TRUE(hashes("{destination: {host: db}}"));
  EXPECT_TRUE(hashes("{destination: {host: db, subset: as-db}}"));
  EXPECT_TRUE(hashes("{destination: {host: db, subset: also}}"));
  EXPECT_TRUE(hashes("{destination: {host: db, subset: unknown}}"));
  EXPECT_FALSE(hashes("{destination: {host: db, subset: header}}"));
  EXPECT_FALSE(hashes("{destination: {host: db, subset: simple}}"));
  EXPECT_FALSE(hashes("{destination: {host: other}}"));
}

TEST(TcpRoutes, ToSeveralSubsetsAreSpreadAsTheRuleOfTheFirstSays) {
  EXPECT_TRUE(
      hashes("{destination: {host: db, subset: simple}, weight: 1}, {destination: {host: "
             "other}, weight: 1}"));
  EXPECT_FALSE(
      hashes("{destination: {host: other}, weight: 1}, {destination: {host: db}, weight: "
             "1}"));
}

TEST(TlsRoutes, ChooseByTheNameAskedFor) {
  Mesh mesh;
  mesh.apply(service("shop/vault", "10.96.0.9", "{name: tls, port: 443}"));
  mesh.apply(virtual_service("shop/vault", R"(hosts: [vault.shop.svc.cluster.local]
tls:
- match: [{port: 443, sniHosts: [vault.shop.svc.cluster.local]}]
  route: [{destination: {host: vault, subset: gray}}])"));
  const auto listener = captured(mesh).listener("10.96.0.9_443");
  EXPECT_EQ(listener["filter_chains"][0]["filter_chain_match"]["server_names"],
            Json::parse(R"(["vault.shop.svc.cluster.local"])"));
  EXPECT_EQ(tcp_of(listener["filter_chains"][0])["cluster"],
            "outbound|443|gray|vault.shop.svc.cluster.local");
}

TEST(TlsRoutes, ThatNameAHostAgainLoseItToTheFirst) {
  Mesh mesh;
  mesh.apply(service("shop/vault", "10.96.0.9", "{name: tls, port: 443}"));
  mesh.apply(virtual_service("shop/vault",
                             R"(hosts: [vault.shop.svc.cluster.local, "*.example.com", "*other.com"]
tls:
- match: [{port: 443, sniHosts: [vault.shop.svc.cluster.local, a.example.com]}]
  route: [{destination: {host: vault, subset: one}}]
- match: [{port: 443, sniHosts: [a.example.com, "*.example.com", "*other.com"]}]
  route: [{destination: {host: vault, subset: two}}]
- match: [{port: 443, sniHosts: [a.example.com]}]
  route: [{destination: {host: vault, subset: three}}])"));
  auto chains = captured(mesh).listener("10.96.0.9_443")["filter_chains"];
  ASSERT_EQ(chains.size(), 2u);
  EXPECT_EQ(chains[0]["filter_chain_match"]["server_names"],
            Json::parse(R"(["a.example.com", "vault.shop.svc.cluster.local"])"));
  EXPECT_EQ(chains[1]["filter_chain_match"]["server_names"], Json::parse(R"(["*.example.com"])"))
      << "what the first has is gone, and Envoy takes no partial wildcard";
}

TEST(Ranges, AreMaskedSoThatEqualOnesAreSeen) {
  Mesh mesh;
  const std::string rest =
      "\nports: [{number: 6379, name: redis, protocol: Redis}]\nresolution: NONE";
  mesh.apply(service_entry("shop/a", "hosts: [a.example.com]\naddresses: [10.1.2.3/8]" + rest));
  mesh.apply(service_entry("shop/b", "hosts: [b.example.com]\naddresses: [10.0.0.0/8]" + rest));
  auto listener = captured(mesh).listener("0.0.0.0_6379");
  ASSERT_EQ(listener["filter_chains"].size(), 1u);
  EXPECT_EQ(listener["filter_chains"][0]["filter_chain_match"]["prefix_ranges"],
            Json::parse(R"([{"address_prefix": "10.0.0.0", "prefix_len": 8}])"));
  EXPECT_EQ(tcp_of(listener["default_filter_chain"])["cluster"], "PassthroughCluster");
}

TEST(Ranges, ThatARouteTakesWholeLeaveNothingToTheService) {
  Mesh mesh;
  mesh.apply(service_entry("shop/a",
                           "hosts: [a.example.com]\naddresses: [10.0.0.0/8, 10.0.0.7]\nports: "
                           "[{number: 6379, name: redis, protocol: Redis}]\nresolution: NONE"));
  mesh.apply(virtual_service("shop/a", R"(hosts: [a.example.com]
tcp:
- match: [{destinationSubnets: [10.1.2.3/8]}]
  route: [{destination: {host: b}}])"));
  const auto answer = captured(mesh);
  auto chains = answer.listener("0.0.0.0_6379")["filter_chains"];
  ASSERT_EQ(chains.size(), 1u);
  EXPECT_EQ(tcp_of(chains[0])["cluster"], "outbound|6379||b.shop.svc.cluster.local");
  EXPECT_EQ(tcp_of(answer.listener("10.0.0.7_6379")["default_filter_chain"])["cluster"],
            "outbound|6379||a.example.com")
      << "the address has a listener of its own";
}

TEST(BoundOutbound, ListenersBindTheInstancesOwnLoopbackAddress) {
  Mesh mesh;
  mesh.service("shop/cart", {"http 9080"});
  const auto listener = bound(mesh).listener("127.1.1.1_9080");
  EXPECT_FALSE(listener.contains("bind_to_port"));
  EXPECT_FALSE(listener["filter_chains"][0].contains("filter_chain_match"));
  EXPECT_FALSE(listener.contains("default_filter_chain"));
  EXPECT_EQ(http_of(listener["filter_chains"][0])["rds"]["route_config_name"], "9080");
}

TEST(BoundOutbound, LocalhostIsTheAddressOfAnInstanceThatHasItsMachineForItself) {
  Mesh mesh;
  mesh.service("shop/cart", {"http 9080"});
  EXPECT_THAT(Control(mesh).ask(bound_node("10.1.0.1", "shop")).names(Type::listener),
              ElementsAre("127.0.0.1_9080"));
}

TEST(BoundOutbound, ThePortThatTheInstanceServesBelongsToItsInboundListener) {
  Mesh mesh;
  mesh.service("shop/web", {"http 8080"}, "selector: {app: web}")
      .service("shop/cart", {"http 8080"});
  mesh.config("proxyHttpPort: 15001");
  const auto answer = bound(mesh);
  EXPECT_THAT(answer.names(Type::listener), ElementsAre("127.1.1.1_15001", "127.1.1.1_8080"));
  EXPECT_EQ(answer.listener("127.1.1.1_8080")["traffic_direction"], "INBOUND");
}

TEST(BoundOutbound, TheExplicitProxyTakesWholeUrls) {
  Mesh mesh;
  mesh.service("shop/cart", {"http 9080"}).config("proxyHttpPort: 15001");
  const auto http = http_of(bound(mesh).listener("127.1.1.1_15001")["filter_chains"][0]);
  EXPECT_EQ(http["rds"]["route_config_name"], "http_proxy");
  EXPECT_EQ(http["http_protocol_options"]["allow_absolute_url"], true);
}

TEST(BoundOutbound, TheNodeMayHaveAProxyPortOfItsOwn) {
  Mesh mesh;
  mesh.config("proxyHttpPort: 15001");
  auto node = bound_node("127.1.1.1", "shop");
  node.http_proxy_port = 15077;
  EXPECT_THAT(Control(mesh).ask(node).names(Type::listener), ElementsAre("127.1.1.1_15077"));
}

TEST(BoundOutbound, TheProxysOwnPagesAreNotTakenFromIt) {
  Mesh mesh;
  for (const std::string port : {"15000", "15020", "15021", "15090"})
    mesh.service("shop/p" + port, {"http " + port});
  EXPECT_THAT(bound(mesh).names(Type::listener), ElementsAre());
}

TEST(BoundOutbound, APortIsHttpsOrElseTheFirstServicesOwnNamespaceFirst) {
  Mesh mesh;
  mesh.apply(service("aaa/db", "10.96.0.1", "{name: tcp, port: 5432}"));
  mesh.apply(service("shop/db", "10.96.0.2", "{name: tcp, port: 5432}"));
  mesh.apply(service("shop/mixed", "10.96.0.3", "{name: tcp, port: 7000}"));
  mesh.apply(service("shop/pages", "10.96.0.4", "{name: http, port: 7000}"));
  const auto answer = bound(mesh);
  EXPECT_EQ(tcp_of(answer.listener("127.1.1.1_5432")["filter_chains"][0])["cluster"],
            "outbound|5432||db.shop.svc.cluster.local");
  const auto shared = answer.listener("127.1.1.1_7000");
  EXPECT_EQ(http_of(shared["filter_chains"][0])["rds"]["route_config_name"], "7000");
  EXPECT_EQ(shared["filter_chains"].size(), 1u);
}

TEST(BoundOutbound, AnUnprivilegedProxyBindsNoPrivilegedPort) {
  Mesh mesh;
  mesh.service("shop/cart", {"http 80", "http2 8081"});
  auto node = bound_node("127.1.1.1", "shop");
  node.unprivileged = true;
  EXPECT_THAT(Control(mesh).ask(node).names(Type::listener), ElementsAre("127.1.1.1_8081"));
}

TEST(Egress, AListenerWithAPortTakesThatPortAway) {
  Mesh mesh;
  mesh.service("shop/web", {"http 8080"}).service("shop/cart", {"http 9080"});
  mesh.apply(testing::sidecar("shop/default", R"(egress:
- {port: {number: 8080, protocol: HTTP, name: http}, bind: 127.0.0.9, captureMode: NONE, hosts: ["./web.shop.svc.cluster.local"]}
- {hosts: ["./cart.shop.svc.cluster.local"]})"));
  const auto answer = captured(mesh);
  EXPECT_THAT(answer.names(Type::listener),
              ElementsAre("0.0.0.0_9080", "127.0.0.9_8080", "virtualInbound", "virtualOutbound"));
  EXPECT_FALSE(answer.listener("127.0.0.9_8080").contains("bind_to_port"));
}

TEST(OutboundListeners, EveryRouteTableThatIsNamedIsThere) {
  Mesh mesh;
  mesh.service("shop/web", {"http 8080", "odd 7070"})
      .service("shop/peers", {"odd 7071"}, "clusterIP: None")
      .config("proxyHttpPort: 15002");
  mesh.apply(service_entry("shop/any",
                           "hosts: [any.example.com]\nports: [{number: 7072, name: any, protocol: "
                           "\"\"}]\nresolution: DNS"));
  for (const auto& answer : {captured(mesh), bound(mesh)}) {
    for (const auto& name : answer.names(Type::listener)) {
      const auto listener = answer.listener(name);
      for (const auto& chain : listener["filter_chains"]) {
        const auto http = http_of(chain);
        if (http.is_null() || !http.contains("rds")) continue;
        EXPECT_TRUE(answer.has(Type::route, http["rds"]["route_config_name"].get<std::string>()))
            << http["rds"];
      }
    }
  }
}

TEST(AccessLog, IsWhatMeshConfigAsksFor) {
  Mesh mesh;
  mesh.service("shop/web", {"http 8080"});
  const auto log = [&] {
    const auto http = http_of(captured(mesh).listener("0.0.0.0_8080")["filter_chains"][0]);
    return http.contains("access_log") ? http["access_log"][0]["typed_config"] : Json();
  };
  EXPECT_TRUE(log().is_null());
  mesh.config("accessLogFile: /dev/stdout");
  const std::string text = log()["log_format"]["text_format_source"]["inline_string"];
  EXPECT_THAT(text, ::testing::EndsWith(" %ROUTE_NAME%\n"));
  mesh.config("{accessLogFile: /dev/stdout, accessLogEncoding: JSON}");
  const auto fields = log()["log_format"]["json_format"];
  EXPECT_EQ(fields["rule"], "%METADATA(ROUTE:istio:config)%");
  EXPECT_EQ(fields["policy"], "%METADATA(CLUSTER:istio:config)%");
  EXPECT_EQ(fields["response_flags"], "%RESPONSE_FLAGS%");
  mesh.config(
      "{accessLogFile: /var/log/a, accessLogEncoding: JSON, accessLogFormat: '{\"route\": "
      "\"%ROUTE_NAME%\"}'}");
  EXPECT_EQ(
      log(),
      Json::parse(
          R"({"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
      "path": "/var/log/a", "log_format": {"json_format": {"route": "%ROUTE_NAME%"}}})"));
}

TEST(Tracing, GoesToTheDefaultProvidersCollector) {
  Mesh mesh;
  mesh.service("shop/web", {"http 8080"});
  const auto tracing = [&] {
    return http_of(captured(mesh).listener("0.0.0.0_8080")["filter_chains"][0])
        .value("tracing", Json());
  };
  EXPECT_TRUE(tracing().is_null());
  mesh.config(
      "{extensionProviders: [{name: otel, opentelemetry: {service: "
      "collector.tracing.svc.cluster.local, "
      "port: 4317}}], defaultProviders: {tracing: [otel]}, defaultConfig: {tracing: {sampling: "
      "50}}}");
  EXPECT_EQ(tracing()["random_sampling"]["value"], 50);
  auto provider = tracing()["provider"]["typed_config"];
  EXPECT_EQ(provider["grpc_service"]["envoy_grpc"]["cluster_name"],
            "outbound|4317||collector.tracing.svc.cluster.local");
  EXPECT_EQ(provider["resource_detectors"][0]["name"],
            "envoy.tracers.opentelemetry.resource_detectors.environment");
  mesh.config(
      "{extensionProviders: [{name: otel, opentelemetry: {service: "
      "collector.tracing.svc.cluster.local, "
      "port: 4318, http: {path: /v1/traces}}}], defaultProviders: {tracing: [otel]}}");
  provider = tracing()["provider"]["typed_config"];
  EXPECT_FALSE(provider.contains("grpc_service"));
  EXPECT_EQ(provider["http_service"]["http_uri"],
            Json::parse(R"({"uri": "http://collector.tracing.svc.cluster.local:4318/v1/traces",
      "cluster": "outbound|4318||collector.tracing.svc.cluster.local", "timeout": "5s"})"));
}

TEST(HttpConnections, PassFaultCorsAndRouterInThatOrderAndMayBecomeWebsockets) {
  Mesh mesh;
  mesh.service("shop/web", {"http 8080"});
  const auto http = http_of(captured(mesh).listener("0.0.0.0_8080")["filter_chains"][0]);
  std::vector<std::string> filters;
  for (const auto& filter : http["http_filters"]) filters.push_back(filter["name"]);
  EXPECT_THAT(filters, ElementsAre("envoy.filters.http.fault", "envoy.filters.http.cors",
                                   "envoy.filters.http.router"));
  EXPECT_EQ(http["upgrade_configs"], Json::parse(R"([{"upgrade_type": "websocket"}])"));
  EXPECT_EQ(http["normalize_path"], true);
  EXPECT_EQ(http["stream_idle_timeout"], "0s");
}

}  // namespace
}  // namespace graymesh::translate::testing
