// Proxies that dawdle, hang or come all at once, and what others notice of it: over real gRPC, with
// a clock that goes on when it is told to.
#include <atomic>
#include <deque>

#include "control/xds/server_fixture.h"

namespace graymesh::xds {
namespace {

using std::chrono::seconds;

class SlowProxies : public XdsServer {
 public:
  void SetUp() override {}
  ~SlowProxies() override { server.reset(); }  // before the clock

  void begin(ServerOptions options = {}) {
    options.address = "127.0.0.1:0";
    auto started = Server::start(options, source, registry, fake);
    ASSERT_TRUE(started) << started.error().message;
    server = *std::move(started);
  }
  Waits waits(const std::string& id) {
    for (const auto& proxy : server->status()) {
      if (proxy.node.id == id) return proxy.waits;
    }
    return Waits::nothing;
  }
  std::uint64_t dropped(const char* reason) {
    return registry.counter("graymesh_xds_streams_dropped_total", "", {{"reason", reason}}).value();
  }
  // Four clusters of 300 kB: each push is a chunk, and a cold proxy is owed 1.2 MB.
  static ConfigText heavy(const std::string& body, const std::string& endpoints = "1") {
    return {.clusters = many(4, body + std::string(300'000, 'x')), .endpoints = {"e=" + endpoints}};
  }

  // For who leaps in time: a response may have been heard before it is said to be written.
  static constexpr auto never = std::chrono::hours(100);

  FakeClock fake;
};

TEST_F(SlowProxies, OneThatNeverAnswersIsEndedWithTheReason) {
  std::atomic<int> told = 0;
  begin({.write_max = never, .on_drop = [&](const Dropped&) { ++told; }});
  serve({.clusters = {"a=1"}});
  auto client = delta_client();
  client.send_message(first(Type::cluster, "mute"));
  EXPECT_EQ(names(client.hears_message<DeltaIn>()), "a=1");
  fake.advance(seconds(299));
  serve({.clusters = {"a=2"}});
  fake.advance(seconds(1));
  const auto end = client.finishes();
  EXPECT_EQ(end.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(end.error_message(), "it has not answered a response for 300 s");
  const auto all = server->dropped();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].node_id, "mute");
  EXPECT_EQ(all[0].reason, "answers_nothing");
  EXPECT_EQ(dropped("answers_nothing"), 1u);
  EXPECT_EQ(told, 1);
}

TEST_F(SlowProxies, OneThatAnswersAtLastIsNot) {
  begin({.write_max = never});
  serve({.clusters = {"a=1"}, .snapshot = 1});
  auto client = delta_client();
  client.send_message(first(Type::cluster));
  const auto response = client.hears_message<DeltaIn>();
  fake.advance(seconds(299));
  client.send_message(ack(response));
  ASSERT_TRUE(synced(1, 1));
  fake.advance(seconds(3600));
  serve({.clusters = {"a=2"}});
  EXPECT_EQ(names(client.hears_message<DeltaIn>()), "a=2");
}

TEST_F(SlowProxies, OneThatReadsNothingIsCutOff) {
  begin();
  serve({.clusters = {"a=" + std::string(std::size_t{8} << 20, 'x')}});
  WireClient deaf(server->port(), "DeltaAggregatedResources", false);
  deaf.send_message(first(Type::cluster, "deaf"));
  const auto& sent = registry.counter("graymesh_xds_pushes_total", "", {{"type", "cds"}});
  ASSERT_TRUE(eventually([&] { return sent.value() == 1; }));
  fake.advance(seconds(20));
  EXPECT_TRUE(
      eventually([&] { return dropped("reads_nothing") == 1 && server->status().empty(); }));
  EXPECT_EQ(server->dropped().at(0).node_id, "deaf");
}

TEST_F(SlowProxies, ColdOnesComeInOneAfterTheOtherAndNobodyIsRejected) {
  begin({.cold_bytes_max = 1'300'000});
  serve(heavy("1"));
  std::deque<WireClient> clients;
  for (const char* id : {"a", "b", "c"}) {
    clients.emplace_back(server->port(), "DeltaAggregatedResources")
        .send_message(first(Type::cluster, id));
    ASSERT_TRUE(eventually([&] { return server->status().size() == clients.size(); }));
    if (clients.size() > 1) {
      ASSERT_TRUE(eventually([&] { return waits(id) == Waits::admission; })) << id;
    }
  }
  // One that holds all is not in their line.
  auto returned = delta_client();
  auto request = first(Type::cluster, "returned");
  for (const auto& cluster : source.config.get()->of(Type::cluster)[0]->all())
    (*request.mutable_initial_resource_versions())[cluster->name()] = cluster->version_text();
  returned.send_message(request);
  ASSERT_TRUE(eventually([&] {
    const auto all = server->status();
    return std::ranges::any_of(all, [](const ProxyStatus& it) {
      return it.node.id == "returned" && it.types[0].state == State::synced;
    });
  }));
  for (auto& client : clients) {
    std::size_t resources = 0;
    while (resources < 4) {
      const auto response = client.hears_message<DeltaIn>();
      ASSERT_GT(response.resources_size(), 0);
      resources += static_cast<std::size_t>(response.resources_size());
      client.send_message(ack(response));
    }
  }
  EXPECT_EQ(returned.unread(), 0u);
}

TEST_F(SlowProxies, PushesWaitForTheirTurnAndEndpointsDoNot) {
  begin({.push_bytes_max = 1'500'000});
  serve(heavy("1"));
  auto slow = delta_client(), other = delta_client();
  slow.send_message(first(Type::cluster, "slow"));
  (void)slow.hears_message<DeltaIn>();  // and no ACK: 900 kB are in the air
  other.send_message(first(Type::endpoints, "other"));
  auto names_of_it = first(Type::endpoints, "other");
  names_of_it.add_resource_names_subscribe("e");
  other.send_message(names_of_it);
  ASSERT_TRUE(eventually([&] { return waits("other") == Waits::turn; }));
  fake.advance(seconds(5));  // who is slow for so long takes nobody's turn
  auto response = other.hears_message<DeltaIn>();
  EXPECT_EQ(names(response), "e=1");
  other.send_message(ack(response));

  auto third = delta_client();  // takes the room again
  third.send_message(first(Type::cluster, "third"));
  (void)third.hears_message<DeltaIn>();
  serve(heavy("1", "2"));
  EXPECT_EQ(names(other.hears_message<DeltaIn>()), "e=2") << "without a turn";
}

TEST_F(SlowProxies, OnesInLineThatHaveNothingToSayAnyMoreHoldUpNobody) {
  begin({.push_bytes_max = 1'500'000});
  const auto config = [](const std::string& cluster) {
    return ConfigText{.clusters = {"a=" + cluster},
                      .listeners = many(3, std::string(300'000, 'x'))};
  };
  serve(config("1"));
  std::deque<WireClient> idle;
  for (const char* id : {"a", "b", "c"}) {
    auto& client = idle.emplace_back(server->port(), "DeltaAggregatedResources");
    client.send_message(first(Type::cluster, id));
    client.send_message(ack(client.hears_message<DeltaIn>()));
  }
  auto slow = delta_client(), last = delta_client();
  slow.send_message(first(Type::listener, "slow"));
  const auto response = slow.hears_message<DeltaIn>();  // and no ACK: 900 kB are in the air
  serve(config("2"));
  for (const char* id : {"a", "b", "c"}) {
    ASSERT_TRUE(eventually([&] { return waits(id) == Waits::turn; })) << id;
  }
  last.send_message(first(Type::listener, "last"));
  ASSERT_TRUE(eventually([&] { return waits("last") == Waits::turn; }));
  serve(config("1"));  // as it was
  slow.send_message(ack(response));
  EXPECT_EQ(last.hears_message<DeltaIn>().resources_size(), 3);
}

TEST_F(SlowProxies, BeyondAllBoundsOneIsToldToComeLater) {
  begin({.streams_max = 2});
  serve({.clusters = {"a=1"}});
  auto one = delta_client(), two = delta_client();
  for (auto* client : {&one, &two}) {
    client->send_message(first(Type::cluster));
    EXPECT_EQ(names(client->hears_message<DeltaIn>()), "a=1");
  }
  auto three = delta_client();
  EXPECT_EQ(three.finishes().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(registry.counter("graymesh_xds_streams_turned_away_total", "").value(), 1u);
  one.end();
  EXPECT_TRUE(one.finishes().ok());
  // It hears of its end before the server counts one less.
  ASSERT_TRUE(eventually([&] { return server->status().size() == 1; }));
  auto four = delta_client();
  four.send_message(first(Type::cluster));
  EXPECT_EQ(names(four.hears_message<DeltaIn>()), "a=1");
}

}  // namespace
}  // namespace graymesh::xds
