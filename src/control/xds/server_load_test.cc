// Many clients, clients that come, go, dawdle, and a server that stops below them.
#include <atomic>
#include <deque>
#include <mutex>

#include "control/xds/server_fixture.h"

namespace graymesh::xds {
namespace {

std::string service(const char* method) {
  return std::string("/envoy.service.discovery.v3.AggregatedDiscoveryService/") + method;
}

TEST_F(XdsServer, ClientThatEndsOrVanishesIsForgotten) {
  serve({.clusters = {"a"}});
  auto ending = delta_client(), vanishing = delta_client();
  for (auto* client : {&ending, &vanishing}) {
    client->send_message(first(Type::cluster));
    (void)client->hears();
  }
  EXPECT_EQ(streams("delta"), 2);
  ending.end();
  EXPECT_TRUE(ending.finishes().ok());
  vanishing.cancel();
  EXPECT_TRUE(eventually([&] { return server->status().empty() && streams("delta") == 0; }));
}

TEST_F(XdsServer, ClientThatNeverAcksCostsOneResponseOfEachType) {
  serve({.clusters = {"a=0"}, .endpoints = {"a=0"}});
  auto stuck = delta_client(), good = delta_client();
  stuck.send_message(first(Type::cluster, "stuck"));
  EXPECT_EQ(names(stuck.hears_message<DeltaIn>()), "a=0");
  good.send_message(first(Type::cluster, "good"));
  good.send_message(ack(good.hears_message<DeltaIn>()));
  for (int i = 1; i <= 20; ++i) {
    serve({.clusters = {"a=" + std::to_string(i)}, .endpoints = {"a=0"}});
    const auto response = good.hears_message<DeltaIn>();
    EXPECT_EQ(names(response), "a=" + std::to_string(i));
    good.send_message(ack(response));
  }
  EXPECT_EQ(stuck.unread(), 0u);
  EXPECT_EQ(server->status()[1].types[0].state, State::stale);
}

TEST_F(XdsServer, AHundredStreamsAreServedTheSame) {
  serve({.clusters = many(50, "1"), .snapshot = 1});
  std::deque<WireClient> clients;
  for (int i = 0; i < 100; ++i) {
    auto& client = clients.emplace_back(server->port(), "DeltaAggregatedResources");
    client.send_message(first(Type::cluster, "client-" + std::to_string(i)));
  }
  for (auto& client : clients) {
    const auto response = client.hears_message<DeltaIn>();
    EXPECT_EQ(response.resources_size(), 50);
    client.send_message(ack(response));
  }
  EXPECT_TRUE(synced(100, 1));
  serve({.clusters = many(51, "1"), .snapshot = 2});
  for (auto& client : clients) {
    const auto response = client.hears_message<DeltaIn>();
    EXPECT_EQ(names(response), "n50=1");
    client.send_message(ack(response));
  }
  EXPECT_TRUE(synced(100, 2));
  EXPECT_EQ(streams("delta"), 100);
  EXPECT_GE(registry.counter("graymesh_xds_acks_total", "").value(), 200u);
}

TEST_F(XdsServer, PublishingUnderLoadEndsWithEveryStreamAtTheLast) {
  constexpr std::uint64_t updates = 200;
  serve({.clusters = {"a=0"}, .snapshot = 1});
  std::vector<std::jthread> clients;
  clients.reserve(8);
  std::atomic<int> done = 0;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&, i] {
      WireClient client(server->port(), "DeltaAggregatedResources");
      client.send_message(first(Type::cluster, "client-" + std::to_string(i)));
      for (;;) {
        const auto response = client.hears_message<DeltaIn>();
        client.send_message(ack(response));
        if (names(response) == "a=" + std::to_string(updates) ||
            response.type_url() == "nothing came")
          break;
      }
      ++done;
      while (done < 9) std::this_thread::yield();
    });
  }
  for (std::uint64_t i = 1; i <= updates; ++i)
    serve({.clusters = {"a=" + std::to_string(i)}, .snapshot = 1 + i});
  EXPECT_TRUE(synced(8, 1 + updates));
  EXPECT_GE(registry.histogram("graymesh_xds_convergence_seconds", "", {}).count(), 8u);
  ++done;
}

TEST_F(XdsServer, ChangeTakesUntilTheLastProxyHasAckedIt) {
  serve({.clusters = {"a=0"}, .snapshot = 1});
  std::deque<WireClient> clients;
  for (const char* id : {"one", "other", "asks for nothing"}) {
    auto& client = clients.emplace_back(server->port(), "DeltaAggregatedResources");
    auto request = first(Type::cluster, id);
    if (clients.size() == 3) request.set_type_url("type.googleapis.com/unheard.of");
    client.send_message(request);
    client.send_message(ack(client.hears_message<DeltaIn>()));
  }
  const auto proxies = [&](std::uint64_t snapshot) {
    return std::ranges::count(server->reached(), snapshot, &Reach::snapshot);
  };
  ASSERT_TRUE(eventually([&] { return proxies(1) == 2 && server->reached().size() == 3; }));
  const auto& took = registry.histogram("graymesh_xds_change_seconds", "", {});
  const auto& under_way = registry.gauge("graymesh_xds_changes_under_way", "");
  source.config.publish(make_config({.clusters = {"a=1"}, .snapshot = 2}, source.config.get()));
  server->publish({{.snapshot = 2, .at = clock.now() - std::chrono::seconds(1)}});
  for (std::size_t i = 0; i < 2; ++i) {
    const auto response = clients[i].hears_message<DeltaIn>();
    EXPECT_EQ(took.count(), 0u);
    EXPECT_EQ(under_way.value(), 1);
    clients[i].send_message(ack(response));
    EXPECT_TRUE(eventually([&] { return proxies(2) == static_cast<long>(i) + 1; }));
  }
  EXPECT_TRUE(eventually([&] { return took.count() == 1 && under_way.value() == 0; }));
  EXPECT_GE(took.sum(), 1.0);
}

TEST_F(XdsServer, StoppingTellsOpenStreamsThatItIsUnavailable) {
  serve({.clusters = {"a=1"}});
  std::deque<WireClient> clients;
  for (int i = 0; i < 10; ++i) {
    auto& client = clients.emplace_back(server->port(), "DeltaAggregatedResources");
    client.send_message(first(Type::cluster));
    EXPECT_EQ(names(client.hears_message<DeltaIn>()), "a=1");
  }
  server.reset();
  for (auto& client : clients)
    EXPECT_EQ(client.finishes().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(XdsServer, StoppingEndsStreamsThatNeverSaidAnything) {
  auto client = delta_client();
  auto other = delta_client();
  other.send_message(first(Type::cluster));
  ASSERT_TRUE(eventually([&] { return server->status().size() == 1; }));
  server.reset();
  EXPECT_FALSE(client.finishes().ok());
}

// Answers every message with its length.
class Echo final : public rpc::Reactor {
 public:
  explicit Echo(rpc::CallPtr call) : call_(std::move(call)) { call_->read(); }
  void on_message(std::string bytes) override {
    call_->write({.head = std::to_string(bytes.size()), .body = {}});
  }
  void on_end() override { call_->finish({}); }
  void on_written() override { call_->read(); }
  void on_done(const Status&) override {}

 private:
  const rpc::CallPtr call_;
};

TEST_F(XdsServer, OtherCallsAreTakenOnTheSamePort) {
  server.reset();
  start({.methods = {{service("Echo"),
                      [](const rpc::CallPtr& call) { return std::make_shared<Echo>(call); }}}});
  WireClient client(server->port(), "Echo");
  const std::string message(8u << 20, 'x');
  for (int i = 0; i < 3; ++i) {
    client.send(message);
    EXPECT_EQ(client.hears(), std::to_string(message.size()));
  }
  client.end();
  EXPECT_TRUE(client.finishes().ok());
}

// Each has the window to itself that it needs, and gives it back.
TEST_F(XdsServer, LongestRequestsAreHeardOneAfterTheOther) {
  serve({.endpoints = {"a=1"}});
  auto client = delta_client();
  auto request = first(Type::endpoints);
  for (int i = 0; i < 3; ++i) {
    request.clear_initial_resource_versions();
    (*request.mutable_initial_resource_versions())["a"] = std::string(15u << 20, 'x');
    client.send_message(request);
  }
  request = first(Type::endpoints);
  request.add_resource_names_subscribe("a");
  client.send_message(request);
  EXPECT_EQ(names(client.hears_message<DeltaIn>()), "a=1") << client.finishes().error_message();
}

TEST_F(XdsServer, MegabytesGoOutToManyStreamsAtOnce) {
  const std::string value(std::size_t{8} << 20, 'x');
  serve({.clusters = {"a=" + value}, .snapshot = 1});
  std::deque<WireClient> clients;
  for (int i = 0; i < 20; ++i) {
    auto& client = clients.emplace_back(server->port(), "DeltaAggregatedResources");
    client.send_message(first(Type::cluster, "client-" + std::to_string(i)));
  }
  for (auto& client : clients) {
    const auto response = client.hears_message<DeltaIn>();
    ASSERT_EQ(response.resources_size(), 1);
    EXPECT_EQ(response.resources(0).resource().value().size(), value.size());
    client.send_message(ack(response));
  }
  EXPECT_TRUE(synced(20, 1));
}

}  // namespace
}  // namespace graymesh::xds
