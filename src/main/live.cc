#include "main/live.h"

#include <fmt/core.h>

#include <set>

#include "main/fetch.h"

namespace graymesh {
namespace {

// Of every sidecar that we start.
constexpr int stats_port = 15090, admin_port = 15000;

std::string label(const resource::Node& node, const char* name) {
  const auto found = node.labels.find(name);
  return found == node.labels.end() ? "" : found->second;
}

gather::Proxy proxy_of(const resource::Node& node) {
  const bool v6 = node.address.find(':') != std::string::npos;
  const std::string host = v6 ? "[" + node.address + "]" : node.address;
  std::string workload = label(node, "app");
  if (workload.empty()) workload = node.workload;
  return {.id = node.id,
          .stats = fmt::format("{}:{}", host, stats_port),
          // Elsewhere the admin listens to its own machine alone.
          .admin = host.starts_with("127.") ? fmt::format("{}:{}", host, admin_port) : "",
          .who = {.namespace_ = node.namespace_,
                  .workload = std::move(workload),
                  .tag = label(node, "stage") == "gray" ? label(node, "canarytag") : "",
                  .version = label(node, "version"),
                  .gateway = node.kind == resource::Node::Kind::router}};
}

}  // namespace

Live::Live(const traffic::Table& table, metrics::Registry& metrics, const Clock& clock)
    : table_(table),
      calls_(clock),
      taps_({.post = post, .proxies = [this] { return proxies(); }, .clock = clock}),
      gatherer_({.fetch = fetch,
                 .proxies = [this] { return proxies(); },
                 .met = [this](const gather::Proxy& proxy) { taps_.meet(proxy); },
                 .clock = clock,
                 .metrics = metrics}) {}

traffic::Listener Live::listener() {
  return {.wants_details = [this] { return taps_.any(); },
          .told =
              [this](const traffic::Teller& teller, const std::vector<traffic::Request>& requests) {
                calls_.record(teller, requests, table_);
                taps_.record(teller, requests);
              }};
}

void Live::serve(const xds::Server* server) {
  if (server == nullptr) gatherer_.stop();
  {
    std::lock_guard lock(mutex_);
    server_ = server;
  }
  if (server != nullptr) gatherer_.start();
}

api::LiveParts Live::parts(bool told) {
  return {
      .gatherer = gatherer_, .calls = told ? &calls_ : nullptr, .taps = told ? &taps_ : nullptr};
}

live::Tally Live::of(const release::Name& application) {
  return gatherer_.follow({.namespace_ = application.namespace_, .name = application.name});
}

void Live::keep(const std::set<release::Name>& applications) {
  std::set<live::Service> services;
  for (const auto& [space, name] : applications) services.insert({space, name});
  gatherer_.follow_only(services);
}

std::vector<gather::Proxy> Live::proxies() const {
  std::lock_guard lock(mutex_);
  std::vector<gather::Proxy> out;
  if (server_ == nullptr) return out;
  std::set<std::string> seen;  // a proxy with two streams is asked once
  for (const auto& proxy : server_->status()) {
    if (proxy.node.kind == resource::Node::Kind::other) continue;
    if (seen.insert(proxy.node.id).second) out.push_back(proxy_of(proxy.node));
  }
  return out;
}

}  // namespace graymesh
