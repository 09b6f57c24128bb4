// Identity and bootstrap, as the control plane and Envoy read them.
#include "sidecar/sidecar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "base/json.h"
#include "sidecar/process.h"

namespace graymesh::sidecar {
namespace {

using testing::Contains;
using testing::HasSubstr;
using Json = nlohmann::json;

Identity web() {
  return {.address = "127.1.2.3",
          .name = "web-0",
          .namespace_ = "fe-pre",
          .labels = {{"app", "web"}, {"stage", "gray"}},
          .service_account = "web"};
}

Json bootstrap_of(const Identity& identity, const BootstrapOptions& options = {}) {
  const auto text = bootstrap(identity, options);
  EXPECT_TRUE(text) << text.error().message;
  return text ? Json::parse(*text) : Json{};
}

TEST(Identity, HasIstiosNodeId) {
  EXPECT_EQ(node_id(web()), "sidecar~127.1.2.3~web-0.fe-pre~fe-pre.svc.cluster.local");
  Identity gateway = web();
  gateway.type = Identity::Type::router;
  EXPECT_EQ(node_id(gateway), "router~127.1.2.3~web-0.fe-pre~fe-pre.svc.cluster.local");
}

TEST(Identity, SaysWhoseSpansItSends) {
  EXPECT_EQ(
      span_attributes({.name = "web-0",
                       .namespace_ = "fe-pre",
                       .labels = {{"app", "web"}, {"canarytag", "feature-a"}, {"stage", ""}}}),
      "service.name=web.fe-pre,service.namespace=fe-pre,service.instance.id=web-0.fe-pre,"
      "canarytag=feature-a");
}

TEST(Identity, LoopbackInstancesHaveTwins) {
  EXPECT_EQ(loopback_twin("127.1.2.3"), "127.65.2.3");
  EXPECT_EQ(loopback_twin("127.63.0.1"), "127.127.0.1");
  EXPECT_EQ(loopback_twin("127.64.0.1"), "") << "is a twin itself";
  EXPECT_EQ(loopback_twin("10.0.0.1"), "");
  EXPECT_EQ(loopback_twin("::1"), "");
}

TEST(Bootstrap, CarriesIstiosMetadata) {
  const Json node = bootstrap_of(web())["node"];
  EXPECT_EQ(node["id"], node_id(web()));
  EXPECT_EQ(node["cluster"], "web.fe-pre");
  const Json& metadata = node["metadata"];
  EXPECT_EQ(metadata["NAMESPACE"], "fe-pre");
  EXPECT_EQ(metadata["LABELS"], (Json{{"app", "web"}, {"stage", "gray"}}));
  EXPECT_EQ(metadata["INTERCEPTION_MODE"], "NONE");
  EXPECT_EQ(metadata["INSTANCE_IPS"], "127.1.2.3");
  EXPECT_EQ(metadata["APP_ADDRESS"], "127.65.2.3");
  EXPECT_EQ(metadata["WORKLOAD_NAME"], "web");
  EXPECT_FALSE(node.contains("locality"));
}

// Envoy's own limit is 100, and one regex above it costs the whole route table.
TEST(Bootstrap, AllowsRegularExpressionsAsLongAsIstioDoes) {
  const Json layer = bootstrap_of(web())["layered_runtime"]["layers"][0]["static_layer"];
  EXPECT_EQ(layer["re2.max_program_size.error_level"], 32768);
}

TEST(Bootstrap, LocalityMayBePartial) {
  Identity identity = web();
  identity.locality = "eu/eu-1";
  EXPECT_EQ(bootstrap_of(identity)["node"]["locality"], (Json{{"region", "eu"}, {"zone", "eu-1"}}));
}

TEST(Bootstrap, GatewaysHaveNoApplication) {
  Identity gateway = web();
  gateway.type = Identity::Type::router;
  EXPECT_FALSE(bootstrap_of(gateway)["node"]["metadata"].contains("APP_ADDRESS"));
}

TEST(Bootstrap, WaitsForTheControlPlaneForever) {
  const Json resources = bootstrap_of(web())["dynamic_resources"];
  EXPECT_EQ(resources["ads_config"]["api_type"], "DELTA_GRPC");
  EXPECT_EQ(resources["cds_config"]["initial_fetch_timeout"], "0s");
  EXPECT_EQ(resources["lds_config"]["initial_fetch_timeout"], "0s");
  EXPECT_EQ(bootstrap_of(web(), {.delta = false})["dynamic_resources"]["ads_config"]["api_type"],
            "GRPC");
}

TEST(Bootstrap, NamesEveryControlPlane) {
  const Json cluster = bootstrap_of(
      web(),
      {.control_planes = {"127.0.0.1:15010", "[::1]:15010"}})["static_resources"]["clusters"][0];
  EXPECT_EQ(cluster["type"], "STATIC");
  EXPECT_EQ(cluster["load_assignment"]["endpoints"][0]["lb_endpoints"].size(), 2U);
  EXPECT_EQ(cluster["upstream_bind_config"]["source_address"]["address"], "127.1.2.3");
}

TEST(Bootstrap, ADeadControlPlaneIsFoundInUnderFiveSecondsAndTriedAgainSoon) {
  const Json all = bootstrap_of(web(), {.control_planes = {"10.0.0.1:15010", "10.0.0.2:15010"}});
  const Json& cluster = all["static_resources"]["clusters"][0];
  const Json& http = cluster["typed_extension_protocol_options"].front();
  EXPECT_EQ(http["explicit_http_config"]["http2_protocol_options"]["connection_keepalive"],
            (Json{{"interval", "1s"}, {"timeout", "3s"}}));
  EXPECT_EQ(cluster["upstream_connection_options"]["tcp_keepalive"],
            (Json{{"keepalive_time", 30}, {"keepalive_interval", 3}, {"keepalive_probes", 5}}));
  EXPECT_EQ(cluster["upstream_bind_config"]["socket_options"][0]["int_value"], 5000);
  const Json& service = all["dynamic_resources"]["ads_config"]["grpc_services"][0]["envoy_grpc"];
  EXPECT_EQ(service["retry_policy"]["retry_back_off"],
            (Json{{"base_interval", "0.1s"}, {"max_interval", "1s"}}));
}

TEST(Bootstrap, ControlPlanesAreTriedByTurnsAndNoneIsPassedOver) {
  const Json all = bootstrap_of(web(), {.control_planes = {"10.0.0.1:15010", "10.0.0.2:15010"}});
  const Json& cluster = all["static_resources"]["clusters"][0];
  EXPECT_EQ(cluster["lb_policy"], "ROUND_ROBIN");
  EXPECT_FALSE(cluster.contains("outlier_detection"));
  EXPECT_FALSE(cluster.contains("health_checks"));
}

// There is one ::1: who calls from it is no more told by binding it, and it reaches no IPv4
// address.
TEST(Bootstrap, ASidecarOnIpv6sLoopbackLeavesTheSourceToTheKernel) {
  Identity identity = web();
  identity.address = "::1";
  const Json all = bootstrap_of(identity, {.control_planes = {"127.0.0.1:15010"}});
  EXPECT_FALSE(all.contains("cluster_manager"));
  const Json& cluster = all["static_resources"]["clusters"][0];
  EXPECT_FALSE(cluster["upstream_bind_config"].contains("source_address"));
}

TEST(Bootstrap, ALoopbackSidecarStillReachesAControlPlaneElsewhere) {
  const Json all = bootstrap_of(web(), {.control_planes = {"istiod.istio-system:15010"}});
  EXPECT_EQ(all["cluster_manager"]["upstream_bind_config"]["source_address"]["address"],
            "127.1.2.3");
  const Json& cluster = all["static_resources"]["clusters"][0];
  EXPECT_EQ(cluster["type"], "STRICT_DNS");
  EXPECT_EQ(cluster["upstream_bind_config"]["source_address"]["address"], "0.0.0.0");
}

TEST(Bootstrap, KeepsTheAdminOffTheNetwork) {
  Identity pod = web();
  EXPECT_EQ(bootstrap_of(pod)["admin"]["address"]["socket_address"]["address"], "127.1.2.3");
  pod.address = "10.1.2.3";
  const Json all = bootstrap_of(pod);
  EXPECT_EQ(all["admin"]["address"]["socket_address"]["address"], "127.0.0.1");
  EXPECT_FALSE(all.contains("cluster_manager")) << "only loopback needs a source address";
}

TEST(Bootstrap, NamesEveryFaultAtOnce) {
  Identity identity = web();
  identity.address = "web";
  identity.name = "a~b";
  const auto text = bootstrap(identity, {.control_planes = {"here"}, .ports = {.admin = 0}});
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Code::invalid_argument);
  for (const char* fault : {"address \"web\": must be an IP", "name \"a~b\"",
                            "control plane \"here\": must be host:port", "admin port 0"}) {
    EXPECT_THAT(text.error().message, HasSubstr(fault));
  }
}

TEST(Bootstrap, LabelsThatAreNotTextDoNoHarm) {
  Identity identity = web();
  identity.labels["app"] = "w\xff";
  EXPECT_EQ(bootstrap_of(identity)["node"]["metadata"]["LABELS"]["app"], "w\xEF\xBF\xBD");
}

TEST(EnvoyCommand, IsOneEnvoyOfItsOwn) {
  RunOptions options{.envoy_args = {"--component-log-level", "upstream:debug"}, .concurrency = 1};
  options.drain_duration = std::chrono::milliseconds(300);
  const auto command = envoy_command(options, "/bin/envoy", "{}");
  EXPECT_EQ(command.front(), "/bin/envoy");
  EXPECT_THAT(command, Contains("--disable-hot-restart"));
  EXPECT_THAT(command, Contains("upstream:debug"));
  const auto drain = std::find(command.begin(), command.end(), "--drain-time-s");
  ASSERT_NE(drain, command.end());
  EXPECT_EQ(*(drain + 1), "1") << "0 would be no drain at all";
}

TEST(FindEnvoy, AnAskedForOneIsTheOnlyOne) {
  EXPECT_EQ(find_envoy("/bin/sh").value(), "/bin/sh");
  EXPECT_EQ(find_envoy("/none/envoy").error().code, Code::not_found);
}

// What Envoy would take for the tag `name` out of a statistic; empty if nothing.
std::string tag_of(const std::string& name, const std::string& statistic) {
  const Json config = bootstrap_of(web())["stats_config"];
  for (const auto& tag : config["stats_tags"]) {
    if (tag["tag_name"] != name) continue;
    std::smatch found;
    const std::regex expression(tag["regex"].get<std::string>());
    return std::regex_search(statistic, found, expression) ? found[2].str() : "";
  }
  return "no such tag";
}

TEST(Bootstrap, SaysThatRequestsAreCountedUnlessToldNotTo) {
  const char* name = "GRAYMESH_REQUEST_METRICS";
  EXPECT_EQ(bootstrap_of(web())["node"]["metadata"].value(name, ""), "stats");
  const Json off = bootstrap_of(web(), {.request_metrics = false});
  EXPECT_FALSE(off["node"]["metadata"].contains(name));
}

TEST(Bootstrap, SaysOfVirtualHostsOneByOneWhatItIsTold) {
  const char* name = "GRAYMESH_VHDS";
  EXPECT_FALSE(bootstrap_of(web())["node"]["metadata"].contains(name));
  EXPECT_EQ(bootstrap_of(web(), {.vhds = true})["node"]["metadata"].value(name, ""), "on");
  EXPECT_EQ(bootstrap_of(web(), {.vhds = false})["node"]["metadata"].value(name, ""), "off");
}

TEST(Bootstrap, ForgetsCountsOfRequestsThatRest) {
  EXPECT_EQ(bootstrap_of(web())["stats_eviction_interval"], "21600s");
}

TEST(Statistics, NameTheServiceThatIsCalled) {
  const std::string of_web =
      "cluster.outbound|80|feature-a|web.fe-pre.svc.cluster.local;.upstream_rq_503";
  EXPECT_EQ(tag_of("mesh_service", of_web), "web");
  EXPECT_EQ(tag_of("mesh_namespace", of_web), "fe-pre");
  EXPECT_EQ(tag_of("mesh_subset", of_web), "feature-a");
  // A canarytag may have a dot.
  EXPECT_EQ(tag_of("mesh_subset",
                   "cluster.outbound|80|v1.2|web.fe-pre.svc.cluster.local;.upstream_rq_503"),
            "v1.2");
  EXPECT_EQ(tag_of("mesh_port", of_web), "80");
  EXPECT_EQ(tag_of("mesh_host", of_web), "");
  EXPECT_EQ(tag_of("envoy.cluster_name", of_web), "");
}

TEST(Statistics, NameTheHostOfAServiceEntryWhole) {
  for (const char* host : {"api.example.com", "svc1.s.sv.example", "localhost", "ssvc.x"}) {
    const std::string statistic = "cluster.outbound|443||" + std::string(host) + ";.upstream_cx";
    EXPECT_EQ(tag_of("mesh_host", statistic), host);
    EXPECT_EQ(tag_of("mesh_service", statistic), "");
  }
}

TEST(Statistics, KeepClustersThatAreNobodysServiceApart) {
  EXPECT_EQ(tag_of("envoy.cluster_name", "cluster.inbound|8080||;.upstream_rq_total"),
            "inbound|8080||;");
  EXPECT_EQ(tag_of("envoy.cluster_name", "cluster.xds-grpc.upstream_cx_active"), "xds-grpc");
  EXPECT_EQ(tag_of("mesh_service", "cluster.inbound|8080||;.upstream_rq_total"), "");
}

TEST(Statistics, ArePagedByWhatWasUsed) {
  const Json listener = bootstrap_of(web())["static_resources"]["listeners"][0];
  const Json manager = listener["filter_chains"][0]["filters"][0]["typed_config"];
  const Json routes = manager["route_config"]["virtual_hosts"][0]["routes"];
  EXPECT_EQ(routes.back()["route"]["prefix_rewrite"], "/stats/prometheus?usedonly&");
  EXPECT_EQ(routes.back()["match"]["path"], "/stats/prometheus");
}

}  // namespace
}  // namespace graymesh::sidecar
