// Clusters to other services: one for every port of every service in scope, and one for every
// subset of it (docs/translation.md 2).
//
// They are made and remembered service by service: a service that kept its address in the Snapshot,
// with a rule that kept its own, has kept its clusters.
#include "control/translate/cluster.h"

#include <algorithm>

#include "control/translate/endpoint.h"
#include "control/translate/ip.h"
#include "control/translate/parts.h"
#include "control/translate/vantage.h"
#include "control/translate/wire.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h"

namespace graymesh::translate {
namespace {

using envoy::config::cluster::v3::Cluster;
using resource::Resource;
using resource::ResourcePtr;
using resource::Type;

void set_metadata(const snapshot::SeenService& seen, const model::Subset* subset,
                  const Policy& policy, Cluster& out) {
  add_service_metadata(*seen.service, out);
  auto& istio = *(*out.mutable_metadata()->mutable_filter_metadata())["istio"].mutable_fields();
  if (seen.rule && !seen.rule->origins.empty())
    set_config_metadata(*out.mutable_metadata(), seen.rule->origins.front());
  if (subset) istio["subset"].set_string_value(subset->name);
  if (seen.service->external) istio["external"].set_bool_value(true);
  using Mode = model::ClientTls::Mode;
  if (policy.tls && (policy.tls->mode == Mode::simple || policy.tls->mode == Mode::mutual)) {
    istio["alpn_override"].set_string_value("false");
  }
}

void set_eds(Cluster& out) {
  out.set_type(Cluster::EDS);
  out.mutable_eds_cluster_config()->set_service_name(out.name());
  set_ads(*out.mutable_eds_cluster_config()->mutable_eds_config());
}

// As istiod: the record's own time to live, and a minute after a failure. Envoy moves these
// settings to an extension of their own, and takes them here as well.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
void set_dns(Family family, Cluster& out) {
  out.set_dns_lookup_family(family == Family::v6 ? Cluster::V6_ONLY : Cluster::V4_ONLY);
  out.set_respect_dns_ttl(true);
  set_duration(*out.mutable_dns_refresh_rate(), std::chrono::seconds(60));
}
#pragma GCC diagnostic pop

// False if the cluster cannot be: DNS has nothing to ask for.
bool set_discovery(const ClusterInput& input, const AssignmentInput& assignment, Family family,
                   Cluster& out) {
  const Discovery discovery = discovery_of(input.client, input.service, input.policy);
  switch (discovery) {
    case Discovery::eds:
      set_eds(out);
      return true;
    case Discovery::original_dst:
      out.set_type(Cluster::ORIGINAL_DST);
      out.set_lb_policy(Cluster::CLUSTER_PROVIDED);
      if (input.port.target_port != 0 && input.port.target_port != input.port.number &&
          !input.service.kubernetes) {
        out.mutable_original_dst_lb_config()->mutable_upstream_port_override()->set_value(
            input.port.target_port);
      }
      return true;
    case Discovery::strict_dns:
    case Discovery::logical_dns:
      break;
  }
  // gRPC knows DNS for a single name only.
  const bool single = discovery == Discovery::logical_dns || input.client == Client::proxyless;
  out.set_type(single ? Cluster::LOGICAL_DNS : Cluster::STRICT_DNS);
  const std::size_t endpoints = set_assignment(assignment, *out.mutable_load_assignment());
  if (endpoints == 0 || (single && endpoints > 1)) return false;
  set_dns(family, out);
  return true;
}

constexpr const char* any_source = "0.0.0.0";

// How connections to one service leave a proxy that has a loopback address of its own.
enum class Source : std::uint8_t {
  kept,      // the bootstrap's
  loopback,  // the bootstrap's, which is on loopback, as are all endpoints
  any,       // the bootstrap's is on loopback, and some endpoint is not
};

// The version that a subset selects, as statistics tell it: who wrote the rule may have called the
// subset of canarytag `feature-a` `v2`, and the baseline `v1`. Subsets of one version count in one.
std::string_view version_of(const model::Subset& subset) {
  const auto label = [&](std::string_view name) {
    const auto found = subset.labels.find(name);
    return found == subset.labels.end() ? std::string_view() : std::string_view(found->second);
  };
  if (label("stage") == "normal") return "baseline";
  const std::string_view tag = label("canarytag");
  return tag.empty() ? std::string_view(subset.name) : tag;
}

std::vector<std::string> origins_of(const snapshot::SeenService& seen) {
  std::vector<std::string> origins;
  if (seen.rule) {
    for (const auto& key : seen.rule->origins) origins.push_back(model::to_string(key));
  }
  origins.push_back(model::to_string(seen.service->origin));
  return origins;
}

ResourcePtr service_cluster(Client client, Family family, Source source,
                            const model::MeshConfig& mesh, const snapshot::SeenService& seen,
                            const std::vector<snapshot::Endpoint>& endpoints,
                            const Vantage& vantage, std::size_t index,
                            const model::Subset* subset) {
  const snapshot::Service& service = *seen.service;
  const snapshot::Port& port = service.ports[index];
  ClusterInput input{
      .client = client,
      .mesh = mesh,
      .service = service,
      .port = port,
      .policy = policy_for(seen.rule ? &seen.rule->spec : nullptr, port.number, subset)};
  input.falls_back = client != Client::proxyless &&
                     discovery_of(client, service, input.policy) == Discovery::eds &&
                     fallback_of(seen.rule ? &seen.rule->spec : nullptr, subset) != nullptr;
  const std::string name =
      outbound_cluster_name(port.number, subset ? subset->name : "", service.host);
  Cluster out;
  set_common(mesh, name, out);
  if (subset)
    set_stat_name(outbound_cluster_name(port.number, version_of(*subset), service.host), out);
  out.mutable_common_lb_config();
  set_load_balancing(input, out);
  const AssignmentInput assignment{.cluster = name,
                                   .endpoints = endpoints,
                                   .subset = subset,
                                   .vantage = vantage,
                                   .rule = locality_rule(mesh, service, input.policy)};
  if (!set_discovery(input, assignment, family, out)) return nullptr;
  const bool anywhere = source == Source::loopback && out.type() == Cluster::ORIGINAL_DST;
  if (anywhere || source == Source::any) set_source(any_source, out);
  if (out.lb_policy() == Cluster::CLUSTER_PROVIDED) out.clear_common_lb_config();
  set_connection_pool(input, out);
  if (client != Client::proxyless) {
    set_outlier_detection(input, out);
    set_transport(input, out);
  } else {
    out.clear_typed_extension_protocol_options();
  }
  set_metadata(seen, subset, input.policy, out);
  return std::make_shared<const Resource>(Type::cluster, name, serialize(out), origins_of(seen));
}

// A cluster whose type and lb_policy are STATIC without endpoints: it answers 503 to everyone.
ResourcePtr black_hole(const model::MeshConfig& mesh) {
  Cluster out;
  set_common(mesh, "BlackHoleCluster", out);
  out.set_type(Cluster::STATIC);
  return std::make_shared<const Resource>(Type::cluster, out.name(), serialize(out));
}

ResourcePtr passthrough(const model::MeshConfig& mesh, bool on_loopback) {
  Cluster out;
  set_common(mesh, "PassthroughCluster", out);
  set_original_destination(out);
  if (on_loopback) set_source(any_source, out);
  return std::make_shared<const Resource>(Type::cluster, out.name(), serialize(out));
}

void add_black_hole(const snapshot::Snapshot& snapshot, Memo& memo, Memo::Resources& out) {
  out.push_back(memo.resource(MemoKey("BlackHoleCluster").add(snapshot.mesh_ptr()),
                              [&] { return black_hole(snapshot.mesh()); }));
}

}  // namespace

void set_original_destination(Cluster& out) {
  out.set_type(Cluster::ORIGINAL_DST);
  out.set_lb_policy(Cluster::CLUSTER_PROVIDED);
  auto& thresholds = *out.mutable_circuit_breakers()->add_thresholds();
  thresholds.mutable_max_connections()->set_value(no_limit);
  thresholds.mutable_max_pending_requests()->set_value(no_limit);
  thresholds.mutable_max_requests()->set_value(no_limit);
  thresholds.mutable_max_retries()->set_value(no_limit);
  envoy::extensions::upstreams::http::v3::HttpProtocolOptions options;
  set_duration(*options.mutable_common_http_protocol_options()->mutable_idle_timeout(),
               std::chrono::seconds(300));
  options.mutable_use_downstream_protocol_config()->mutable_http_protocol_options();
  options.mutable_use_downstream_protocol_config()->mutable_http2_protocol_options();
  pack(options, (*out.mutable_typed_extension_protocol_options())
                    ["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]);
}

bool leaves_loopback(const snapshot::Endpoints& endpoints) {
  const auto beyond = [](const snapshot::Endpoint& endpoint) {
    return !is_loopback(endpoint.address) && !endpoint.address.starts_with("unix:");
  };
  return std::ranges::any_of(endpoints.by_port,
                             [&](const auto& port) { return std::ranges::any_of(port, beyond); });
}

void set_source(std::string_view address, Cluster& out) {
  auto& source = *out.mutable_upstream_bind_config()->mutable_source_address();
  source.set_address(std::string(address));
  source.set_port_value(0);
}

void add_service_metadata(const snapshot::Service& service, Cluster& out) {
  auto& istio = *(*out.mutable_metadata()->mutable_filter_metadata())["istio"].mutable_fields();
  auto& entry = *istio["services"]
                     .mutable_list_value()
                     ->add_values()
                     ->mutable_struct_value()
                     ->mutable_fields();
  entry["host"].set_string_value(service.host);
  entry["name"].set_string_value(service.name);
  entry["namespace"].set_string_value(service.namespace_);
}

Memo::Resources service_clusters(const snapshot::Snapshot& snapshot,
                                 const std::vector<snapshot::SeenService>& services, Client client,
                                 Family family, bool on_loopback, const Vantage& vantage,
                                 Memo& memo) {
  const model::MeshConfig& mesh = snapshot.mesh();
  Memo::Resources out;
  for (const auto& seen : services) {
    const bool dns = is_dns(*seen.service);
    Source source = Source::kept;
    if (on_loopback) {
      const auto all = snapshot.endpoints(*seen.service);
      source = all && leaves_loopback(*all) ? Source::any : Source::loopback;
    }
    MemoKey key("clusters");
    key.add(static_cast<std::uint64_t>(client))
        .add(static_cast<std::uint64_t>(source))
        .add(snapshot.mesh_ptr())
        .add(seen.service)
        .add(seen.rule);
    // Where the endpoints are found by DNS, they and their priorities are part of the cluster.
    snapshot::EndpointsPtr endpoints;
    if (dns) {
      endpoints = snapshot.endpoints(*seen.service);
      key.add(endpoints).add(text_of(vantage, heeds_of(mesh, seen))).add(any_address(family));
    }
    const auto clusters = memo.bundle(std::move(key), [&] {
      static const std::vector<snapshot::Endpoint> none;
      Memo::Resources made;
      for_each_cluster(seen, [&](std::size_t port, const model::Subset* subset) {
        const auto& own =
            endpoints && port < endpoints->by_port.size() ? endpoints->by_port[port] : none;
        if (auto cluster =
                service_cluster(client, family, source, mesh, seen, own, vantage, port, subset))
          made.push_back(cluster);
      });
      return made;
    });
    out.insert(out.end(), clusters->begin(), clusters->end());
  }
  return out;
}

Resources outbound_clusters(const OutboundScope& scope, Memo& memo) {
  const snapshot::Snapshot& snapshot = *scope.snapshot;
  auto out = service_clusters(snapshot, scope.view->services,
                              scope.captured ? Client::captured : Client::bound, scope.family,
                              scope.on_loopback, scope.dns_vantage, memo);
  add_black_hole(snapshot, memo, out);
  // Without a redirect there is no original destination to pass through to.
  if (!scope.captured) return out;
  MemoKey key("PassthroughCluster");
  key.add(snapshot.mesh_ptr()).add(static_cast<std::uint64_t>(scope.on_loopback));
  out.push_back(memo.resource(std::move(key),
                              [&] { return passthrough(snapshot.mesh(), scope.on_loopback); }));
  return out;
}

Resources gateway_clusters(const GatewayScope& scope, Memo& memo) {
  auto out = service_clusters(*scope.snapshot, scope.view->services, Client::gateway, scope.family,
                              scope.on_loopback, scope.dns_vantage, memo);
  add_black_hole(*scope.snapshot, memo, out);
  return out;
}

}  // namespace graymesh::translate
