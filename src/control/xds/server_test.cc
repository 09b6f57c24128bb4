// The server as clients see it, over real gRPC on loopback.
#include <atomic>

#include "control/xds/server_fixture.h"

namespace graymesh::xds {
namespace {

TEST_F(XdsServer, DeltaRoundTrip) {
  serve({.clusters = {"a=1", "b=1"}, .snapshot = 7});
  auto client = delta_client();
  client.send_message(first(Type::cluster));
  const auto response = client.hears_message<DeltaIn>();
  EXPECT_EQ(response.type_url(), type_url(Type::cluster));
  EXPECT_EQ(names(response), "a=1 b=1");
  EXPECT_EQ(response.resources(0).resource().type_url(), type_url(Type::cluster));
  EXPECT_EQ(response.resources(0).version(),
            (*source.config.get()->find(Type::cluster, "a"))->version_text());
  client.send_message(ack(response));
  EXPECT_TRUE(synced(1, 7));

  serve({.clusters = {"a=1", "c=1"}, .snapshot = 8});
  const auto change = client.hears_message<DeltaIn>();
  EXPECT_EQ(names(change), "-b c=1");
  client.send_message(ack(change));
  EXPECT_TRUE(synced(1, 8));
}

TEST_F(XdsServer, SotwRoundTrip) {
  serve({.clusters = {"a=1", "b=1"}, .snapshot = 7});
  auto client = sotw_client();
  SotwOut request;
  request.mutable_node()->set_id("client");
  request.set_type_url(std::string(type_url(Type::cluster)));
  client.send_message(request);
  const auto response = client.hears_message<SotwIn>();
  ASSERT_EQ(response.resources_size(), 2);
  EXPECT_EQ(response.resources(0).value() + response.resources(1).value(), "11");
  EXPECT_EQ(response.resources(0).type_url(), type_url(Type::cluster));
  EXPECT_FALSE(response.version_info().empty());
  request.set_response_nonce(response.nonce());
  request.set_version_info(response.version_info());
  client.send_message(request);
  EXPECT_TRUE(synced(1, 7));
  EXPECT_EQ(streams("sotw"), 1);
}

TEST_F(XdsServer, TellsHowFarEachProxyIsAndSaysWhenThatChanges) {
  std::atomic<int> told = 0;
  start({.on_reach = [&] { ++told; }});
  serve({.clusters = {"a=1"}, .snapshot = 7});
  const auto begun = clock.wall();
  {
    auto client = delta_client();
    client.send_message(
        first(Type::cluster, "sidecar~127.1.2.3~web-0.shop~shop.svc.cluster.local"));
    const auto response = client.hears_message<DeltaIn>();
    ASSERT_EQ(server->reached().size(), 1u);
    EXPECT_EQ(server->reached()[0].snapshot, 0u);
    EXPECT_EQ(told, 0);
    client.send_message(ack(response));
    EXPECT_TRUE(eventually([&] { return told > 0; }));
    const Reach reach = server->reached().at(0);
    EXPECT_EQ(reach.snapshot, 7u);
    EXPECT_EQ(reach.address, "127.1.2.3");
    EXPECT_GE(reach.at, begun);
    EXPECT_FALSE(reach.refuses);
  }
  EXPECT_TRUE(eventually([&] { return told > 1 && server->reached().empty(); }));
  server.reset();
}

TEST_F(XdsServer, StreamWaitsForTheFirstConfig) {
  auto client = delta_client();
  client.send_message(first(Type::cluster));
  ASSERT_TRUE(eventually([&] { return server->status().size() == 1; }));
  EXPECT_EQ(server->status()[0].types[0].state, State::not_subscribed);
  serve({.clusters = {"a=1"}});
  EXPECT_EQ(names(client.hears_message<DeltaIn>()), "a=1");
}

TEST_F(XdsServer, StatusTellsWhoRunsWhat) {
  serve({.clusters = {"a=1"}, .listeners = {"l=1"}, .snapshot = 3});
  auto client = delta_client();
  const std::string id = "sidecar~127.1.2.3~web-0.shop~shop.svc.cluster.local";
  client.send_message(first(Type::cluster, id));
  client.send_message(ack(client.hears_message<DeltaIn>()));
  ASSERT_TRUE(synced(1, 3));
  const auto status = server->status()[0];
  EXPECT_EQ(status.node.id, id);
  EXPECT_EQ(status.node.kind, resource::Node::Kind::sidecar);
  EXPECT_TRUE(status.delta);
  EXPECT_TRUE(status.peer.starts_with("ipv4:127.0.0.1:")) << status.peer;
  EXPECT_EQ(status.types[0].state, State::synced);
  EXPECT_EQ(status.types[0].resources, 1u);
  EXPECT_GT(status.types[0].bytes, 0u);
  EXPECT_EQ(status.types[2].state, State::not_subscribed);
  const auto config = server->config_of(id);
  ASSERT_TRUE(config);
  EXPECT_NE(config->find(Type::cluster, "a"), nullptr);
  EXPECT_EQ(config->find(Type::listener, "l"), nullptr) << "it never asked for it";
  EXPECT_EQ(server->config_of("nobody"), nullptr);
}

TEST_F(XdsServer, RefusalIsLedBackToItsObject) {
  serve({.clusters = {"a=1"}});
  auto client = delta_client();
  client.send_message(first(Type::cluster));
  auto answer = ack(client.hears_message<DeltaIn>());
  answer.mutable_error_detail()->set_code(13);
  answer.mutable_error_detail()->set_message("Error adding/updating cluster(s) a: bad");
  client.send_message(answer);
  ASSERT_TRUE(eventually([&] { return !server->status()[0].refusals.empty(); }));
  const auto refusal = server->status()[0].refusals[0];
  EXPECT_EQ(refusal.resource, "a");
  EXPECT_EQ(refusal.origins, Texts{"Object a"});
  EXPECT_EQ(registry.counter("graymesh_xds_nacks_total", "", {{"type", "cds"}}).value(), 1u);
}

// Answers nothing, and never ends by itself.
class Lingering final : public rpc::Reactor {
 public:
  explicit Lingering(std::atomic<int>& there) : there_(there) { ++there_; }
  ~Lingering() override { --there_; }
  void on_message(std::string) override {}
  void on_end() override {}
  void on_written() override {}
  void on_done(const Status& end) override { EXPECT_EQ(end.error().code, Code::cancelled); }

 private:
  std::atomic<int>& there_;
};

TEST_F(XdsServer, ACallThatIsNeverFinishedEndsWithItsClientAndHoldsUpNoOther) {
  std::atomic<int> there = 0;
  const std::string path = "/envoy.service.discovery.v3.AggregatedDiscoveryService/Lingers";
  start({.methods = {
             {path, [&](const rpc::CallPtr&) { return std::make_shared<Lingering>(there); }}}});
  serve({.clusters = {"a=1"}});
  {
    WireClient client(server->port(), "Lingers");
    ASSERT_TRUE(eventually([&] { return there == 1; }));
  }
  std::string heard;
  for (int i = 0; i < 20 && heard.size() == 3 * static_cast<std::size_t>(i); ++i) {
    auto client = delta_client();
    client.send_message(first(Type::cluster));
    heard += names(client.hears_message<DeltaIn>());
  }
  EXPECT_EQ(heard.size(), 60u) << heard;
  EXPECT_TRUE(eventually([&] { return there == 0; }));
}

TEST_F(XdsServer, GarbageEndsItsStreamAndNoOther) {
  serve({.clusters = {"a=1"}});
  auto good = delta_client();
  good.send_message(first(Type::cluster));
  EXPECT_EQ(names(good.hears_message<DeltaIn>()), "a=1");
  const std::string whole = first(Type::cluster).SerializeAsString();
  for (const auto& garbage : {std::string("\xff\xff\xff\xff"), std::string(1000, '\0'),
                              whole.substr(0, whole.size() - 1)}) {
    for (const char* method : {"DeltaAggregatedResources", "StreamAggregatedResources"}) {
      WireClient bad(server->port(), method);
      bad.send(garbage);
      EXPECT_EQ(bad.finishes().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    }
  }
  serve({.clusters = {"a=2"}});
  EXPECT_EQ(good.unread(), 0u) << "the first is not ACKed";
  EXPECT_GE(registry.counter("graymesh_xds_requests_rejected_total", "", {{"reason", "malformed"}})
                .value(),
            6u);
}

TEST_F(XdsServer, StreamsWithoutAProperNodeAreRefusedWithTheReason) {
  auto nobody = delta_client();
  DeltaOut request;
  request.set_type_url(std::string(type_url(Type::cluster)));
  nobody.send_message(request);
  EXPECT_EQ(nobody.finishes().error_code(), grpc::StatusCode::INVALID_ARGUMENT);

  auto bad = sotw_client();
  SotwOut sotw;
  sotw.mutable_node()->set_id("sidecar~nowhere~web~x");
  sotw.set_type_url(std::string(type_url(Type::cluster)));
  bad.send_message(sotw);
  const auto end = bad.finishes();
  EXPECT_EQ(end.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(end.error_message().find("\"nowhere\" is not an IP address"), std::string::npos)
      << end.error_message();
}

TEST_F(XdsServer, OversizedRequestEndsItsStream) {
  server.reset();
  start({.request_bytes_max = 1000});
  auto client = delta_client();
  auto request = first(Type::cluster);
  request.add_resource_names_subscribe(std::string(2000, 'x'));
  client.send_message(request);
  EXPECT_EQ(client.finishes().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(registry.counter("graymesh_xds_requests_rejected_total", "", {{"reason", "unbounded"}})
                .value(),
            1u);
}

TEST_F(XdsServer, TooManyNamesEndTheirStream) {
  server.reset();
  start({.names_max = 10});
  serve({.clusters = {"a"}});
  auto client = delta_client();
  auto request = first(Type::endpoints);
  for (int i = 0; i < 11; ++i) request.add_resource_names_subscribe(std::to_string(i));
  client.send_message(request);
  EXPECT_EQ(client.finishes().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(XdsServer, OtherMethodsAreUnimplemented) {
  WireClient client(server->port(), "NoSuchMethod");
  EXPECT_EQ(client.finishes().error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(XdsServer, SecondServerOnThePortFails) {
  const auto second = Server::start({.address = "127.0.0.1:" + std::to_string(server->port())},
                                    source, registry, clock);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::unavailable);
}

TEST_F(XdsServer, AckOfWhatWasNeverSentIsCounted) {
  serve({.clusters = {"a=1"}});
  auto client = delta_client();
  auto request = first(Type::route);
  request.set_response_nonce("4711");
  client.send_message(request);
  const auto& stale =
      registry.counter("graymesh_xds_requests_rejected_total", "", {{"reason", "stale"}});
  EXPECT_TRUE(eventually([&] { return stale.value() == 1; }));
  client.send_message(first(Type::cluster));
  EXPECT_EQ(names(client.hears_message<DeltaIn>()), "a=1");
}

}  // namespace
}  // namespace graymesh::xds
