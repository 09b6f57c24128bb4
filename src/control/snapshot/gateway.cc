// What a gateway workload serves (docs/translation.md 6).

#include <algorithm>

#include "control/snapshot/view.h"

namespace graymesh::snapshot {
namespace {

// Gateways see every service that is visible to their namespace, whatever Sidecars say.
std::vector<SeenService> services_for(const Catalog& catalog, const Client& client) {
  std::vector<ServicePtr> services;
  for (const auto& service : catalog.services) {
    if (!service->visible.to(client.namespace_)) continue;
    if (services.empty() || services.back()->host != service->host) {
      services.push_back(service);
    } else if (preferred(*service, *services.back(), client.namespace_)) {
      services.back() = service;
    }
  }
  std::vector<SeenService> result;
  result.reserve(services.size());
  for (const auto& service : services) {
    result.push_back({.service = service,
                      .rule = select_rule(catalog.rule_indexes, catalog.mesh->root_namespace,
                                          client, *service)});
  }
  return result;
}

bool attached(const VirtualService& service, const std::vector<GatewayServers>& gateways) {
  return std::ranges::any_of(gateways, [&service](const GatewayServers& gateway) {
    return std::ranges::count(service.spec.gateways,
                              gateway.origin.namespace_ + '/' + gateway.origin.name) != 0;
  });
}

// Of tcp and tls routes a gateway does not ask who the client is.
bool asks_for_labels(const VirtualServicePtr& service) {
  return std::ranges::any_of(service->spec.http, [](const model::HttpRoute& http) {
    return std::ranges::any_of(
        http.match, [](const model::HttpMatch& match) { return !match.source_labels.empty(); });
  });
}

}  // namespace

std::vector<GatewayServers> select_gateways(const Catalog& catalog, const model::Labels& labels) {
  std::vector<GatewayServers> result;
  std::ranges::copy_if(catalog.gateways, std::back_inserter(result), [&](const auto& gateway) {
    return model::selects(gateway.spec->selector, labels);
  });
  return result;
}

GatewayView make_gateway_view(const Catalog& catalog, const Client& client,
                              std::vector<GatewayServers> gateways,
                              std::vector<std::pair<std::uint32_t, std::uint32_t>> target_ports,
                              Fragments& fragments) {
  GatewayView view;
  view.namespace_ = client.namespace_;
  for (const auto& service : catalog.virtual_services) {
    if (service->visible.to(client.namespace_) && attached(*service, gateways)) {
      view.virtual_services.push_back(service);
    }
  }
  sort_by_precedence(view.virtual_services, client.namespace_);
  view.virtual_services = fragments.merge(std::move(view.virtual_services), gateways);
  view.source_labels_matter = std::ranges::any_of(view.virtual_services, asks_for_labels);
  view.gateways = std::move(gateways);
  view.services = services_for(catalog, client);
  view.target_ports = std::move(target_ports);
  return view;
}

}  // namespace graymesh::snapshot
