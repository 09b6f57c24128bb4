// A real Envoy's word on everything we make: `envoy --mode validate` on a bootstrap that carries it.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "control/translate/config_testing.h"

namespace graymesh::translate::testing {
namespace {

std::string envoy() {
  const char* folder = std::getenv("GRAYMESH_BIN");
  const std::string program = std::string(folder ? folder : "build/bin") + "/envoy";
  return ::access(program.c_str(), X_OK) == 0 ? program : "";
}

// Listeners and clusters as static resources. Routes are put in the place of each RDS subscription,
// so that they are looked at too.
Json bootstrap(const Answer& answer) {
  Json clusters = Json::array({{{"name", "xds"}, {"type", "STATIC"}, {"typed_extension_protocol_options",
      {{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        {{"@type", "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"},
         {"explicit_http_config", {{"http2_protocol_options", Json::object()}}}}}}}}});
  for (const auto& name : answer.names(Type::cluster)) clusters.push_back(answer.cluster(name));
  Json listeners = Json::array();
  const auto put_routes = [&](Json& chain) {
    for (auto& filter : chain["filters"]) {
      auto& config = filter["typed_config"];
      if (!config.contains("rds")) continue;
      const std::string table = config["rds"]["route_config_name"];
      config.erase("rds");
      config["route_config"] = answer.routes(table);
    }
  };
  for (const auto& name : answer.names(Type::listener)) {
    Json listener = answer.listener(name);
    for (auto& chain : listener["filter_chains"]) put_routes(chain);
    if (listener.contains("default_filter_chain")) put_routes(listener["default_filter_chain"]);
    listeners.push_back(std::move(listener));
  }
  return {{"node", {{"id", "test"}, {"cluster", "test"}}},
          {"dynamic_resources", {{"ads_config", {{"api_type", "GRPC"}, {"transport_api_version", "V3"},
              {"grpc_services", Json::array({{{"envoy_grpc", {{"cluster_name", "xds"}}}}})}}}}},
          {"static_resources", {{"clusters", clusters}, {"listeners", listeners}}}};
}

// Envoy's complaint; empty if it has none.
std::string complaint(const Answer& answer) {
  const auto file = std::filesystem::temp_directory_path() / ("graymesh-validate-" + std::to_string(::getpid()) + ".json");
  std::ofstream(file) << bootstrap(answer).dump(1);
  const std::string command = envoy() + " --mode validate --log-level error --disable-hot-restart -c " + file.string() + " 2>&1";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  std::string said;
  std::array<char, 4096> buffer{};
  while (const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), pipe)) said.append(buffer.data(), size);
  const int status = ::pclose(pipe);
  std::filesystem::remove(file);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? "" : said;
}

class EnvoyAccepts : public ::testing::Test {
 protected:
  void SetUp() override {
    if (envoy().empty()) GTEST_SKIP() << "no envoy in $GRAYMESH_BIN: nothing was checked";
  }
};

// Every kind of port, and services of every resolution.
void apply_services(Mesh& mesh) {
  mesh.service("shop/web", {"http 8080", "grpc 9090", "tcp 9000", "auto 7070", "https 8443", "http2 8081"}, "selector: {app: web}");
  mesh.service("shop/peers", {"tcp 7000", "http 8080"}, "clusterIP: None");
  mesh.apply(pod("shop/web-1", "127.1.1.1", {{"app", "web"}, {"stage", "normal"}}));
  mesh.apply(pod("shop/web-2", "127.1.1.2", {{"app", "web"}, {"stage", "gray"}}));
  mesh.apply(service_entry("shop/dns", "hosts: [api.example.com]\nports: [{number: 443, name: tls, protocol: TLS}, {number: 80, name: http, protocol: HTTP}]\nresolution: DNS\nlocation: MESH_EXTERNAL"));
  mesh.apply(service_entry("shop/robin", "hosts: [db.example.com]\nports: [{number: 3306, name: mysql, protocol: MySQL}]\nresolution: DNS_ROUND_ROBIN"));
  mesh.apply(service_entry("shop/range", "hosts: [range.example.com]\naddresses: [10.20.0.0/16]\nports: [{number: 6379, name: redis, protocol: Redis}]\nresolution: NONE"));
  mesh.apply(service_entry("shop/fixed", "hosts: [fixed.example.com]\nports: [{number: 80, name: http, protocol: HTTP}]\nresolution: STATIC\nendpoints: [{address: 10.30.0.1}]"));
}

void apply_rules(Mesh& mesh) {
  mesh.apply(destination_rule("shop/web", R"(host: web
trafficPolicy:
  loadBalancer: {consistentHash: {httpHeaderName: x-user}}
  connectionPool:
    tcp: {maxConnections: 10, connectTimeout: 1s, tcpKeepalive: {time: 60s, interval: 10s, probes: 3}, idleTimeout: 30s}
    http: {http1MaxPendingRequests: 5, maxRequestsPerConnection: 2, maxRetries: 7, idleTimeout: 20s}
  outlierDetection: {consecutive5xxErrors: 3, consecutiveGatewayErrors: 2, interval: 1s, baseEjectionTime: 2s, maxEjectionPercent: 100}
subsets:
- {name: normal, labels: {stage: normal}}
- name: gray
  labels: {stage: gray}
  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 10s}}}
- name: maglev
  labels: {stage: gray}
  trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 1009}}}})"));
  mesh.apply(destination_rule("shop/dns", "host: api.example.com\ntrafficPolicy: {tls: {mode: SIMPLE}}"));
  mesh.apply(virtual_service("shop/web", R"(hosts: [web]
http:
- match: [{headers: {canarytag: {exact: gray}}, uri: {prefix: /a}}]
  route: [{destination: {host: web, subset: gray}}]
  fault: {delay: {fixedDelay: 1s, percentage: {value: 0.5}}, abort: {httpStatus: 503, percentage: {value: 1}}}
  corsPolicy: {allowOrigins: [{exact: "https://example.com"}], allowMethods: [GET], maxAge: 60s}
  mirror: {host: web, subset: normal}
- route: [{destination: {host: web, subset: normal}, weight: 90}, {destination: {host: web, subset: gray}, weight: 10}]
tcp:
- match: [{port: 9000}]
  route: [{destination: {host: web, subset: normal, port: {number: 9000}}, weight: 50}, {destination: {host: web, subset: gray, port: {number: 9000}}, weight: 50}])"));
}

TEST_F(EnvoyAccepts, ASidecarWhoseTrafficIsRedirected) {
  Mesh mesh;
  apply_services(mesh);
  apply_rules(mesh);
  mesh.config("accessLogFile: /dev/stdout\nproxyHttpPort: 15002\n");
  EXPECT_EQ(complaint(Control(mesh).ask(sidecar("127.1.1.1", "shop", {{"app", "web"}}))), "");
}

TEST_F(EnvoyAccepts, ASidecarOnALoopbackAddressOfItsOwn) {
  Mesh mesh;
  apply_services(mesh);
  apply_rules(mesh);
  mesh.config("accessLogFile: /dev/stdout\naccessLogEncoding: JSON\nproxyHttpPort: 15001\n");
  EXPECT_EQ(complaint(Control(mesh).ask(bound_sidecar("127.1.1.1", "shop", "127.65.1.1"))), "");
}

TEST_F(EnvoyAccepts, AGatewayOfEveryProtocol) {
  Mesh mesh;
  apply_services(mesh);
  apply_rules(mesh);
  mesh.apply(gateway("shop/edge", R"(selector: {istio: ingressgateway}
servers:
- {port: {number: 8080, name: http, protocol: HTTP}, hosts: ["shop.example.com", "shop/*.lanes.example.com"]}
- {port: {number: 9443, name: tls, protocol: TLS}, hosts: ["pass.example.com"], tls: {mode: PASSTHROUGH}}
- {port: {number: 9000, name: tcp, protocol: TCP}, hosts: ["*"]})"));
  mesh.apply(virtual_service("shop/edge", R"(hosts: [shop.example.com, pass.example.com]
gateways: [edge]
http: [{route: [{destination: {host: web, port: {number: 8080}}}]}]
tls: [{match: [{sniHosts: [pass.example.com]}], route: [{destination: {host: web, port: {number: 8443}}}]}]
tcp: [{match: [{port: 9000}], route: [{destination: {host: web, port: {number: 9000}}}]}])"));
  const auto answer = Control(mesh).ask(gateway_node("127.1.0.1"));
  EXPECT_EQ(answer.names(Type::listener), (std::vector<std::string>{"127.1.0.1_8080", "127.1.0.1_9000", "127.1.0.1_9443"}));
  EXPECT_EQ(complaint(answer), "");
}

}  // namespace
}  // namespace graymesh::translate::testing
