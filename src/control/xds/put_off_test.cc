// What changes while endpoints are on their way to a proxy is told with its ACK.
#include "control/xds/server_fixture.h"

namespace graymesh::xds {
namespace {

using namespace std::chrono_literals;

class PutOff : public XdsServer {
 public:
  void SetUp() override { start({.put_off_max = 10min}); }

  // A client that has it all, and then is sent `a=2`, which it does not answer.
  DeltaIn sent(WireClient& client) {
    serve({.clusters = {"a=1", "b=1"}, .endpoints = {"a=1", "b=1"}, .snapshot = 1});
    client.send_message(first(Type::cluster));
    const auto clusters = client.hears_message<DeltaIn>();
    DeltaOut subscribes = first(Type::endpoints);
    subscribes.clear_node();
    subscribes.add_resource_names_subscribe("a");
    subscribes.add_resource_names_subscribe("b");
    client.send_message(subscribes);
    client.send_message(ack(client.hears_message<DeltaIn>()));
    client.send_message(ack(clusters));
    EXPECT_TRUE(synced(1, 1));
    serve({.clusters = {"a=1", "b=1"}, .endpoints = {"a=2", "b=1"}, .snapshot = 2});
    auto change = client.hears_message<DeltaIn>();
    EXPECT_EQ(names(change), "a=2");
    return change;
  }
  std::uint64_t folded() {
    return registry.counter("graymesh_xds_updates_folded_total", "").value();
  }
  // Publishes until one more than the first was put off.
  bool put_off(std::optional<Written> change = {}) {
    const auto before = folded();
    return eventually([&] {
      server->publish(change);
      return folded() > before;
    });
  }
  void serve_quietly(const ConfigText& text) {
    source.config.publish(make_config(text, source.config.get()));
  }
};

TEST_F(PutOff, IsAskedForOnceAndSentInOne) {
  auto client = delta_client();
  const auto change = sent(client);
  const int asked = source.asked;
  serve_quietly({.clusters = {"a=1", "b=1"}, .endpoints = {"a=3", "b=1"}, .snapshot = 3});
  ASSERT_TRUE(put_off());
  serve_quietly(
      {.clusters = {"a=1", "b=1", "c=1"}, .endpoints = {"a=4", "b=2", "c=1"}, .snapshot = 4});
  ASSERT_TRUE(put_off());
  EXPECT_EQ(source.asked, asked);
  EXPECT_EQ(client.unread(), 0u);

  client.send_message(ack(change));
  const auto clusters = client.hears_message<DeltaIn>();
  EXPECT_EQ(names(clusters), "c=1");
  const auto endpoints = client.hears_message<DeltaIn>();
  EXPECT_EQ(names(endpoints), "a=4 b=2 c=1");
  client.send_message(ack(endpoints));
  client.send_message(ack(clusters));
  EXPECT_TRUE(synced(1, 4));
}

TEST_F(PutOff, IsSentByWhoHearsTheAckIfItIsAtHand) {
  auto client = delta_client();
  const auto change = sent(client);
  serve_quietly({.clusters = {"a=1", "b=1"}, .endpoints = {"a=3", "b=1"}, .snapshot = 3});
  ASSERT_TRUE(put_off());
  source.at_hand = true;
  const int asked = source.asked;
  client.send_message(ack(change));
  const auto next = client.hears_message<DeltaIn>();
  EXPECT_EQ(names(next), "a=3");
  EXPECT_EQ(source.handed, 1);
  EXPECT_EQ(source.asked, asked);
  client.send_message(ack(next));
  EXPECT_TRUE(synced(1, 3));
}

TEST_F(PutOff, SinceTheFirstThatWas) {
  auto client = delta_client();
  const auto change = sent(client);
  const auto& convergence =
      registry.histogram("graymesh_xds_convergence_seconds", "", metrics::duration_bounds());
  serve_quietly({.clusters = {"a=1", "b=1"}, .endpoints = {"a=3", "b=1"}, .snapshot = 3});
  ASSERT_TRUE(put_off(Written{3, clock.now() - 1h}));
  ASSERT_TRUE(put_off(Written{3, clock.now()}));
  const double before = convergence.sum();
  client.send_message(ack(change));
  client.send_message(ack(client.hears_message<DeltaIn>()));
  EXPECT_TRUE(eventually([&] { return convergence.sum() >= before + 3600; }));
}

// What is asked for while the response is being written is sent behind it.
TEST_F(PutOff, NotWhatIsAskedForMeanwhile) {
  auto client = delta_client();
  const auto change = sent(client);
  client.rest();
  serve({.clusters = {"a=1", "b=1"}, .endpoints = {"a=3", "b=1"}, .listeners = {"l=1"}});
  client.send_message(ack(change));
  client.send_message(ack(client.hears_message<DeltaIn>()));
  const ConfigText large = {.clusters = {"a=1", "b=1"},
                            .endpoints = {"a=" + std::string(std::size_t{8} << 20, 'x'), "b=1"},
                            .listeners = {"l=1"},
                            .snapshot = 4};
  serve(large);
  const auto& pushes = registry.counter("graymesh_xds_pushes_total", "", {{"type", "eds"}});
  ASSERT_TRUE(eventually([&] { return pushes.value() == 4; }));
  DeltaOut listeners = first(Type::listener);
  listeners.clear_node();
  client.send_message(listeners);
  ASSERT_TRUE(eventually([&] {
    return server->status().at(0).types.at(static_cast<std::size_t>(Type::listener)).state ==
           State::never_sent;
  }));
  client.read_on();
  EXPECT_EQ(client.hears_message<DeltaIn>().type_url(), type_url(Type::endpoints));
  EXPECT_EQ(names(client.hears_message<DeltaIn>()), "l=1");
}

class PutOffForAMoment : public PutOff {
 public:
  void SetUp() override { start({.put_off_max = 1ms}); }
};

TEST_F(PutOffForAMoment, NobodyWaitsForAnAckThatDoesNotCome) {
  auto client = delta_client();
  (void)sent(client);
  serve({.clusters = {"a=1", "b=1", "c=1"}, .endpoints = {"a=3", "b=1", "c=1"}, .snapshot = 3});
  const auto next = client.hears_message<DeltaIn>();
  EXPECT_EQ(next.type_url(), type_url(Type::cluster));
  EXPECT_EQ(names(next), "c=1");
}

TEST_F(PutOff, NotWhereClustersAreOnTheirWayToo) {
  auto client = delta_client();
  client.send_message(ack(sent(client)));
  ASSERT_TRUE(synced(1, 2));
  const ConfigText more = {
      .clusters = {"a=1", "b=1", "c=1"}, .endpoints = {"a=2", "b=1", "c=1"}, .snapshot = 3};
  serve(more);
  EXPECT_EQ(names(client.hears_message<DeltaIn>()), "c=1");
  EXPECT_EQ(names(client.hears_message<DeltaIn>()), "c=1");
  const int asked = source.asked;
  server->publish();
  EXPECT_TRUE(eventually([&] { return source.asked > asked; }));
}

TEST(AwaitsEndpoints, WhereNothingElseIsOnItsWay) {
  FakeProxy proxy{FakeProxy::delta};
  ConfigText text{.clusters = {"a=1"}, .endpoints = {"a=1"}, .listeners = {"l=1"}};
  (void)proxy.runs(text);
  proxy.starts({"a"});
  EXPECT_FALSE(proxy.session().awaits_endpoints());
  text.endpoints = {"a=2"};
  (void)proxy.runs(text);
  EXPECT_EQ(proxy.hears(), "EDS a=2");
  EXPECT_TRUE(proxy.session().awaits_endpoints());
  (void)proxy.acks(Type::endpoints);
  EXPECT_FALSE(proxy.session().awaits_endpoints());
  text.listeners = {"l=2"};
  (void)proxy.runs(text);
  EXPECT_EQ(proxy.hears(), "LDS l=2");
  text.endpoints = {"a=3"};
  (void)proxy.runs(text);
  EXPECT_EQ(proxy.hears(), "EDS a=3");
  EXPECT_FALSE(proxy.session().awaits_endpoints()) << "the listener's ACK may let something go on";
}

}  // namespace
}  // namespace graymesh::xds
