#include "control/translate/proxyless.h"

#include "control/translate/cluster.h"
#include "control/translate/endpoint.h"
#include "control/translate/route_parts.h"
#include "control/translate/wire.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/config/route/v3/route.pb.h"
#include "envoy/extensions/filters/http/fault/v3/fault.pb.h"
#include "envoy/extensions/filters/http/router/v3/router.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"

namespace graymesh::translate {
namespace {

using envoy::config::listener::v3::Listener;
using envoy::config::route::v3::RouteConfiguration;
using envoy::config::route::v3::VirtualHost;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using resource::Resource;
using resource::Type;

constexpr const char* fault_filter = "envoy.filters.http.fault";

std::string table_name(const snapshot::Service& service, const snapshot::Port& port) {
  return outbound_cluster_name(port.number, "", service.host);
}

// What clients of this namespace may call the service.
std::vector<std::string> names_of(const snapshot::Service& service, const std::string& namespace_) {
  std::vector<std::string> names{service.host};
  if (!service.kubernetes) return names;
  const std::string with_namespace = service.name + "." + service.namespace_;
  names.push_back(with_namespace + ".svc");
  names.push_back(with_namespace);
  if (service.namespace_ == namespace_) names.push_back(service.name);
  return names;
}

void add_filter(const char* name, const google::protobuf::Message& config,
                HttpConnectionManager& out) {
  auto& filter = *out.add_http_filters();
  filter.set_name(name);
  pack(config, *filter.mutable_typed_config());
}

resource::ResourcePtr listener(const std::string& name, const snapshot::SeenService& seen,
                               const std::string& table) {
  HttpConnectionManager http;
  http.mutable_rds()->set_route_config_name(table);
  set_ads(*http.mutable_rds()->mutable_config_source());
  add_filter(fault_filter, envoy::extensions::filters::http::fault::v3::HTTPFault(), http);
  add_filter("envoy.filters.http.router", envoy::extensions::filters::http::router::v3::Router(),
             http);
  Listener out;
  out.set_name(name);
  pack(http, *out.mutable_api_listener()->mutable_api_listener());
  return std::make_shared<const Resource>(
      Type::listener, name, serialize(out),
      std::vector<std::string>{model::to_string(seen.service->origin)});
}

// The VirtualService that speaks of `host`: by its very name, else by the longest wildcard, of
// equals the first.
const snapshot::VirtualServicePtr* rule_for(const snapshot::Egress& egress, const std::string& host,
                                            const Place& place) {
  const snapshot::VirtualServicePtr* best = nullptr;
  std::size_t best_length = 0;
  for (const auto& rule : egress.virtual_services) {
    for (const auto& pattern : rule->spec.hosts) {
      if (!model::host_matches(pattern, host)) continue;
      const std::size_t length = pattern == host ? std::string::npos : pattern.size();
      if (best && length <= best_length) continue;
      if (!has_routes(*rule, place)) continue;
      best = &rule;
      best_length = length;
    }
  }
  return best;
}

// Filters that gRPC does not have would cost it the whole table.
template <typename Configs>
void keep_known_filters(Configs& configs) {
  for (auto it = configs.begin(); it != configs.end();) {
    if (it->first == fault_filter) {
      ++it;
    } else {
      it = configs.erase(it);
    }
  }
}

void fit_for_grpc(VirtualHost& host) {
  for (auto& route : *host.mutable_routes()) {
    keep_known_filters(*route.mutable_typed_per_filter_config());
    if (!route.has_route()) continue;
    auto& action = *route.mutable_route();
    // gRPC knows a timeout by this name alone.
    *action.mutable_max_stream_duration()->mutable_grpc_timeout_header_max() = action.timeout();
    if (!action.has_weighted_clusters()) continue;
    for (auto& cluster : *action.mutable_weighted_clusters()->mutable_clusters()) {
      keep_known_filters(*cluster.mutable_typed_per_filter_config());
    }
  }
}

resource::ResourcePtr route_table(const snapshot::SeenService& seen,
                                  const snapshot::VirtualServicePtr* rule, const Place& place,
                                  const std::string& name) {
  RouteConfiguration out;
  out.set_name(name);
  auto& host = *out.add_virtual_hosts();
  host.set_name(seen.service->host + ":" + std::to_string(place.port));
  host.add_domains("*");
  std::vector<std::string> origins;
  if (rule) {
    add_routes(**rule, place, host);
    origins.push_back(model::to_string((*rule)->origin));
    for (const auto& other : (*rule)->delegates) origins.push_back(model::to_string(other));
  } else {
    add_default_route(seen, place, host);
  }
  origins.push_back(model::to_string(seen.service->origin));
  fit_for_grpc(host);
  return std::make_shared<const Resource>(Type::route, name, serialize(out), std::move(origins));
}

}  // namespace

Resources proxyless_clusters(const OutboundScope& scope, Memo& memo) {
  return service_clusters(*scope.snapshot, scope.view->services, Client::proxyless, scope.family,
                          false, scope.dns_vantage, memo);
}

Resources proxyless_listeners(const OutboundScope& scope, Memo& memo) {
  Resources out;
  for (const auto& egress : scope.view->egress) {
    for (const auto& seen : egress.services) {
      const auto made = memo.bundle(
          MemoKey("proxyless listeners").add(seen.service).add(scope.view->namespace_), [&] {
            Resources listeners;
            for (const auto& name : names_of(*seen.service, scope.view->namespace_)) {
              for (const auto& port : seen.service->ports) {
                listeners.push_back(listener(name + ":" + std::to_string(port.number), seen,
                                             table_name(*seen.service, port)));
              }
            }
            return listeners;
          });
      out.insert(out.end(), made->begin(), made->end());
    }
  }
  return out;
}

Resources proxyless_routes(const OutboundScope& scope, Memo& memo) {
  Resources out;
  const Lookup services(scope.view->services);
  for (const auto& egress : scope.view->egress) {
    for (const auto& seen : egress.services) {
      for (const auto& port : seen.service->ports) {
        const Place place{.mesh = scope.snapshot->mesh_ptr(),
                          .services = services,
                          .namespace_ = scope.view->namespace_,
                          .labels = scope.labels,
                          .port = port.number};
        const std::string name = table_name(*seen.service, port);
        const auto* rule = rule_for(egress, seen.service->host, place);
        MemoKey key("proxyless routes");
        key.add(seen.service).add(port.number);
        if (rule) {
          add_inputs(*rule, place, key);
        } else {
          add_inputs(seen, place, key);
        }
        out.push_back(
            memo.resource(std::move(key), [&] { return route_table(seen, rule, place, name); }));
      }
    }
  }
  return out;
}

}  // namespace graymesh::translate
