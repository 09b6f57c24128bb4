#include "model/mesh_config.h"

#include "model/testing.h"

namespace graymesh::model {
namespace {

using namespace testing;
using namespace std::chrono_literals;

TEST(MeshConfig, OfAnEmptyFileIsTheDefaults) {
  EXPECT_EQ(read_mesh_config("", "mesh.yaml").config, MeshConfig{});
  EXPECT_EQ(read_mesh_config("# nothing\n", "mesh.yaml").config, MeshConfig{});
}

TEST(MeshConfig, IsReadBare) {
  const auto read = read_mesh_config(R"(rootNamespace: mesh
proxyHttpPort: 15080
connectTimeout: 5s
outboundTrafficPolicy: {mode: REGISTRY_ONLY}
accessLogFile: /dev/stdout
accessLogEncoding: JSON
defaultConfig: {concurrency: 2, tracing: {sampling: 1}}
defaultServiceExportTo: ["*"]
pathNormalization: {normalization: MERGE_SLASHES}
)",
                                     "mesh.yaml");
  EXPECT_EQ(lines_of(read.errors), Lines{});
  EXPECT_EQ(read.config.root_namespace, "mesh");
  EXPECT_EQ(read.config.proxy_http_port, 15080u);
  EXPECT_EQ(read.config.connect_timeout, 5s);
  EXPECT_EQ(read.config.outbound_traffic, OutboundTraffic::registry_only);
  EXPECT_TRUE(read.config.access_log_json);
  EXPECT_EQ(read.config.concurrency, 2u);
  EXPECT_NE(read.config.content, 0u);
  EXPECT_EQ(lines_of(read.warnings), Lines{"mesh.yaml:7 MeshConfig: defaultConfig.tracing.sampling "
                                           "1, has no effect: no provider traces"});
}

TEST(MeshConfig, WarnsOfWhatHasNoEffectYet) {
  const auto read = read_mesh_config(
      "trustDomain: shop.example\ningressService: edge\ntrustDomainAliases: [old.example]\n",
      "mesh.yaml");
  EXPECT_EQ(lines_of(read.errors), Lines{});
  EXPECT_EQ(read.warnings.size(), 3u) << ::testing::PrintToString(lines_of(read.warnings));
}

TEST(MeshConfig, TellsThatConcurrencyIsNotGivenFromAllCores) {
  EXPECT_FALSE(read_mesh_config("defaultConfig: {}\n", "mesh.yaml").config.concurrency);
  EXPECT_EQ(read_mesh_config("defaultConfig: {concurrency: 0}\n", "mesh.yaml").config.concurrency,
            0u);
}

TEST(MeshConfig, TracesByTheDefaultProvider) {
  const auto read = read_mesh_config(R"(enableTracing: true
extensionProviders:
- name: logs
  envoyFileAccessLog: {path: /dev/stdout}
- name: otel
  opentelemetry:
    service: tracing/collector.tracing.svc.cluster.local
    port: 4318
    http: {path: /v1/traces, timeout: 2s, headers: [{name: x-tenant, value: shop}]}
defaultProviders: {tracing: [otel]}
defaultConfig: {tracing: {sampling: 12.5}}
)",
                                     "mesh.yaml");
  EXPECT_EQ(lines_of(read.errors), Lines{});
  ASSERT_TRUE(read.config.tracing);
  EXPECT_EQ(*read.config.tracing, (Tracing{.host = "collector.tracing.svc.cluster.local",
                                           .port = 4318,
                                           .http = Tracing::Http{.path = "/v1/traces",
                                                                 .timeout = 2s,
                                                                 .headers = {{"x-tenant", "shop"}}},
                                           .sampling = 12.5}));
  EXPECT_EQ(lines_of(read.warnings).size(), 1u);  // envoyFileAccessLog
}

TEST(MeshConfig, TellsOfTracingThatCannotBe) {
  EXPECT_EQ(lines_of(read_mesh_config("defaultProviders: {tracing: [otel]}\n", "m.yaml").errors),
            Lines{"m.yaml:1 MeshConfig: defaultProviders otel: no such extensionProviders"});
  EXPECT_EQ(lines_of(read_mesh_config(
                         "extensionProviders: [{name: otel, opentelemetry: {port: 0, service: "
                         "collector.a, http: {path: v1}}}]\n",
                         "m.yaml")
                         .errors)
                .size(),
            2u);
  EXPECT_EQ(lines_of(read_mesh_config("enableTracing: true\n", "m.yaml").warnings).size(), 1u);
}

TEST(MeshConfig, InAConfigMapKeepsItsLines) {
  const auto read = read_mesh_config(R"(apiVersion: v1
kind: ConfigMap
metadata: {name: istio}
data:
  mesh: |-
    rootNamespace: mesh
    proxyListenPort: 0
  meshNetworks: "networks: {}"
)",
                                     "mesh.yaml");
  EXPECT_EQ(lines_of(read.errors),
            Lines{"mesh.yaml:7 MeshConfig: proxyListenPort 0, must be 1 to 65535"});
  EXPECT_EQ(read.config.root_namespace, "mesh");
}

TEST(MeshConfig, RefusesWhatNobodyKnows) {
  EXPECT_EQ(lines_of(read_mesh_config("outboundTraficPolicy: {}\n", "mesh.yaml").errors),
            Lines{"mesh.yaml:1 MeshConfig: outboundTraficPolicy is not a known field; did you mean "
                  "outboundTrafficPolicy?"});
  EXPECT_EQ(lines_of(read_mesh_config("a: 1\n---\nb: 2\n", "mesh.yaml").errors),
            Lines{"mesh.yaml:3 MeshConfig: must be one document"});
  EXPECT_EQ(lines_of(read_mesh_config("kind: ConfigMap\n", "mesh.yaml").errors),
            Lines{"mesh.yaml:1 MeshConfig: must have data.mesh in the ConfigMap, a text"});
  EXPECT_EQ(lines_of(read_mesh_config("[", "mesh.yaml").errors).size(), 1u);
}

}  // namespace
}  // namespace graymesh::model
