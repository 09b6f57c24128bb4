#include "control/translate/scopes.h"

#include <fmt/core.h>

#include <algorithm>

#include "control/translate/inbound.h"

namespace graymesh::translate {
namespace {

using resource::Node;

// What every sidecar and gateway of ours or Istio's serves on its own: admin, merged statistics,
// readiness, DNS, statistics.
constexpr std::uint32_t proxy_ports[] = {15000, 15004, 15020, 15021, 15053, 15090};

// Instances of one machine have loopback addresses of their own, which nobody else binds.
bool has_own_loopback(const Node& node) { return node.address.starts_with("127."); }

bool is_captured(const Node& node) { return node.interception != Node::Interception::none; }

std::uint32_t lowest_port(const Node& node) { return node.unprivileged ? 1024 : 1; }

const model::Labels& labels_of(const snapshot::Snapshot& snapshot, const Node& node) {
  const auto* workload = snapshot.workload(node.address);
  return workload && !workload->labels.empty() ? workload->labels : node.labels;
}

// As Istio: of the pod, else a label, else what the node says.
snapshot::Locality locality_of(const snapshot::Snapshot& snapshot, const Node& node) {
  const auto* workload = snapshot.workload(node.address);
  if (workload && workload->locality != snapshot::Locality{}) return workload->locality;
  for (const char* name : {"topology.istio.io/locality", "istio-locality"}) {
    const auto it = node.labels.find(name);
    if (it == node.labels.end() || it->second.empty()) continue;
    std::string text = it->second;
    if (text.find('/') == std::string::npos) std::replace(text.begin(), text.end(), '.', '/');
    snapshot::Locality locality;
    const auto first = text.find('/');
    locality.region = text.substr(0, first);
    if (first == std::string::npos) return locality;
    const auto second = text.find('/', first + 1);
    locality.zone =
        text.substr(first + 1, second == std::string::npos ? second : second - first - 1);
    if (second != std::string::npos) locality.sub_zone = text.substr(second + 1);
    return locality;
  }
  return {node.region, node.zone, node.sub_zone};
}

// On the address of an instance that is not captured: what its application serves, or we in front
// of it, and the proxy's own pages.
std::vector<std::uint32_t> taken_ports(const InboundScope& inbound) {
  std::vector<std::uint32_t> ports(std::begin(proxy_ports), std::end(proxy_ports));
  for (const auto& port : inbound.ports) ports.push_back(port.target_port);
  for (const auto& port : inbound_ports(inbound)) ports.push_back(port.port);
  std::sort(ports.begin(), ports.end());
  ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
  return ports;
}

bool prefers_near(const model::PortPolicy& policy) {
  return policy.outlier_detection || (policy.load_balancer && policy.load_balancer->locality);
}

template <typename Test>
bool any_policy(const model::DestinationRule& rule, Test test) {
  const auto within = [&](const std::optional<model::TrafficPolicy>& policy) {
    if (!policy) return false;
    return test(*policy) || std::any_of(policy->port_level.begin(), policy->port_level.end(),
                                        [&](const auto& entry) { return test(entry.second); });
  };
  return within(rule.policy) ||
         std::any_of(rule.subsets.begin(), rule.subsets.end(),
                     [&](const model::Subset& subset) { return within(subset.policy); });
}

// Length first, so that no two lists of values give one text.
void put(std::string& text, std::string_view value) {
  text.append(std::to_string(value.size())).append(":").append(value).append("|");
}

void put(std::string& text, const snapshot::Locality& locality) {
  put(text, locality.region);
  put(text, locality.zone);
  put(text, locality.sub_zone);
}

void put(std::string& text, const model::Labels& labels) {
  for (const auto& [name, value] : labels) {
    put(text, name);
    put(text, value);
  }
}

// What a label may hold. The node's own are not checked by anyone, and Envoy would read a `%`.
bool is_plain(std::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

// The lane of a gray instance that stamps it on what it sends; empty for all others.
std::string lane_of(const snapshot::Snapshot& snapshot, const Node& node) {
  const auto& labels = labels_of(snapshot, node);
  const auto stage = labels.find("stage");
  const auto lane = labels.find("canarytag");
  if (stage == labels.end() || stage->second != "gray" || lane == labels.end()) return {};
  return is_plain(lane->second) && snapshot.lane_stamp(node.address) ? lane->second : std::string();
}

bool tells_lanes(const snapshot::Snapshot& snapshot, const Node& node) {
  return node.takes_lane_log && snapshot.mesh().lane_log;
}

bool counts_requests(const snapshot::Snapshot& snapshot, const Node& node) {
  return node.counts_requests && snapshot.mesh().request_metrics;
}

}  // namespace

Role role_of(const Node& node) {
  // gRPC sends whatever node its bootstrap has, often a sidecar's.
  if (node.user_agent.starts_with("gRPC") || node.user_agent.starts_with("grpc"))
    return Role::proxyless;
  switch (node.kind) {
    case Node::Kind::sidecar:
      return Role::sidecar;
    case Node::Kind::router:
      return Role::gateway;
    case Node::Kind::other:
      break;
  }
  return node.user_agent.starts_with("envoy") ? Role::stranger : Role::proxyless;
}

ViewTraits traits_of(const snapshot::View& view, const model::MeshConfig& mesh) {
  ViewTraits traits;
  traits.labels = view.source_labels_matter;
  const auto looks_at_labels = [](const std::optional<model::LocalityLb>& locality) {
    return locality && !locality->failover_priority.empty();
  };
  if (mesh.locality_lb && !mesh.locality_lb->distribute.empty()) traits.localities = true;
  bool ejects = false;
  for (const auto& seen : view.services) {
    if (!seen.rule) continue;
    ejects = ejects || any_policy(seen.rule->spec, prefers_near);
    traits.labels =
        traits.labels || any_policy(seen.rule->spec, [&](const model::PortPolicy& policy) {
          return policy.load_balancer && looks_at_labels(policy.load_balancer->locality);
        });
  }
  traits.localities = traits.localities || ejects;
  traits.labels = traits.labels || (ejects && looks_at_labels(mesh.locality_lb));
  return traits;
}

OutboundScope outbound_scope(const snapshot::SnapshotPtr& snapshot, const snapshot::ViewPtr& view,
                             const ViewTraits& traits, const Node& node,
                             const InboundScope& inbound) {
  OutboundScope scope;
  scope.snapshot = snapshot;
  scope.view = view;
  scope.captured = is_captured(node);
  scope.on_loopback = has_own_loopback(node);
  if (scope.on_loopback) scope.bind = node.address;
  scope.taken_ports =
      scope.captured ? std::vector<std::uint32_t>(std::begin(proxy_ports), std::end(proxy_ports))
                     : taken_ports(inbound);
  scope.http_proxy_port =
      node.http_proxy_port != 0 ? node.http_proxy_port : snapshot->mesh().proxy_http_port;
  scope.transparent = node.interception == Node::Interception::tproxy;
  scope.lowest_port = lowest_port(node);
  if (traits.localities) scope.locality = locality_of(*snapshot, node);
  if (traits.labels) scope.labels = labels_of(*snapshot, node);
  scope.lane = lane_of(*snapshot, node);
  scope.tells_lanes = tells_lanes(*snapshot, node);
  scope.counts_requests = counts_requests(*snapshot, node);
  return scope;
}

InboundScope inbound_scope(const snapshot::SnapshotPtr& snapshot, const snapshot::ViewPtr& view,
                           const Node& node) {
  InboundScope scope;
  scope.snapshot = snapshot;
  scope.namespace_ = node.namespace_;
  scope.captured = is_captured(node);
  scope.transparent = node.interception == Node::Interception::tproxy;
  scope.lowest_port = lowest_port(node);
  scope.tells_lanes = tells_lanes(*snapshot, node);
  scope.counts_requests = counts_requests(*snapshot, node);
  const bool ingress = view->sidecar_spec && !view->sidecar_spec->ingress.empty();
  if (ingress) scope.sidecar = view->sidecar_spec;
  scope.ports = snapshot->inbound(node.namespace_, node.addresses, labels_of(*snapshot, node));
  // A captured workload's address plays no part, so that all workloads of a service share a scope.
  if (!scope.captured || ingress) {
    scope.address = node.address;
    scope.app_address = node.app_address;
  }
  return scope;
}

GatewayScope gateway_scope(const snapshot::SnapshotPtr& snapshot, const Node& node) {
  GatewayScope scope;
  scope.snapshot = snapshot;
  scope.view = snapshot->gateway(node.namespace_, node.addresses, labels_of(*snapshot, node));
  scope.on_loopback = has_own_loopback(node);
  if (scope.on_loopback) scope.bind = node.address;
  scope.lowest_port = lowest_port(node);
  scope.tells_lanes = tells_lanes(*snapshot, node);
  scope.counts_requests = counts_requests(*snapshot, node);
  scope.locality = locality_of(*snapshot, node);
  if (scope.view->source_labels_matter) scope.labels = labels_of(*snapshot, node);
  return scope;
}

std::string text_of(const OutboundScope& scope) {
  std::string text = scope.captured ? "captured|" : "bound|";
  put(text, scope.view->namespace_);
  put(text,
      scope.view->sidecar ? scope.view->sidecar->namespace_ + "/" + scope.view->sidecar->name : "");
  put(text, scope.on_loopback ? "loopback" : "");
  put(text, std::to_string(scope.http_proxy_port));
  put(text, scope.locality);
  put(text, scope.labels);
  return text;
}

std::string listeners_text_of(const OutboundScope& scope) {
  std::string text = text_of(scope);
  put(text, scope.bind);
  put(text, std::to_string(scope.lowest_port));
  put(text, scope.transparent ? "transparent" : "");
  put(text, scope.lane);
  put(text, scope.tells_lanes ? "tells" : "");
  put(text, scope.counts_requests ? "counts" : "");
  for (const std::uint32_t port : scope.taken_ports) put(text, std::to_string(port));
  return text;
}

std::string text_of(const InboundScope& scope) {
  std::string text = scope.captured ? "captured|" : "bound|";
  put(text, scope.namespace_);
  put(text, std::to_string(scope.lowest_port));
  put(text, scope.transparent ? "transparent" : "");
  put(text, scope.tells_lanes ? "tells" : "");
  put(text, scope.counts_requests ? "counts" : "");
  put(text, scope.address);
  put(text, scope.app_address);
  for (const auto& port : scope.ports) {
    put(text, port.service->namespace_);
    put(text, port.service->host);
    put(text, fmt::format("{}>{}", port.port, port.target_port));
  }
  return text;
}

std::string text_of(const GatewayScope& scope) {
  std::string text;
  put(text, scope.bind);
  put(text, std::to_string(scope.lowest_port));
  put(text, scope.tells_lanes ? "tells" : "");
  put(text, scope.counts_requests ? "counts" : "");
  put(text, scope.locality);
  put(text, scope.view->namespace_);
  for (const auto& gateway : scope.view->gateways) put(text, model::to_string(gateway.origin));
  for (const auto& [from, to] : scope.view->target_ports) put(text, fmt::format("{}>{}", from, to));
  put(text, scope.labels);
  return text;
}

}  // namespace graymesh::translate
