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
  EXPECT_EQ(lines_of(read.warnings), Lines{"mesh.yaml:7 MeshConfig: defaultConfig.tracing is "
                                           "accepted but not supported yet: no effect"});
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
