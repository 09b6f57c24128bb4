// A gray instance's sidecar names its lane on what the application sends, before it routes, so that
// an application which does not pass headers on stays in its lane.
#include <gtest/gtest.h>

#include <set>

#include "mesh.h"

namespace graymesh::feature {
namespace {

const Labels gray{{"stage", "gray"}, {"canarytag", "feature-a"}};

// What an HTTP connection manager adds before it routes: "canarytag: feature-a", or nothing.
std::string stamp(const Json& manager) {
  const Json extensions = manager.value("early_header_mutation_extensions", Json::array());
  if (extensions.empty()) return "";
  const Json& append = extensions[0]["typed_config"]["mutations"][0]["append"];
  EXPECT_EQ(append["append_action"], "ADD_IF_ABSENT");
  return append["header"]["key"].get<std::string>() + ": " +
         append["header"]["value"].get<std::string>();
}

// Of every outbound listener with HTTP.
std::set<std::string> stamps(const Proxy& proxy) {
  std::set<std::string> found;
  for (const auto& name : proxy.listeners()) {
    if (name == "virtualInbound") continue;
    for (const Json& manager : connection_managers(proxy.listener(name)))
      found.insert(stamp(manager));
  }
  return found;
}
using Stamps = std::set<std::string>;

TEST(LaneStamp, IsOnEveryOutboundListenerOfAGrayInstance) {
  const Mesh mesh(app("cart") + app("pay", {"baseline"}, "fe-pre", 9090, "grpc") +
                      app("auto", {"baseline"}, "fe-pre", 7070, "raw"),
                  "proxyHttpPort: 15080\n");
  const Proxy proxy = mesh.sidecar("web", "fe-pre", gray);
  EXPECT_EQ(stamps(proxy), Stamps{"canarytag: feature-a"});
  bool explicit_proxy = false;
  for (const auto& name : proxy.listeners()) explicit_proxy |= name.ends_with("_15080");
  EXPECT_TRUE(explicit_proxy) << "among them the explicit proxy's";
}

TEST(LaneStamp, IsNotOnInboundListeners) {
  const Mesh mesh(app("web") + app("cart"));
  for (const Json& manager :
       connection_managers(mesh.sidecar("web", "fe-pre", gray).listener("virtualInbound")))
    EXPECT_EQ(stamp(manager), "");
}

TEST(LaneStamp, IsForGrayInstancesWithALaneOnly) {
  const Mesh mesh(app("cart"));
  EXPECT_EQ(stamps(mesh.sidecar("web")), Stamps{""});
  EXPECT_EQ(stamps(mesh.sidecar("web", "fe-pre", {{"stage", "normal"}, {"canarytag", "a"}})),
            Stamps{""});
  EXPECT_EQ(stamps(mesh.sidecar("web", "fe-pre", {{"stage", "gray"}})), Stamps{""});
  EXPECT_EQ(stamps(mesh.sidecar("web", "fe-pre", {{"stage", "gray"}, {"canarytag", "%REQ(a)%"}})),
            Stamps{""})
      << "no label has such a value, and Envoy would read it as a command";
}

std::string pod(const std::string& annotations, const std::string& tag) {
  return R"(---
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: fe-pre, labels: {app: web, stage: gray, canarytag: )" +
         tag + "}, annotations: {" + annotations + R"(}}
spec: {containers: [{name: web}]}
status: {podIP: 10.7.7.7, phase: Running}
)";
}

TEST(LaneStamp, FollowsThePodsLabelsAndItsAnnotation) {
  Mesh mesh(app("cart") + pod("", "feature-b"));
  auto node = sidecar_node("web", "fe-pre", gray);
  node.address = "10.7.7.7";
  node.addresses = {node.address};
  EXPECT_EQ(stamps(mesh.proxy(node)), Stamps{"canarytag: feature-b"});
  mesh.change(app("cart") + pod("graymesh.io/lane-stamp: \"false\"", "feature-b"));
  EXPECT_EQ(stamps(mesh.proxy(node)), Stamps{""});
  mesh.change(app("cart") + pod("", "feature-c"));
  EXPECT_EQ(stamps(mesh.proxy(node)), Stamps{"canarytag: feature-c"});
}

TEST(LaneStamp, UsesTheMeshsHeader) {
  const Mesh mesh(app("cart"), "defaultConfig: {proxyMetadata: {GRAYMESH_LANE_HEADER: X-Lane}}\n");
  EXPECT_EQ(stamps(mesh.sidecar("web", "fe-pre", gray)), Stamps{"x-lane: feature-a"});
}

TEST(LaneStamp, LeavesRoutesClustersAndEndpointsShared) {
  const Mesh mesh(app("cart"));
  const Proxy plain = mesh.sidecar("web");
  const Proxy lane = mesh.sidecar("web", "fe-pre", gray);
  for (const auto type :
       {resource::Type::cluster, resource::Type::endpoints, resource::Type::route})
    EXPECT_EQ(plain.config().of(type).front(), lane.config().of(type).front());
  EXPECT_NE(plain.config().of(resource::Type::listener).front(),
            lane.config().of(resource::Type::listener).front());
}

}  // namespace
}  // namespace graymesh::feature
