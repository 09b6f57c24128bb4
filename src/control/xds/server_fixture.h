// A server on a free port, with a source that serves what the test says, and words for clients.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/published.h"
#include "control/xds/fake_proxy.h"
#include "control/xds/wire_client.h"
#include "control/xds/xds.h"
#include "envoy/service/discovery/v3/discovery.pb.h"

namespace graymesh::xds {

using resource::Type;
using DeltaOut = envoy::service::discovery::v3::DeltaDiscoveryRequest;
using DeltaIn = envoy::service::discovery::v3::DeltaDiscoveryResponse;
using SotwOut = envoy::service::discovery::v3::DiscoveryRequest;
using SotwIn = envoy::service::discovery::v3::DiscoveryResponse;
using State = TypeStatus::State;

class FakeSource final : public ConfigSource {
 public:
  resource::ConfigPtr config_for(const resource::Node&, std::shared_ptr<void>&) override {
    ++asked;
    return config.get();
  }
  resource::ConfigPtr config_at_hand(const resource::Node&, std::shared_ptr<void>&) override {
    if (!at_hand) return nullptr;
    ++handed;
    return config.get();
  }
  Published<resource::Config> config;
  std::atomic<bool> at_hand = false;
  std::atomic<int> asked = 0, handed = 0;  // how often
};

// Asks again and again, as what the server has heard is seen only by asking.
template <typename Condition>
bool eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

class XdsServer : public testing::Test {
 public:
  void start(ServerOptions options = {}) {
    options.address = "127.0.0.1:0";
    auto started = Server::start(options, source, registry, clock);
    ASSERT_TRUE(started) << started.error().message;
    server = *std::move(started);
  }
  void SetUp() override { start(); }

  void serve(const ConfigText& text) {
    source.config.publish(make_config(text, source.config.get()));
    server->publish();
  }
  WireClient delta_client() { return {server->port(), "DeltaAggregatedResources"}; }
  WireClient sotw_client() { return {server->port(), "StreamAggregatedResources"}; }

  static DeltaOut first(Type type, const std::string& id = "client") {
    DeltaOut request;
    request.mutable_node()->set_id(id);
    request.set_type_url(std::string(type_url(type)));
    return request;
  }
  static DeltaOut ack(const DeltaIn& response) {
    DeltaOut request;
    request.set_type_url(response.type_url());
    request.set_response_nonce(response.nonce());
    return request;
  }
  static std::string names(const DeltaIn& response) {
    std::vector<std::string> names;
    for (const auto& it : response.resources())
      names.push_back(it.name() + "=" + it.resource().value());
    for (const auto& it : response.removed_resources()) names.push_back("-" + it);
    std::ranges::sort(names);
    std::string all;
    for (const auto& name : names) all += (all.empty() ? "" : " ") + name;
    return all;
  }
  bool synced(std::size_t streams, std::uint64_t snapshot) {
    return eventually([&] {
      const auto all = server->status();
      return all.size() == streams && std::ranges::all_of(all, [&](const ProxyStatus& it) {
               return it.snapshot == snapshot;
             });
    });
  }
  double streams(const char* protocol) {
    return registry.gauge("graymesh_xds_streams", "", {{"protocol", protocol}}).value();
  }

  SystemClock clock;
  metrics::Registry registry;
  FakeSource source;
  std::unique_ptr<Server> server;
};

}  // namespace graymesh::xds
