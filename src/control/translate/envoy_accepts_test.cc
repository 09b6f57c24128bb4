// A real Envoy's word on everything we make: `envoy --mode validate` on a bootstrap that carries
// it.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "control/translate/config_testing.h"
#include "envoy/config/bootstrap/v3/bootstrap.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h"

namespace graymesh::translate::testing {
namespace {

std::string envoy() {
  const char* folder = std::getenv("GRAYMESH_BIN");
  const std::string program = std::string(folder ? folder : "build/bin") + "/envoy";
  return ::access(program.c_str(), X_OK) == 0 ? program : "";
}

using envoy::config::bootstrap::v3::Bootstrap;
using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;

template <typename Message>
Message parse(const Answer& answer, Type type, const std::string& name) {
  Message message;
  const auto resource = answer.resource(type, name);
  if (!resource) return message;
  EXPECT_TRUE(
      message.ParseFromArray(resource->body().data(), static_cast<int>(resource->body().size())));
  return message;
}

// Puts the routes in the place of the subscription to them, so that they are looked at too.
void put_routes(const Answer& answer, FilterChain& chain) {
  for (auto& filter : *chain.mutable_filters()) {
    HttpConnectionManager http;
    if (!filter.typed_config().Is<HttpConnectionManager>()) continue;
    EXPECT_TRUE(filter.typed_config().UnpackTo(&http));
    if (!http.has_rds()) continue;
    *http.mutable_route_config() = parse<envoy::config::route::v3::RouteConfiguration>(
        answer, Type::route, http.rds().route_config_name());
    filter.mutable_typed_config()->PackFrom(http);
  }
}

// The bytes that a proxy would get, as static resources.
Bootstrap bootstrap(const Answer& answer) {
  Bootstrap out;
  out.mutable_node()->set_id("test");
  out.mutable_node()->set_cluster("test");
  auto& ads = *out.mutable_dynamic_resources()->mutable_ads_config();
  ads.set_api_type(envoy::config::core::v3::ApiConfigSource::GRPC);
  ads.set_transport_api_version(envoy::config::core::v3::V3);
  ads.add_grpc_services()->mutable_envoy_grpc()->set_cluster_name("xds");
  auto& resources = *out.mutable_static_resources();
  auto& xds = *resources.add_clusters();
  xds.set_name("xds");
  envoy::extensions::upstreams::http::v3::HttpProtocolOptions options;
  options.mutable_explicit_http_config()->mutable_http2_protocol_options();
  (*xds.mutable_typed_extension_protocol_options())
      ["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
          .PackFrom(options);
  for (const auto& name : answer.names(Type::cluster)) {
    *resources.add_clusters() =
        parse<envoy::config::cluster::v3::Cluster>(answer, Type::cluster, name);
  }
  for (const auto& name : answer.names(Type::listener)) {
    auto& listener = *resources.add_listeners() = parse<Listener>(answer, Type::listener, name);
    for (auto& chain : *listener.mutable_filter_chains()) put_routes(answer, chain);
    if (listener.has_default_filter_chain())
      put_routes(answer, *listener.mutable_default_filter_chain());
  }
  return out;
}

// Envoy's complaint; empty if it has none.
std::string complaint(const Answer& answer) {
  const auto file = std::filesystem::temp_directory_path() /
                    ("graymesh-validate-" + std::to_string(::getpid()) + ".pb");
  std::ofstream(file) << bootstrap(answer).SerializeAsString();
  const std::string command = envoy() +
                              " --mode validate --log-level error --disable-hot-restart -c " +
                              file.string() + " 2>&1";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  std::string said;
  std::array<char, 4096> buffer{};
  while (const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), pipe))
    said.append(buffer.data(), size);
  const int status = ::pclose(pipe);
  std::filesystem::remove(file);
  // Its word is this line. Where a stats logger shares its scope, it crashes behind it (1.40).
  const bool taken = said.starts_with("configuration '" + file.string() + "' OK\n");
  return taken || (WIFEXITED(status) && WEXITSTATUS(status) == 0) ? "" : said;
}

class EnvoyAccepts : public ::testing::Test {
 protected:
  void SetUp() override {
    if (envoy().empty()) GTEST_SKIP() << "no envoy in $GRAYMESH_BIN: nothing was checked";
  }
};

// Every kind of port, and services of every resolution.
void apply_services(Mesh& mesh) {
  mesh.service("shop/web",
               {"http 8080", "grpc 9090", "tcp 9000", "auto 7070", "https 8443", "http2 8081"},
               "selector: {app: web}\n  trafficDistribution: PreferSameNode");
  mesh.service("shop/browser", {"grpc-web 9191"});
  mesh.service("shop/peers", {"tcp 7000", "http 8080"}, "clusterIP: None");
  mesh.apply(pod("shop/web-1", "127.1.1.1", {{"app", "web"}, {"stage", "normal"}}));
  mesh.apply(pod("shop/web-2", "127.1.1.2", {{"app", "web"}, {"stage", "gray"}}));
  mesh.apply(service_entry(
      "shop/dns",
      "hosts: [api.example.com]\nports: [{number: 443, name: tls, protocol: TLS}, {number: 80, "
      "name: http, protocol: HTTP}]\nresolution: DNS\nlocation: MESH_EXTERNAL"));
  mesh.apply(service_entry("shop/robin",
                           "hosts: [db.example.com]\nports: [{number: 3306, name: mysql, protocol: "
                           "MySQL}]\nresolution: DNS_ROUND_ROBIN"));
  mesh.apply(service_entry("shop/range",
                           "hosts: [range.example.com]\naddresses: [10.20.0.0/16]\nports: "
                           "[{number: 6379, name: redis, protocol: Redis}]\nresolution: NONE"));
  mesh.apply(service_entry("shop/fixed",
                           "hosts: [fixed.example.com]\nports: [{number: 80, name: http, protocol: "
                           "HTTP}]\nresolution: STATIC\nendpoints: [{address: 10.30.0.1}]"));
}

void apply_rules(Mesh& mesh) {
  mesh.apply(destination_rule("shop/web", R"(host: web
trafficPolicy:
  loadBalancer: {consistentHash: {httpHeaderName: x-user}}
  connectionPool:
    tcp: {maxConnections: 10, connectTimeout: 1s, tcpKeepalive: {time: 60s, interval: 10s, probes: 3}, idleTimeout: 30s}
    http: {http1MaxPendingRequests: 5, maxRequestsPerConnection: 2, maxRetries: 7, idleTimeout: 20s}
  outlierDetection: {consecutive5xxErrors: 3, consecutiveGatewayErrors: 2, interval: 1s, baseEjectionTime: 2s, maxEjectionPercent: 100, outlierDetectionHttpErrorCodes: [429, 503]}
  retryBudget: {percent: 20, budgetInterval: 3s}
subsets:
- {name: normal, labels: {stage: normal}}
- name: gray
  labels: {stage: gray}
  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 10s}}}
- name: maglev
  labels: {stage: gray}
  trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 1009}}}})"));
  mesh.apply(destination_rule("shop/peers",
                              "host: peers\ntrafficPolicy: {proxyProtocol: {version: V2}, "
                              "loadBalancer: {simple: PASSTHROUGH}}"));
  mesh.apply(
      destination_rule("shop/dns", "host: api.example.com\ntrafficPolicy: {tls: {mode: SIMPLE}}"));
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
  EXPECT_EQ(complaint(Control(mesh).ask(sidecar_node("127.1.1.1", "shop", {{"app", "web"}}))), "");
}

TEST_F(EnvoyAccepts, ProxiesOfIpv6AndWhatTheySayOfConnections) {
  Mesh mesh;
  apply_services(mesh);
  apply_rules(mesh);
  mesh.config("proxyHttpPort: 15002\n");
  mesh.apply(gateway("shop/edge", R"(selector: {istio: ingressgateway}
servers:
- {port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]})"));
  for (auto node : {sidecar_node("fd00::1", "shop", {{"app", "web"}}),
                    bound_node("::1", "shop", "", {{"app", "web"}}), gateway_node("fd00::2")}) {
    EXPECT_EQ(complaint(Control(mesh).ask(node)), "") << node.id;
    node.http10 = true;
    node.idle_timeout = std::chrono::seconds(90);
    EXPECT_EQ(complaint(Control(mesh).ask(node)), "") << node.id;
  }
}

TEST_F(EnvoyAccepts, ASidecarBehindATransparentProxy) {
  Mesh mesh;
  apply_services(mesh);
  auto node = sidecar_node("127.1.1.1", "shop", {{"app", "web"}});
  node.interception = resource::Node::Interception::tproxy;
  EXPECT_EQ(complaint(Control(mesh).ask(node)), "");
}

TEST_F(EnvoyAccepts, ASidecarShapedByASidecarObject) {
  Mesh mesh;
  apply_services(mesh);
  apply_rules(mesh);
  mesh.apply(testing::sidecar("shop/default", R"(ingress:
- {port: {number: 9080, protocol: HTTP, name: http}, defaultEndpoint: "127.0.0.1:8080"}
- {port: {number: 9081, protocol: TCP, name: tcp}, defaultEndpoint: "unix:///tmp/app.sock", captureMode: NONE, bind: 127.1.1.1}
- {port: {number: 9082, protocol: "", name: any}, defaultEndpoint: "0.0.0.0:8082"}
egress:
- {port: {number: 8080, protocol: HTTP, name: http}, bind: 127.1.1.1, captureMode: NONE, hosts: ["./*"]}
- {port: {number: 9000, protocol: TCP, name: tcp}, hosts: ["./*"]}
- {hosts: ["./*"]})"));
  EXPECT_EQ(complaint(Control(mesh).ask(sidecar_node("127.1.1.1", "shop", {{"app", "web"}}))), "");
}

TEST_F(EnvoyAccepts, ServicesThatClash) {
  Mesh mesh;
  apply_services(mesh);
  for (const std::string name : {"one", "two"}) {
    mesh.service("shop/" + name, {"tls 443", "tcp 9000", "odd 7070", "http 8080"},
                 "clusterIP: 10.96.7.7");
    mesh.apply(service_entry(
        "shop/" + name,
        "hosts: [" + name + ".example.com]\naddresses: [10.50." + (name == "one" ? "1.1" : "2.2") +
            "/8]\nports: [{number: 443, name: tls, protocol: TLS}]\nresolution: NONE"));
    std::string spec = "hosts: [";
    spec.append(name)
        .append(
            ".shop.svc.cluster.local, \"*.com\"]\n"
            "tls:\n- match: [{port: 443, sniHosts: [a.example.com, \"*.example.com\"]}, {port: "
            "443, sniHosts: [\"*.com\"], destinationSubnets: [10.1.2.3/8, 10.0.0.0/8]}]\n"
            "  route: [{destination: {host: ")
        .append(name)
        .append("}}]\n");
    mesh.apply(virtual_service("shop/" + name, spec));
  }
  mesh.config("proxyHttpPort: 9000");
  EXPECT_EQ(complaint(Control(mesh).ask(sidecar_node("127.1.1.1", "shop", {{"app", "web"}}))), "");
  EXPECT_EQ(
      complaint(Control(mesh).ask(bound_node("127.1.1.1", "shop", "127.65.1.1", {{"app", "web"}}))),
      "");
}

// Durations, hashing, ranges within ranges, and destinations without a port.
void apply_tcp(Mesh& mesh) {
  mesh.apply(destination_rule("shop/echo", R"(host: echo
trafficPolicy:
  connectionPool: {tcp: {idleTimeout: 0s, maxConnectionDuration: 60s}}
  loadBalancer: {consistentHash: {useSourceIp: true}}
subsets: [{name: gray, labels: {stage: gray}}])"));
  mesh.service("shop/echo", {"tcp 9001"});
  const auto range = [](const std::string& name, const std::string& protocol) {
    return service_entry("shop/" + name, "hosts: [" + name + R"(.example.com]
addresses: [10.0.0.0/8, 192.168.0.0/16]
ports: [{number: 7443, name: a, protocol: )" +
                                             protocol + "}]\nresolution: NONE");
  };
  mesh.apply(range("range", "TCP") + range("names", "TLS"));
  mesh.apply(virtual_service("shop/range",
                             R"(hosts: [range.example.com, names.example.com, "*.names.example.com"]
tcp:
- match: [{destinationSubnets: [10.0.1.0/24, 10.0.2.0/24]}]
  route: [{destination: {host: echo, subset: gray}}]
tls:
- match: [{sniHosts: [a.names.example.com], destinationSubnets: [10.0.1.0/24]}, {sniHosts: [b.names.example.com]}]
  route: [{destination: {host: echo}, weight: 1}, {destination: {host: echo, subset: gray}, weight: 1}])"));
}

TEST_F(EnvoyAccepts, ASidecarWithTcpRoutesThatTakePartsOfARange) {
  Mesh mesh;
  apply_tcp(mesh);
  const auto answer = Control(mesh).ask(sidecar_node("127.1.1.1", "shop"));
  EXPECT_NE(answer.listener("0.0.0.0_7443").dump().find("10.0.2.0"), std::string::npos);
  EXPECT_EQ(complaint(answer), "");
}

TEST_F(EnvoyAccepts, AGatewayThatKeepsTcpConnectionsAsRulesSay) {
  Mesh mesh;
  apply_tcp(mesh);
  mesh.apply(gateway("shop/edge", R"(selector: {istio: ingressgateway}
servers:
- {port: {number: 9443, name: tls, protocol: TLS}, hosts: [pass.example.com], tls: {mode: PASSTHROUGH}}
- {port: {number: 9000, name: tcp, protocol: TCP}, hosts: ["*"]})"));
  mesh.apply(virtual_service("shop/edge", R"(hosts: [pass.example.com]
gateways: [edge]
tls: [{match: [{sniHosts: [pass.example.com]}], route: [{destination: {host: echo}}]}]
tcp: [{route: [{destination: {host: echo, subset: gray}}]}])"));
  const auto answer = Control(mesh).ask(gateway_node("127.1.0.1"));
  EXPECT_EQ(tcp_of(answer.listener("127.1.0.1_9000")["filter_chains"][0])["idle_timeout"], "0s");
  EXPECT_EQ(complaint(answer), "");
}

TEST_F(EnvoyAccepts, ASidecarOnALoopbackAddressOfItsOwn) {
  Mesh mesh;
  apply_services(mesh);
  apply_rules(mesh);
  mesh.config("accessLogFile: /dev/stdout\naccessLogEncoding: JSON\nproxyHttpPort: 15001\n");
  EXPECT_EQ(complaint(Control(mesh).ask(bound_node("127.1.1.1", "shop", "127.65.1.1"))), "");
}

TEST_F(EnvoyAccepts, ProxiesThatCountRequests) {
  Mesh mesh;
  apply_services(mesh);
  apply_rules(mesh);
  mesh.apply(gateway("shop/edge", R"(selector: {istio: ingressgateway}
servers:
- {port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]})"));
  for (auto node : {sidecar_node("127.1.1.1", "shop", {{"app", "web"}}),
                    bound_node("127.1.1.1", "shop", "127.65.1.1"), gateway_node("127.1.0.1")}) {
    node.counts_requests = true;
    const auto answer = Control(mesh).ask(node);
    const std::string bytes = bootstrap(answer).SerializeAsString();
    EXPECT_NE(bytes.find("envoy.access_loggers.stats"), std::string::npos) << node.id;
    EXPECT_EQ(complaint(answer), "");
  }
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
  EXPECT_EQ(answer.names(Type::listener),
            (std::vector<std::string>{"127.1.0.1_8080", "127.1.0.1_9000", "127.1.0.1_9443"}));
  EXPECT_EQ(complaint(answer), "");
}

// A gateway whose one server has these TLS settings beside a certificate.
Answer tls_gateway(const std::filesystem::path& folder, const std::string& settings) {
  Mesh mesh;
  apply_services(mesh);
  mesh.apply(gateway(
      "shop/edge",
      "selector: {istio: ingressgateway}\nservers:\n- port: {number: 9443, name: https, protocol: "
      "HTTPS}\n  hosts: [shop.example.com]\n  tls: {mode: MUTUAL, serverCertificate: " +
          folder.string() + "/tls.crt, privateKey: " + folder.string() +
          "/tls.key, caCertificates: " + folder.string() + "/tls.crt, " + settings + "}"));
  mesh.apply(virtual_service("shop/edge", R"(hosts: [shop.example.com]
gateways: [edge]
http: [{route: [{destination: {host: web, port: {number: 8080}}}]}])"));
  return Control(mesh).ask(gateway_node("127.1.0.1"));
}

TEST_F(EnvoyAccepts, EveryCipherSuiteAndCurveThatWeLetThrough) {
  const auto folder = std::filesystem::temp_directory_path() /
                      ("graymesh-certificate-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const std::string command = "cd " + folder.string() +
                              " && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "
                              "/CN=shop.example.com -keyout tls.key -out tls.crt 2>/dev/null";
  ASSERT_EQ(std::system(command.c_str()), 0);
  for (const std::string settings : {
           "cipherSuites: [AES128-GCM-SHA256, AES128-SHA, AES256-GCM-SHA384, AES256-SHA, "
           "DES-CBC3-SHA, ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-ECDSA-AES128-SHA, "
           "ECDHE-ECDSA-AES256-GCM-SHA384, ECDHE-ECDSA-AES256-SHA, ECDHE-ECDSA-CHACHA20-POLY1305, "
           "ECDHE-RSA-AES128-GCM-SHA256, ECDHE-RSA-AES128-SHA, ECDHE-RSA-AES256-GCM-SHA384, "
           "ECDHE-RSA-AES256-SHA, ECDHE-RSA-CHACHA20-POLY1305]",
           "cipherSuites: [TLS_AES_128_GCM_SHA256, NO-SUCH, aes128-sha, \"\", \"@STRENGTH\", "
           "\"-NO-SUCH\"]",
           "cipherSuites: [ALL, \"-DES-CBC3-SHA\", \"+AES128-SHA\", \"!AES256-SHA\"]",
           "cipherSuites: [\"-ALL\"]",
           "cipherSuites: [\"!AES128-SHA\", AES128-SHA]",
           "cipherSuites: [\"[AES128-SHA|AES256-SHA]\", \"-AES128-SHA\"]",
           "ecdhCurves: [X25519MLKEM768, MLKEM1024, X25519, P-256, P-384, P-521], alpnProtocols: "
           "[h2]",
           "ecdhCurves: [x25519, prime256v1, secp384r1, secp521r1, P-256, P-224, \"\"]",
           "verifyCertificateSpki: [\"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"], "
           "verifyCertificateHash: "
           "[e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855,"
           " \"E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4:64:9B:93:4C:A4:95:99:1B:"
           "78:52:B8:55\"]",
       }) {
    const auto answer = tls_gateway(folder, settings);
    ASSERT_TRUE(answer.has(Type::listener, "127.1.0.1_9443")) << settings;
    EXPECT_EQ(complaint(answer), "") << settings;
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace graymesh::translate::testing
