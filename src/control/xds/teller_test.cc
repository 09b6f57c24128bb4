// A witness that adds up what it is told knows at any moment what the proxy has ACKed.
#include <gtest/gtest.h>

#include "control/xds/fold.h"
#include "control/xds/server_fixture.h"

namespace graymesh::xds {
namespace {

// Calls come from the server's threads.
class Heard final : public resource::Witness {
 public:
  void opened(StreamId stream, const resource::Node& node, const std::string& peer,
              bool delta) override {
    std::lock_guard lock(mutex_);
    fold_.opened(stream, node, peer, delta);
  }
  void holds(StreamId stream, const resource::Possession& all) override {
    std::lock_guard lock(mutex_);
    fold_.holds(stream, all);
  }
  void sent(StreamId stream, const resource::Delivery& delivery) override {
    std::lock_guard lock(mutex_);
    fold_.sent(stream, delivery);
  }
  void acked(StreamId stream, Type type) override {
    std::lock_guard lock(mutex_);
    fold_.acked(stream, type);
  }
  void refused(StreamId stream, Type type, const std::string& error) override {
    std::lock_guard lock(mutex_);
    fold_.refused(stream, type, error);
  }
  void dropped(StreamId stream, Type type, std::span<const std::string> names) override {
    std::lock_guard lock(mutex_);
    fold_.dropped(stream, type, names);
  }
  void reached(StreamId stream, std::uint64_t snapshot) override {
    std::lock_guard lock(mutex_);
    fold_.reached(stream, snapshot);
  }
  void closed(StreamId stream) override {
    std::lock_guard lock(mutex_);
    fold_.closed(stream);
  }
  std::string log() const {
    std::lock_guard lock(mutex_);
    return fold_.log;
  }
  Fold::Names of(Type type) const {
    std::lock_guard lock(mutex_);
    return fold_.of(type);
  }

 private:
  mutable std::mutex mutex_;
  Fold fold_;
};

class Witnessed : public XdsServer {
 public:
  void SetUp() override {
    ServerOptions options;
    options.witness = &heard;
    start(options);
  }
  void TearDown() override { server.reset(); }
  Heard heard;
};

TEST_F(Witnessed, HearsOfAStreamFromItsNodeToItsEnd) {
  serve({.clusters = {"a=1", "b=1"}, .snapshot = 7});
  auto client = std::make_unique<WireClient>(server->port(), "DeltaAggregatedResources");
  client->send_message(first(Type::cluster, "web"));
  DeltaIn response;
  response.ParseFromString(client->hears().value_or(""));
  client->send_message(ack(response));
  EXPECT_TRUE(eventually([&] {
    return heard.log() == "opened web\nCDS sent\nCDS acked\nreached 7\n";
  })) << heard.log();
  EXPECT_EQ(heard.of(Type::cluster), (Fold::Names{{"a", "1"}, {"b", "1"}}));
  client.reset();
  EXPECT_TRUE(eventually([&] { return heard.log().ends_with("reached 7\nclosed\n"); }))
      << heard.log();
}

TEST_F(Witnessed, HearsWithWhatAProxyReturnsAndWhatItOnlyClaims) {
  serve({.clusters = {"a=1", "b=1"}});
  const auto version = (*source.config.get()->find(Type::cluster, "a"))->version_text();
  auto client = delta_client();
  auto request = first(Type::cluster, "web");
  (*request.mutable_initial_resource_versions())["a"] = version;
  (*request.mutable_initial_resource_versions())["b"] = "0123456789abcdef";
  client.send_message(request);
  EXPECT_TRUE(client.hears());  // b
  EXPECT_EQ(heard.of(Type::cluster), (Fold::Names{{"a", "1"}, {"b", "?"}}));
}

TEST_F(Witnessed, HearsTheProxysWordsAndWhatItStillHolds) {
  serve({.clusters = {"a=1", "b=1"}});
  auto client = delta_client();
  client.send_message(first(Type::cluster, "web"));
  DeltaIn response;
  response.ParseFromString(client.hears().value_or(""));
  auto request = ack(response);
  request.mutable_error_detail()->set_message("a: no");
  client.send_message(request);
  EXPECT_TRUE(eventually([&] { return heard.log().ends_with("CDS refused: a: no\n"); }));
  EXPECT_TRUE(eventually([&] { return heard.of(Type::cluster) == Fold::Names{{"b", "1"}}; }));
}

TEST_F(Witnessed, IsToldAllOnceMoreWhenSomebodyAsks) {
  serve({.clusters = {"a=1", "b=1"}});
  auto client = delta_client();
  client.send_message(first(Type::cluster, "web"));
  DeltaIn response;
  response.ParseFromString(client.hears().value_or(""));
  client.send_message(ack(response));
  EXPECT_TRUE(eventually([&] { return heard.of(Type::cluster).size() == 2; }));
  resource::Possession nothing{.type = Type::cluster};
  heard.holds(1, nothing);
  server->recap();
  EXPECT_EQ(heard.of(Type::cluster), (Fold::Names{{"a", "1"}, {"b", "1"}}));
}

}  // namespace
}  // namespace graymesh::xds
