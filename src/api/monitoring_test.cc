// The series that come and go, and where Prometheus finds the sidecars.
#include "api/monitoring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "control/snapshot/snapshot.h"
#include "model/model.h"

namespace graymesh::api {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using State = xds::TypeStatus::State;

constexpr Clock::Wall now{std::chrono::hours(1000)};

xds::ProxyStatus proxy(const std::string& name, State routes, Clock::Wall since = now) {
  xds::ProxyStatus out;
  out.node.id = "sidecar~127.1.0.2~" + name + ".fe-pre~fe-pre.svc.cluster.local";
  out.node.kind = resource::Node::Kind::sidecar;
  out.node.address = "127.1.0.2";
  out.node.name = name;
  out.node.namespace_ = "fe-pre";
  out.node.workload = "web";
  out.node.labels = {{"app", "web"}, {"stage", "gray"}, {"canarytag", "feature-a"}};
  out.types = {{.type = resource::Type::cluster, .state = State::synced},
               {.type = resource::Type::route, .state = routes, .since = since}};
  return out;
}

TEST(ProxySeries, CountAProxyByItsWorstType) {
  const std::string page = proxy_series(
      {proxy("a", State::synced), proxy("b", State::stale, now - 7s), proxy("c", State::refused)},
      now);
  EXPECT_THAT(page, HasSubstr("graymesh_proxies{state=\"synced\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("graymesh_proxies{state=\"stale\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("graymesh_proxies{state=\"refused\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("graymesh_proxy_stale_seconds_max 7\n"));
  EXPECT_THAT(page,
              HasSubstr("graymesh_proxy_stale_seconds{source_namespace=\"fe-pre\",pod=\"b\"} 7\n"));
}

TEST(ProxySeries, AreBoundedWhenEveryProxyLags) {
  std::vector<xds::ProxyStatus> many;
  many.reserve(200);
  for (int i = 0; i < 200; ++i)
    many.push_back(proxy("p" + std::to_string(i), State::stale, now - std::chrono::seconds(i + 1)));
  const std::string page = proxy_series(many, now);
  EXPECT_THAT(page, HasSubstr("pod=\"p199\"} 200\n")) << "the worst";
  EXPECT_THAT(page, Not(HasSubstr("pod=\"p149\""))) << "the 51st";
}

model::ObjectPtr pod(const char* address, const char* labels) {
  return model::read(std::string("apiVersion: v1\nkind: Pod\nmetadata: {name: web-0, namespace: "
                                 "fe-pre, labels: {") +
                         labels + "}}\nstatus: {phase: Running, podIP: " + address + "}\n",
                     "pod.yaml")[0]
      .object;
}

std::shared_ptr<const snapshot::Snapshot> snapshot_of(
    const std::vector<model::ObjectPtr>& objects) {
  return snapshot::build(objects, std::make_shared<const model::MeshConfig>(), nullptr, 1);
}

TEST(SidecarTargets, AreWhereEnvoysShowTheirStatistics) {
  const auto targets = Sidecars().targets({proxy("web-0", State::synced)}, nullptr);
  ASSERT_EQ(targets.size(), 1u);
  EXPECT_EQ(targets[0]["targets"], nlohmann::json({"127.1.0.2:15090"}));
  EXPECT_EQ(targets[0]["labels"]["source_canarytag"], "feature-a");
  EXPECT_FALSE(targets[0]["labels"].contains("source_region")) << "empty labels are none";
}

TEST(SidecarTargets, AreWhereTheirPodIsOrElseTheirBootstrapSays) {
  auto one = proxy("web-0", State::synced);
  one.node.region = "us";
  const auto place = [&](const model::ObjectPtr& of_pod) {
    const auto labels = Sidecars().targets({one}, snapshot_of({of_pod}).get())[0]["labels"];
    return labels.value("source_region", "") + "/" + labels.value("source_zone", "");
  };
  EXPECT_EQ(place(pod("127.1.0.2", "topology.istio.io/locality: eu.eu-1")), "eu/eu-1");
  EXPECT_EQ(place(pod("127.1.0.2", "app: web")), "us/") << "its pod does not say";
  EXPECT_EQ(place(pod("127.1.0.3", "topology.istio.io/locality: eu.eu-1")), "us/");
}

TEST(SidecarTargets, LeaveOutWhatIsNoEnvoyAndNameEachOnce) {
  auto grpc = proxy("client", State::synced);
  grpc.node.kind = resource::Node::Kind::other;
  const auto web = proxy("web-0", State::synced);
  EXPECT_EQ(Sidecars().targets({grpc, web, web}, nullptr).size(), 1u);
}

TEST(SidecarTargets, StayWhenTheyAreCutOffForAsLongAsTheirPodIsThere) {
  const auto there = snapshot_of({pod("127.1.0.2", "app: web")}), gone = snapshot_of({});
  Sidecars sidecars;
  const auto connected = sidecars.targets({proxy("web-0", State::synced)}, there.get());
  EXPECT_EQ(sidecars.targets({}, there.get()), connected);
  EXPECT_EQ(sidecars.targets({}, gone.get()), nlohmann::json::array());
  EXPECT_EQ(sidecars.targets({}, there.get()), nlohmann::json::array()) << "nobody knows it";
}

TEST(SidecarTargets, AreOfWhoHasTheAddressNow) {
  const auto there = snapshot_of({pod("127.1.0.2", "app: web")});
  Sidecars sidecars;
  sidecars.targets({proxy("web-0", State::synced)}, there.get());
  const auto next = sidecars.targets({proxy("web-1", State::synced)}, there.get());
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0]["labels"]["pod"], "web-1");
}

TEST(ProcessSeries, TellOfThisProcess) {
  EXPECT_THAT(process_series(), HasSubstr("\nprocess_resident_memory_bytes "));
  EXPECT_THAT(process_series(), HasSubstr("\nprocess_cpu_seconds_total "));
  const std::string page = process_series(), name = "\nprocess_start_time_seconds ";
  const auto at = page.find(name);
  ASSERT_NE(at, std::string::npos);
  const auto ago =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count() -
      std::stod(page.substr(at + name.size()));
  EXPECT_GT(ago, -2);  // the boot is known to the second
  EXPECT_LT(ago, 3600);
}

}  // namespace
}  // namespace graymesh::api
