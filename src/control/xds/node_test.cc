#include "control/xds/node.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <utility>

#include "envoy/config/core/v3/base.pb.h"

namespace graymesh::xds {
namespace {

using resource::Node;
using Message = envoy::config::core::v3::Node;

Message message(const std::string& id) {
  Message made;
  made.set_id(id);
  return made;
}

void set(Message& node, const std::string& name, const std::string& value) {
  (*node.mutable_metadata()->mutable_fields())[name].set_string_value(value);
}

TEST(ReadNode, SidecarIdNamesAddressInstanceAndNamespace) {
  const auto node = read_node(message("sidecar~127.1.2.3~web-0.fe-pre~fe-pre.svc.cluster.local"));
  ASSERT_TRUE(node);
  EXPECT_EQ(node->kind, Node::Kind::sidecar);
  EXPECT_EQ(node->address, "127.1.2.3");
  EXPECT_EQ(node->addresses, std::vector<std::string>{"127.1.2.3"});
  EXPECT_EQ(node->name, "web-0");
  EXPECT_EQ(node->namespace_, "fe-pre");
  EXPECT_EQ(node->interception, Node::Interception::redirect);
}

TEST(ReadNode, RoutersAndStrangersAreTold) {
  EXPECT_EQ(read_node(message("router~::1~gw.istio-system~x"))->kind, Node::Kind::router);
  const auto stranger = read_node(message("my-grpc-client~1"));
  ASSERT_TRUE(stranger);
  EXPECT_EQ(stranger->kind, Node::Kind::other);
  EXPECT_EQ(stranger->namespace_, "default");
}

TEST(ReadNode, MetadataIsReadAndOverridesTheId) {
  auto it = message("sidecar~10.0.0.1~web-0.x~x.svc.cluster.local");
  for (const auto& [name, value] :
       std::map<std::string, std::string>{{"NAME", "web-1"},
                                          {"NAMESPACE", "shop"},
                                          {"INTERCEPTION_MODE", "NONE"},
                                          {"APP_ADDRESS", "127.65.0.1"},
                                          {"INSTANCE_IPS", "10.0.0.1,fe80::1,nonsense,10.0.0.2"},
                                          {"CLUSTER_ID", "c1"},
                                          {"NODE_NAME", "m1"},
                                          {"NETWORK", "n1"},
                                          {"SERVICE_ACCOUNT", "sa"},
                                          {"WORKLOAD_NAME", "web"}}) {
    set(it, name, value);
  }
  auto& labels = *(*it.mutable_metadata()->mutable_fields())["LABELS"]
                      .mutable_struct_value()
                      ->mutable_fields();
  labels["app"].set_string_value("web");
  it.mutable_locality()->set_region("r");
  it.mutable_locality()->set_zone("z");
  it.mutable_locality()->set_sub_zone("s");
  it.set_user_agent_name("envoy");
  auto& build = *it.mutable_user_agent_build_version()->mutable_version();
  build.set_major_number(1);
  build.set_minor_number(40);

  const auto node = read_node(it);
  ASSERT_TRUE(node);
  EXPECT_EQ(node->name, "web-1");
  EXPECT_EQ(node->namespace_, "shop");
  EXPECT_EQ(node->interception, Node::Interception::none);
  EXPECT_EQ(node->app_address, "127.65.0.1");
  EXPECT_EQ(node->addresses, (std::vector<std::string>{"10.0.0.1", "fe80::1", "10.0.0.2"}));
  EXPECT_EQ(node->labels.at("app"), "web");
  EXPECT_EQ(node->node_name, "m1");
  EXPECT_EQ(node->cluster_id + node->network + node->service_account + node->workload, "c1n1saweb");
  EXPECT_EQ(node->region + node->zone + node->sub_zone, "rzs");
  EXPECT_EQ(node->user_agent, "envoy 1.40.0");
}

TEST(ReadNode, PortsMayBeNumbersOrText) {
  auto it = message("sidecar~10.0.0.1~web-0.x~x");
  set(it, "HTTP_PROXY_PORT", "15002");
  set(it, "UNPRIVILEGED_POD", "true");
  EXPECT_EQ(read_node(it)->http_proxy_port, 15002u);
  EXPECT_TRUE(read_node(it)->unprivileged);
  (*it.mutable_metadata()->mutable_fields())["HTTP_PROXY_PORT"].set_number_value(15003);
  EXPECT_EQ(read_node(it)->http_proxy_port, 15003u);
  for (const char* nonsense : {"", "many", "70000", "-1", "15002x"}) {
    set(it, "HTTP_PROXY_PORT", nonsense);
    EXPECT_EQ(read_node(it)->http_proxy_port, 0u) << nonsense;
  }
}

TEST(ReadNode, SaysHowItsListenersTakeConnections) {
  auto it = message("sidecar~10.0.0.1~web-0.x~x");
  EXPECT_FALSE(read_node(it)->http10);
  EXPECT_EQ(read_node(it)->idle_timeout, std::nullopt);
  set(it, "HTTP10", "1");
  EXPECT_TRUE(read_node(it)->http10);
  set(it, "HTTP10", "true");
  EXPECT_FALSE(read_node(it)->http10) << "Istio's is 1";
  using namespace std::chrono_literals;
  const std::pair<const char*, std::chrono::nanoseconds> good[] = {
      {"1h30m", 90min}, {"1.5s", 1500ms}, {"0", 0ns}, {"0s", 0ns}, {"250ms", 250ms}, {"2µs", 2us}};
  for (const auto& [text, wanted] : good) {
    set(it, "IDLE_TIMEOUT", text);
    EXPECT_EQ(read_node(it)->idle_timeout, wanted) << text;
  }
  for (const char* nonsense : {"", "5", "-1s", "1x", "s", "1s 2s", "nan", "1e99h", "9999999h"}) {
    set(it, "IDLE_TIMEOUT", nonsense);
    EXPECT_EQ(read_node(it)->idle_timeout, std::nullopt) << nonsense;
  }
}

TEST(ReadNode, ALogIsTakenByTheClusterThatOurBootstrapHas) {
  auto it = message("sidecar~10.0.0.1~web-0.x~x");
  EXPECT_FALSE(read_node(it)->takes_lane_log);
  set(it, "GRAYMESH_LANE_LOG", "other");
  EXPECT_FALSE(read_node(it)->takes_lane_log);
  set(it, "GRAYMESH_LANE_LOG", "xds-grpc");
  EXPECT_TRUE(read_node(it)->takes_lane_log);
}

TEST(ReadNode, RequestsAreCountedByWhoseBootstrapKeepsTheCounts) {
  auto it = message("sidecar~10.0.0.1~web-0.x~x");
  EXPECT_FALSE(read_node(it)->counts_requests);
  set(it, "GRAYMESH_REQUEST_METRICS", "stats");
  EXPECT_TRUE(read_node(it)->counts_requests);
}

TEST(ReadNode, VirtualHostsOneByOneAreSwitchedByTheBootstrapOrThePodsAnnotation) {
  auto it = message("sidecar~10.0.0.1~web-0.x~x");
  EXPECT_EQ(read_node(it)->vhds, std::nullopt);
  auto& annotations =
      *(*it.mutable_metadata()->mutable_fields())["ANNOTATIONS"].mutable_struct_value();
  (*annotations.mutable_fields())["graymesh.io/vhds"].set_string_value("on");
  EXPECT_EQ(read_node(it)->vhds, true);
  set(it, "GRAYMESH_VHDS", "off");
  EXPECT_EQ(read_node(it)->vhds, false);
  set(it, "GRAYMESH_VHDS", "perhaps");
  EXPECT_EQ(read_node(it)->vhds, std::nullopt);
}

TEST(ReadNode, OddMetadataIsNoError) {
  auto it = message("sidecar~10.0.0.1~web-0.x~x");
  (*it.mutable_metadata()->mutable_fields())["LABELS"].set_number_value(1);
  (*it.mutable_metadata()->mutable_fields())["NAMESPACE"].mutable_list_value();
  const auto node = read_node(it);
  ASSERT_TRUE(node);
  EXPECT_EQ(node->namespace_, "x");
}

TEST(ReadNode, BadIdsAreRefusedByNameAndRule) {
  const std::map<std::string, std::string> bad = {
      {"", "is empty"},
      {"sidecar~10.0.0.1", "has 2 parts"},
      {"sidecar~~web.x~x", "\"\" is not an IP address"},
      {"sidecar~10.0.0~web.x~x", "\"10.0.0\" is not an IP address"},
      {"sidecar~10.0.0.1~web~x", "\"web\" is not name.namespace"},
      {"router~10.0.0.1~web.~x", "\"web.\" is not name.namespace"},
      {"router~10.0.0.1~.x~x", "\".x\" is not name.namespace"},
      {"sidecar~" + std::string(2000, 'x'), "at most 1024"},
  };
  for (const auto& [id, why] : bad) {
    const auto node = read_node(message(id));
    ASSERT_FALSE(node) << id;
    EXPECT_EQ(node.error().code, Code::invalid_argument);
    EXPECT_NE(node.error().message.find(why), std::string::npos) << node.error().message;
  }
}

}  // namespace
}  // namespace graymesh::xds
