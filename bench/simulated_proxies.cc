// Very many proxies without their weight, to load a control plane with: each is one connection with
// one delta ADS stream that subscribes as Envoy does (all clusters and listeners, then the
// endpoints and route tables that they name) and ACKs whatever comes, at once. What Envoy would do
// with it is not done. So what is measured is what the control plane and its streams cost.
//
//   simulated_proxies 127.0.0.1:15010 1000 fe-pre       prints "ready" once all hold routes
//
// Lines of standard input: `mark` begins a measurement; `report` ends it with a line of JSON about
// the first response of routes that each proxy got since, in ms:
// {"proxies":1000,"first":..,"p50":.., "p99":..,"last":..}. It ends with its input.
#include <fmt/core.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/client_callback.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/service/discovery/v3/discovery.pb.h"

namespace graymesh {
namespace {

using Steady = std::chrono::steady_clock::time_point;
using Request = envoy::service::discovery::v3::DeltaDiscoveryRequest;
using Response = envoy::service::discovery::v3::DeltaDiscoveryResponse;
using Manager =
    envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;

const std::string types = "type.googleapis.com/envoy.config.";
const std::string clusters = types + "cluster.v3.Cluster";
const std::string endpoints = types + "endpoint.v3.ClusterLoadAssignment";
const std::string listeners = types + "listener.v3.Listener";
const std::string routes = types + "route.v3.RouteConfiguration";

class Proxy final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Proxy(const std::string& server, int number, const std::string& namespace_) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
    arguments.SetMaxReceiveMessageSize(-1);
    stub_ = std::make_unique<grpc::GenericStub>(
        grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(), arguments));
    context_.set_wait_for_ready(true);
    stub_->PrepareBidiStreamingCall(
        &context_,
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources", {},
        this);
    StartRead(&read_);
    StartCall();
    Request first = about(clusters);
    auto& node = *first.mutable_node();
    node.set_id(fmt::format("sidecar~127.63.{}.{}~simulated-{}.{}~{}.svc.cluster.local",
                            number / 250, number % 250 + 1, number, namespace_, namespace_));
    node.set_user_agent_name("simulated");
    auto& fields = *node.mutable_metadata()->mutable_fields();
    fields["INTERCEPTION_MODE"].set_string_value("NONE");
    fields["NAMESPACE"].set_string_value(namespace_);
    (*fields["LABELS"].mutable_struct_value()->mutable_fields())["app"].set_string_value(
        "simulated");
    std::lock_guard lock(mutex_);
    send(first);
    send(about(listeners));
  }

  void end() {
    context_.TryCancel();
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return is_done_; });
  }

  // When the first routes since then came; none did: the greatest time.
  Steady routed_since(Steady mark) {
    std::lock_guard lock(mutex_);
    const auto found = std::upper_bound(routed_.begin(), routed_.end(), mark);
    return found == routed_.end() ? Steady::max() : *found;
  }

 private:
  static Request about(const std::string& type) {
    Request request;
    request.set_type_url(type);
    return request;
  }

  // The rest holds the mutex.

  void send(const Request& request) {
    to_send_.push_back(request.SerializeAsString());
    write();
  }
  void write() {
    if (writing_ || to_send_.empty()) return;
    const grpc::Slice slice(to_send_.front());
    to_send_.pop_front();
    write_ = grpc::ByteBuffer(&slice, 1);
    writing_ = true;
    StartWrite(&write_);
  }

  void hear(const Response& response) {
    Request ack = about(response.type_url());
    ack.set_response_nonce(response.nonce());
    send(ack);
    if (response.type_url() == routes) routed_.push_back(std::chrono::steady_clock::now());
    const bool leads_on = response.type_url() == clusters || response.type_url() == listeners;
    if (!leads_on) return;
    Request more = about(response.type_url() == clusters ? endpoints : routes);
    for (const auto& resource : response.resources()) {
      if (!known_.insert(resource.name()).second) continue;
      for (const std::string& name : response.type_url() == clusters
                                         ? assignments_of(resource.resource())
                                         : tables_of(resource.resource())) {
        if (asked_.insert(name).second) more.add_resource_names_subscribe(name);
      }
    }
    if (more.resource_names_subscribe_size() > 0) send(more);
  }

  static std::vector<std::string> assignments_of(const google::protobuf::Any& any) {
    envoy::config::cluster::v3::Cluster cluster;
    if (!any.UnpackTo(&cluster) || cluster.type() != envoy::config::cluster::v3::Cluster::EDS)
      return {};
    const std::string& other = cluster.eds_cluster_config().service_name();
    return {other.empty() ? cluster.name() : other};
  }
  static std::vector<std::string> tables_of(const google::protobuf::Any& any) {
    envoy::config::listener::v3::Listener listener;
    std::vector<std::string> names;
    if (!any.UnpackTo(&listener)) return names;
    auto chains = listener.filter_chains();
    if (listener.has_default_filter_chain()) *chains.Add() = listener.default_filter_chain();
    for (const auto& chain : chains) {
      for (const auto& filter : chain.filters()) {
        Manager manager;
        if (filter.typed_config().UnpackTo(&manager) && manager.has_rds())
          names.push_back(manager.rds().route_config_name());
      }
    }
    return names;
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    std::vector<grpc::Slice> slices;
    (void)read_.Dump(&slices);
    std::string bytes;
    for (const auto& slice : slices)
      bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    Response response;
    if (!response.ParseFromString(bytes)) std::abort();
    {
      std::lock_guard lock(mutex_);
      hear(response);
    }
    StartRead(&read_);
  }
  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    writing_ = !ok;
    write();
  }
  void OnDone(const grpc::Status& status) override {
    if (status.error_code() != grpc::StatusCode::CANCELLED)
      fmt::print(stderr, "a stream ended: {}\n", status.error_message());
    std::lock_guard lock(mutex_);
    is_done_ = true;
    done_.notify_all();
  }

  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericStub> stub_;
  std::mutex mutex_;
  std::condition_variable done_;
  std::deque<std::string> to_send_;
  std::set<std::string> known_, asked_;  // clusters and listeners; assignments and tables
  std::vector<Steady> routed_;           // when responses of routes came
  grpc::ByteBuffer read_, write_;
  bool writing_ = false, is_done_ = false;
};

double millis(Steady from, Steady to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

std::string report(const std::vector<std::unique_ptr<Proxy>>& proxies, Steady mark) {
  std::vector<double> taken;
  for (const auto& proxy : proxies) {
    const Steady at = proxy->routed_since(mark);
    if (at != Steady::max()) taken.push_back(millis(mark, at));
  }
  std::sort(taken.begin(), taken.end());
  if (taken.empty()) return R"({"proxies":0})";
  const auto share = [&](std::size_t percent) {
    return taken[(taken.size() * percent + 99) / 100 - 1];
  };
  return fmt::format(R"({{"proxies":{},"first":{:.1f},"p50":{:.1f},"p99":{:.1f},"last":{:.1f}}})",
                     taken.size(), taken.front(), share(50), share(99), taken.back());
}

int run(const std::string& server, int count, const std::string& namespace_) {
  const Steady begun = std::chrono::steady_clock::now();
  std::vector<std::unique_ptr<Proxy>> proxies;
  for (int number = 0; number < count; ++number)
    proxies.push_back(std::make_unique<Proxy>(server, number, namespace_));
  for (const auto& proxy : proxies) {
    while (proxy->routed_since(begun) == Steady::max())
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  fmt::print("ready\n");
  std::fflush(stdout);
  Steady mark = begun;
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "mark") mark = std::chrono::steady_clock::now();
    fmt::print("{}\n", line == "report" ? report(proxies, mark) : "ok");
    std::fflush(stdout);
  }
  for (const auto& proxy : proxies) proxy->end();
  return 0;
}

}  // namespace
}  // namespace graymesh

int main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "usage: simulated_proxies ADDRESS:PORT COUNT NAMESPACE\n");
    return 2;
  }
  return graymesh::run(argv[1], std::atoi(argv[2]), argv[3]);
}
