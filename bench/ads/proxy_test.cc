// The load client behaves as Envoy does, and reads what it is sent as protobuf's own classes do.
#include "bench/ads/proxy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/fields.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/endpoint/v3/endpoint.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/config/route/v3/route.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/service/discovery/v3/discovery.pb.h"

namespace graymesh::ads {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
namespace v3 = envoy::service::discovery::v3;

template <typename Message>
std::string framed(const Message& message) {
  const std::string bytes = message.SerializeAsString();
  std::string out(1, '\0');
  for (const int shift : {24, 16, 8, 0}) out.push_back(static_cast<char>(bytes.size() >> shift));
  return out + bytes;
}

template <typename Message>
std::vector<Message> unframed(std::string& bytes) {
  std::vector<Message> all;
  for (std::size_t at = 0; at < bytes.size();) {
    std::size_t length = 0;
    for (std::size_t i = 1; i < 5; ++i)
      length = length << 8 | static_cast<unsigned char>(bytes[at + i]);
    EXPECT_TRUE(all.emplace_back().ParseFromString(bytes.substr(at + 5, length)));
    at += 5 + length;
  }
  bytes.clear();
  return all;
}

envoy::config::cluster::v3::Cluster cluster(const std::string& name, double timeout = 1) {
  envoy::config::cluster::v3::Cluster made;
  made.set_name(name);
  made.set_type(envoy::config::cluster::v3::Cluster::EDS);
  made.mutable_eds_cluster_config()->mutable_eds_config()->mutable_ads();
  made.mutable_connect_timeout()->set_seconds(static_cast<std::int64_t>(timeout));
  return made;
}
envoy::config::endpoint::v3::ClusterLoadAssignment endpoints(const std::string& name,
                                                             const std::string& address) {
  envoy::config::endpoint::v3::ClusterLoadAssignment made;
  made.set_cluster_name(name);
  if (!address.empty())
    made.add_endpoints()
        ->add_lb_endpoints()
        ->mutable_endpoint()
        ->mutable_address()
        ->mutable_socket_address()
        ->set_address(address);
  return made;
}
envoy::config::listener::v3::Listener listener(const std::string& name, const std::string& table) {
  envoy::config::listener::v3::Listener made;
  made.set_name(name);
  envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager manager;
  manager.mutable_rds()->set_route_config_name(table);
  made.add_filter_chains()->add_filters()->mutable_typed_config()->PackFrom(manager);
  return made;
}
envoy::config::route::v3::RouteConfiguration table(const std::string& name,
                                                   const std::string& header = "") {
  envoy::config::route::v3::RouteConfiguration made;
  made.set_name(name);
  made.add_virtual_hosts()->set_name(header);
  return made;
}

class ADelta : public ::testing::Test {
 protected:
  ADelta() { proxy.connected(); }

  using Requests = std::vector<v3::DeltaDiscoveryRequest>;
  Requests requests() { return unframed<v3::DeltaDiscoveryRequest>(proxy.outbox()); }
  template <typename Message>
  v3::DeltaDiscoveryResponse response(const std::vector<Message>& messages,
                                      const std::vector<std::string>& names) {
    v3::DeltaDiscoveryResponse made;
    made.set_type_url("type.googleapis.com/" + Message().GetTypeName());
    made.set_nonce(std::to_string(++nonce));
    for (std::size_t i = 0; i < messages.size(); ++i) {
      auto& resource = *made.add_resources();
      resource.set_name(names[i]);
      resource.set_version("v" + std::to_string(messages[i].SerializeAsString().size()));
      resource.mutable_resource()->PackFrom(messages[i]);
    }
    return made;
  }
  template <typename Message>
  Requests hear(const std::vector<Message>& messages, const std::vector<std::string>& names,
                std::size_t piece = 1000000) {
    return hear_bytes(framed(response(messages, names)), piece);
  }
  Requests hear_bytes(const std::string& bytes, std::size_t piece) {
    for (std::size_t at = 0; at < bytes.size(); at += piece)
      EXPECT_TRUE(proxy.hear(std::string_view(bytes).substr(at, piece), ++now));
    return requests();
  }
  const Counts& of(Type type) { return proxy.counts()[static_cast<std::size_t>(type)]; }

  Node node{.id = "sidecar~10.0.0.1~a.b~b.svc", .wire = {}};
  Texts texts;
  Watch watch;
  Proxy proxy{node, true, texts, watch};
  int nonce = 0;
  std::int64_t now = 1;
};

TEST_F(ADelta, SaysItsNodeAndAsksForAllClustersAndNothingElse) {
  const auto first = requests();
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].type_url(), url_of(Type::cluster));
  EXPECT_THAT(first[0].resource_names_subscribe(), IsEmpty());
}

TEST_F(ADelta, HoldsTheAckOfClustersBackUntilTheirEndpointsHaveCome) {
  requests();
  const auto asked =
      hear<envoy::config::cluster::v3::Cluster>({cluster("a"), cluster("b")}, {"a", "b"});
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].type_url(), url_of(Type::endpoints));
  EXPECT_THAT(asked[0].resource_names_subscribe(), UnorderedElementsAre("a", "b"));
  EXPECT_EQ(
      hear<envoy::config::endpoint::v3::ClusterLoadAssignment>({endpoints("a", "1.1.1.1")}, {"a"})
          .size(),
      1u);

  const auto after =
      hear<envoy::config::endpoint::v3::ClusterLoadAssignment>({endpoints("b", "")}, {"b"});
  ASSERT_EQ(after.size(), 3u);
  EXPECT_EQ(after[0].response_nonce(), "3");
  EXPECT_EQ(after[1].type_url(), url_of(Type::cluster));
  EXPECT_EQ(after[1].response_nonce(), "1");
  EXPECT_EQ(after[2].type_url(), url_of(Type::listener));
}

TEST_F(ADelta, WarmsAChangedClusterAnewAndNotOneThatIsTheSame) {
  hear<envoy::config::cluster::v3::Cluster>({cluster("a")}, {"a"});
  hear<envoy::config::endpoint::v3::ClusterLoadAssignment>({endpoints("a", "1.1.1.1")}, {"a"});
  EXPECT_EQ(hear<envoy::config::cluster::v3::Cluster>({cluster("a")}, {"a"}).size(), 1u)
      << "the ACK";
  EXPECT_EQ(of(Type::cluster).resent, 1u);
  EXPECT_THAT(hear<envoy::config::cluster::v3::Cluster>({cluster("a", 2)}, {"a"}), IsEmpty());
  EXPECT_EQ(
      hear<envoy::config::endpoint::v3::ClusterLoadAssignment>({endpoints("a", "1.1.1.1")}, {"a"})
          .size(),
      2u);
  EXPECT_EQ(of(Type::endpoints).resent, 0u) << "it was waited for";
}

TEST_F(ADelta, GivesUpOnEndpointsThatDoNotComeAfterFifteenSeconds) {
  hear<envoy::config::cluster::v3::Cluster>({cluster("a")}, {"a"});
  proxy.look(now + 14'000'000'000);
  EXPECT_THAT(requests(), IsEmpty());
  proxy.look(now + 15'000'000'000);
  EXPECT_EQ(requests().size(), 2u);
  EXPECT_EQ(of(Type::cluster).late, 1u);
}

TEST_F(ADelta, IsSyncedWhenEveryTableThatAListenerNamesHasCome) {
  hear<envoy::config::cluster::v3::Cluster>({}, {});
  const auto asked = hear<envoy::config::listener::v3::Listener>({listener("l", "80")}, {"l"});
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_THAT(asked[0].resource_names_subscribe(), ElementsAre("80"));
  EXPECT_FALSE(proxy.synced());
  hear<envoy::config::route::v3::RouteConfiguration>({table("80")}, {"80"});
  EXPECT_TRUE(proxy.synced());
}

TEST_F(ADelta, NamesAllThatItHoldsWhenItComesBackAndCountsWhatIsSentAgain) {
  hear<envoy::config::cluster::v3::Cluster>({cluster("a")}, {"a"});
  hear<envoy::config::endpoint::v3::ClusterLoadAssignment>({endpoints("a", "1.1.1.1")}, {"a"});
  proxy.connected();
  const auto back = requests();
  ASSERT_EQ(back.size(), 3u);
  EXPECT_EQ(back[0].initial_resource_versions_size(), 1);
  EXPECT_EQ(back[1].type_url(), url_of(Type::endpoints));
  EXPECT_THAT(back[1].resource_names_subscribe(), ElementsAre("a"));
  EXPECT_EQ(back[1].initial_resource_versions_size(), 1);
  hear<envoy::config::endpoint::v3::ClusterLoadAssignment>({endpoints("a", "1.1.1.1")}, {"a"});
  EXPECT_EQ(of(Type::endpoints).resent, 1u);
  hear<envoy::config::endpoint::v3::ClusterLoadAssignment>({endpoints("a", "")}, {"a"});
  EXPECT_EQ(of(Type::endpoints).emptied, 1u);
}

TEST_F(ADelta, AsksForTheEndpointsOfClustersOfAMessageThatWasCut) {
  requests();
  const std::string bytes = framed(
      response<envoy::config::cluster::v3::Cluster>({cluster("a"), cluster("b")}, {"a", "b"}));
  EXPECT_TRUE(proxy.hear(std::string_view(bytes).substr(0, bytes.size() - 1), ++now));
  ASSERT_GT(proxy.held(Type::cluster), 0u);
  EXPECT_THAT(requests(), IsEmpty());
  proxy.connected();
  const auto back = requests();
  ASSERT_EQ(back.size(), 2u);
  EXPECT_EQ(back[1].type_url(), url_of(Type::endpoints));
  EXPECT_THAT(back[1].resource_names_subscribe(), Contains("a"));
  EXPECT_EQ(back[1].initial_resource_versions_size(), 0);
}

TEST_F(ADelta, ForgetsWhatIsRemovedAndAsksNoLongerForItsEndpoints) {
  hear<envoy::config::cluster::v3::Cluster>({cluster("a"), cluster("b")}, {"a", "b"});
  hear<envoy::config::endpoint::v3::ClusterLoadAssignment>(
      {endpoints("a", "1.1.1.1"), endpoints("b", "1.1.1.2")}, {"a", "b"});
  auto gone = response<envoy::config::cluster::v3::Cluster>({}, {});
  gone.add_removed_resources("a");
  const auto asked = hear_bytes(framed(gone), 1000);
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_THAT(asked[0].resource_names_unsubscribe(), ElementsAre("a"));
  EXPECT_EQ(proxy.held(Type::cluster), 1u);
}

TEST_F(ADelta, ReadsTheSameWhereverTheBytesAreCut) {
  for (std::size_t piece = 1; piece < 40; ++piece) {
    proxy.forget();
    proxy.connected();
    proxy.counts() = {};
    hear<envoy::config::cluster::v3::Cluster>({cluster("a"), cluster("b")}, {"a", "b"}, piece);
    hear<envoy::config::endpoint::v3::ClusterLoadAssignment>(
        {endpoints("a", "1.1.1.1"), endpoints("b", "")}, {"a", "b"}, piece);
    hear<envoy::config::listener::v3::Listener>({listener("l", "80")}, {"l"}, piece);
    hear<envoy::config::route::v3::RouteConfiguration>({table("80")}, {"80"}, piece);
    ASSERT_TRUE(proxy.synced()) << piece;
    EXPECT_EQ(of(Type::cluster).resources, 2u);
    EXPECT_EQ(of(Type::endpoints).resources, 2u);
  }
}

TEST_F(ADelta, FindsTheNumberOfAChangeWhereverTheBytesAreCut) {
  const auto change = framed(response<envoy::config::endpoint::v3::ClusterLoadAssignment>(
      {endpoints("a", "10.253.102.103")}, {"a"}));
  for (std::size_t piece = 1; piece < 60; ++piece) {
    watch.begin(200, 4);
    hear_bytes(change, piece);
    const auto& times = watch.times[static_cast<std::size_t>(Mark::endpoint)];
    ASSERT_EQ(times.size(), 1u) << piece;
    EXPECT_THAT(times.at(203), ElementsAre(now));
  }
}

TEST_F(ADelta, TakesAChangeForThereWhenALaterOneOfTheSameObjectComes) {
  watch.begin(8, 4);
  hear<envoy::config::route::v3::RouteConfiguration>({table("80", "mark-000013")}, {"80"});
  const auto& times = watch.times[static_cast<std::size_t>(Mark::route)];
  EXPECT_EQ(times.size(), 2u);
  EXPECT_TRUE(times.contains(9) && times.contains(13));
}

TEST_F(ADelta, RefusesBytesThatAreNoResponse) {
  EXPECT_FALSE(proxy.hear(std::string("\0\0\0\0\2\xff\xff", 7), 1));
  proxy.connected();
  EXPECT_FALSE(proxy.hear(std::string("\0\0\0\0\2\x12\x05", 7), 1)) << "longer than the message";
  proxy.connected();
  EXPECT_FALSE(proxy.hear(std::string("\1\0\0\0\0", 5), 1)) << "compressed";
}

TEST(AStateOfTheWorld, NamesItsVersionAndDropsClustersThatAreNoLongerThere) {
  Node node;
  Texts texts;
  Watch watch;
  Proxy proxy(node, false, texts, watch);
  proxy.connected();
  const auto hear = [&](std::vector<std::string> names, const std::string& version) {
    v3::DiscoveryResponse response;
    response.set_version_info(version);
    response.set_nonce("n" + version);
    response.set_type_url(std::string(url_of(Type::cluster)));
    for (const auto& name : names) {
      auto it = cluster(name);
      it.set_type(envoy::config::cluster::v3::Cluster::STATIC);
      response.add_resources()->PackFrom(it);
    }
    proxy.outbox().clear();
    EXPECT_TRUE(proxy.hear(framed(response), 1));
    return unframed<v3::DiscoveryRequest>(proxy.outbox());
  };
  const auto first = hear({"a", "b"}, "1");
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].version_info(), "1");
  EXPECT_EQ(first[0].response_nonce(), "n1");
  EXPECT_EQ(first[1].type_url(), url_of(Type::listener));
  hear({"b"}, "2");
  EXPECT_EQ(proxy.held(Type::cluster), 1u);
  EXPECT_EQ(proxy.counts()[0].resent, 1u);
}

TEST(ATable, FindsEveryEntryAfterAnyErasure) {
  Table table;
  for (std::uint32_t name = 1; name <= 3000; ++name) table.at(name).version = name;
  for (std::uint32_t name = 1; name <= 3000; name += 3) table.erase(name);
  EXPECT_EQ(table.size(), 2000u);
  for (std::uint32_t name = 1; name <= 3000; ++name) {
    const Entry* found = table.find(name);
    ASSERT_EQ(found != nullptr, name % 3 != 1) << name;
    EXPECT_EQ(found ? found->version : name, name);
  }
}

}  // namespace
}  // namespace graymesh::ads
