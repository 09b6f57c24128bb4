#include "control/translate/scopes.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "control/translate/cluster.h"
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

// As Istio: of the pod, else by labels, else what the node says.
snapshot::Locality locality_of(const snapshot::Snapshot& snapshot, const Node& node) {
  const auto* workload = snapshot.workload(node.address);
  if (workload && workload->locality != snapshot::Locality{}) return workload->locality;
  const model::Labels& labels = labels_of(snapshot, node);
  const auto label = [&labels](std::string_view name) {
    const auto at = labels.find(name);
    return at == labels.end() ? std::string() : at->second;
  };
  snapshot::Locality by_parts{label(region_label), label(zone_label), label(sub_zone_label)};
  if (by_parts != snapshot::Locality{}) return by_parts;
  if (const auto whole = snapshot::locality_label(labels)) return *whole;
  return {node.region, node.zone, node.sub_zone};
}

Vantage vantage_of(const snapshot::Snapshot& snapshot, const Node& node, const Heeds& heeds) {
  Vantage vantage;
  if (heeds == Heeds{}) return vantage;
  const snapshot::Locality locality = locality_of(snapshot, node);
  if (heeds.locality) vantage.locality = locality;
  const auto* workload = snapshot.workload(node.address);
  const Topology topology{
      .labels = labels_of(snapshot, node),
      .locality = locality,
      .node = node.node_name.empty() && workload ? workload->node : node.node_name,
      .network = node.network,
      .cluster = node.cluster_id};
  for (const std::string& name : heeds.labels) {
    if (const auto value = find_label(topology, name); !value.empty())
      vantage.labels.emplace(name, value);
  }
  return vantage;
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

// Length first, so that no two lists of values give one text.
void put(std::string& text, std::string_view value) {
  text.append(std::to_string(value.size())).append(":").append(value).append("|");
}

void put(std::string& text, const model::Labels& labels) {
  put(text, std::to_string(labels.size()));
  for (const auto& [name, value] : labels) {
    put(text, name);
    put(text, value);
  }
}

void put(std::string& text, const Vantage& vantage) {
  put(text, vantage.locality.region);
  put(text, vantage.locality.zone);
  put(text, vantage.locality.sub_zone);
  put(text, vantage.labels);
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

Manner manner_of(const snapshot::Snapshot& snapshot, const Node& node) {
  return {.tells_lanes = node.takes_lane_log && snapshot.mesh().lane_log,
          .counts_requests = node.counts_requests && snapshot.mesh().request_metrics,
          .http10 = node.http10,
          .idle_timeout = node.idle_timeout};
}

Family family_of(const Node& node) {
  const bool v6 =
      !node.addresses.empty() && std::ranges::all_of(node.addresses, [](const auto& address) {
        return address.find(':') != std::string::npos;
      });
  return v6 ? Family::v6 : Family::v4;
}

// "envoy 1.40.0". VHDS by ADS is in no Envoy before that one that was tried (docs/envoy.md 14):
// they refuse the table.
bool knows_vhds(const Node& node) {
  constexpr std::string_view name = "envoy ";
  if (!node.user_agent.starts_with(name)) return false;
  std::uint32_t major = 0, minor = 0;
  const char* end = node.user_agent.data() + node.user_agent.size();
  const auto [dot, fault] = std::from_chars(node.user_agent.data() + name.size(), end, major);
  if (fault != std::errc() || dot == end || *dot != '.') return false;
  if (std::from_chars(dot + 1, end, minor).ec != std::errc()) return false;
  return major > 1 || (major == 1 && minor >= 40);
}

bool takes_vhds(const snapshot::Snapshot& snapshot, const Node& node) {
  return node.delta && node.vhds.value_or(snapshot.mesh().vhds) && knows_vhds(node);
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

ViewTraits traits_of(const std::vector<snapshot::SeenService>& services,
                     const model::MeshConfig& mesh) {
  ViewTraits traits;
  for (const auto& seen : services)
    (is_dns(*seen.service) ? traits.dns : traits.eds).add(heeds_of(mesh, seen));
  return traits;
}

OutboundScope outbound_scope(const snapshot::SnapshotPtr& snapshot, const snapshot::ViewPtr& view,
                             const ViewTraits& traits, const Node& node,
                             const InboundScope& inbound) {
  OutboundScope scope;
  scope.snapshot = snapshot;
  scope.view = view;
  scope.captured = is_captured(node);
  scope.family = family_of(node);
  scope.on_loopback = has_own_loopback(node);
  scope.bind = scope.on_loopback ? node.address : localhost(scope.family);
  scope.taken_ports =
      scope.captured ? std::vector<std::uint32_t>(std::begin(proxy_ports), std::end(proxy_ports))
                     : taken_ports(inbound);
  scope.http_proxy_port =
      node.http_proxy_port != 0 ? node.http_proxy_port : snapshot->mesh().proxy_http_port;
  scope.transparent = node.interception == Node::Interception::tproxy;
  scope.lowest_port = lowest_port(node);
  if (view->source_labels_matter) scope.labels = labels_of(*snapshot, node);
  scope.vantage = vantage_of(*snapshot, node, traits.eds);
  scope.dns_vantage = vantage_of(*snapshot, node, traits.dns);
  scope.lane = lane_of(*snapshot, node);
  scope.manner = manner_of(*snapshot, node);
  // Listeners that are not ours ask for tables by the names that they know.
  scope.vhds = role_of(node) == Role::sidecar && takes_vhds(*snapshot, node);
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
  scope.family = family_of(node);
  scope.manner = manner_of(*snapshot, node);
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

snapshot::GatewayViewPtr gateway_view(const snapshot::Snapshot& snapshot, const Node& node) {
  return snapshot.gateway(node.namespace_, node.addresses, labels_of(snapshot, node));
}

GatewayScope gateway_scope(const snapshot::SnapshotPtr& snapshot,
                           const snapshot::GatewayViewPtr& view, const ViewTraits& traits,
                           const Node& node) {
  GatewayScope scope;
  scope.snapshot = snapshot;
  scope.view = view;
  scope.family = family_of(node);
  scope.on_loopback = has_own_loopback(node);
  scope.bind = scope.on_loopback ? node.address : any_address(scope.family);
  scope.lowest_port = lowest_port(node);
  scope.manner = manner_of(*snapshot, node);
  scope.vhds = takes_vhds(*snapshot, node);
  if (view->source_labels_matter) scope.labels = labels_of(*snapshot, node);
  scope.vantage = vantage_of(*snapshot, node, traits.eds);
  scope.dns_vantage = vantage_of(*snapshot, node, traits.dns);
  return scope;
}

std::string text_of(const Manner& manner) {
  std::string text;
  put(text, manner.tells_lanes ? "tells" : "");
  put(text, manner.counts_requests ? "counts" : "");
  put(text, manner.http10 ? "http10" : "");
  put(text, manner.idle_timeout ? std::to_string(manner.idle_timeout->count()) : "");
  return text;
}

std::string text_of(const OutboundScope& scope) {
  std::string text = scope.captured ? "captured|" : "bound|";
  put(text, any_address(scope.family));
  put(text, scope.view->namespace_);
  put(text,
      scope.view->sidecar ? scope.view->sidecar->namespace_ + "/" + scope.view->sidecar->name : "");
  put(text, scope.on_loopback ? "loopback" : "");
  put(text, std::to_string(scope.http_proxy_port));
  put(text, scope.vhds ? "vhds" : "");
  put(text, scope.dns_vantage);
  put(text, scope.labels);
  return text;
}

std::string listeners_text_of(const OutboundScope& scope) {
  std::string text = text_of(scope);
  put(text, scope.bind);
  put(text, std::to_string(scope.lowest_port));
  put(text, scope.transparent ? "transparent" : "");
  put(text, scope.lane);
  put(text, text_of(scope.manner));
  for (const std::uint32_t port : scope.taken_ports) put(text, std::to_string(port));
  return text;
}

std::string text_of(const InboundScope& scope) {
  std::string text = scope.captured ? "captured|" : "bound|";
  put(text, any_address(scope.family));
  put(text, scope.namespace_);
  put(text, std::to_string(scope.lowest_port));
  put(text, scope.transparent ? "transparent" : "");
  put(text, text_of(scope.manner));
  put(text, scope.address);
  put(text, scope.app_address);
  for (const auto& port : scope.ports) {
    put(text, port.service->namespace_);
    put(text, port.service->host);
    put(text, fmt::format("{}>{}", port.port, port.target_port));
  }
  return text;
}

std::string text_of(const Vantage& vantage) {
  std::string text;
  put(text, vantage);
  return text;
}

std::string text_of(const GatewayScope& scope) {
  std::string text;
  put(text, any_address(scope.family));
  put(text, scope.bind);
  put(text, std::to_string(scope.lowest_port));
  put(text, text_of(scope.manner));
  put(text, scope.vhds ? "vhds" : "");
  put(text, scope.dns_vantage);
  put(text, scope.view->namespace_);
  for (const auto& gateway : scope.view->gateways) put(text, model::to_string(gateway.origin));
  for (const auto& [from, to] : scope.view->target_ports) put(text, fmt::format("{}>{}", from, to));
  put(text, scope.labels);
  return text;
}

}  // namespace graymesh::translate
