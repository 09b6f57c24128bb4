#include "control/snapshot/view.h"

#include <algorithm>
#include <map>
#include <optional>

#include "control/snapshot/egress.h"
#include "control/snapshot/virtual_service.h"

namespace graymesh::snapshot {
namespace {

// A service as a listener sees it.
struct Import {
  ServicePtr service;
  std::vector<std::uint32_t> ports;  // empty: all
  std::vector<std::string> aliases;
};

const model::EgressListener& everything() {
  static const model::EgressListener listener = [] {
    model::EgressListener all;
    all.hosts = {"*/*"};
    return all;
  }();
  return listener;
}

// A listener with a port sees services with this port, and of them nothing else; one that is an
// HTTP proxy sees all ports through its own.
std::uint32_t only_port(const model::EgressListener& listener) {
  if (!listener.port || protocol_named(listener.port->protocol) == Protocol::http_proxy) return 0;
  return listener.port->number;
}

bool looks_at_source_labels(const model::VirtualService& spec) {
  const auto asks = [](const auto& route) {
    return std::ranges::any_of(route.match,
                               [](const auto& match) { return !match.source_labels.empty(); });
  };
  return std::ranges::any_of(spec.http, asks) || std::ranges::any_of(spec.tcp, asks) ||
         std::ranges::any_of(spec.tls, asks);
}

// Whether clients in this namespace can take the route at all.
bool open_to(const model::HttpRoute& http, std::string_view namespace_) {
  bool restricted = false;
  for (const auto& match : http.match) {
    if (match.source_namespace == namespace_) return true;
    restricted = restricted || !match.source_namespace.empty();
  }
  return !restricted;
}

// Destination hosts with their ports; port 0 means every port.
using Destinations = std::map<std::string_view, std::vector<std::uint32_t>>;

Destinations destinations_of(const model::VirtualService& spec, std::string_view namespace_) {
  Destinations result;
  each_destination(spec, [&](const model::Destination& destination, const model::HttpRoute* http) {
    if (http != nullptr && !open_to(*http, namespace_)) return;
    auto& ports = result[destination.host];
    if (std::ranges::count(ports, destination.port) == 0) ports.push_back(destination.port);
  });
  return result;
}

// Puts a View together.
class Builder {
 public:
  Builder(const Catalog& catalog, const Client& client, Reductions& reductions,
          Fragments& fragments)
      : catalog_(catalog), client_(client), reductions_(reductions), fragments_(fragments) {}

  Egress egress(const model::EgressListener& listener) {
    const EgressHosts hosts(listener.hosts, client_.namespace_);
    Egress result{.port = listener.port,
                  .bind = listener.bind,
                  .capture_mode = listener.capture_mode,
                  .services = {},
                  .virtual_services = virtual_services(hosts)};
    const std::uint32_t port = only_port(listener);
    const std::vector<Import> imports = imported(hosts, port);
    result.services.reserve(imports.size());
    for (const Import& import : imports) {
      result.services.push_back(seen(import));
      append(import);
    }
    for (const auto& service : result.virtual_services) append_destinations(service->spec, port);
    return result;
  }

  // The services of all listeners made so far.
  std::vector<SeenService> services() {
    std::vector<SeenService> result;
    result.reserve(all_.size());
    for (const auto& [host, import] : all_) result.push_back(seen(import));
    return result;
  }

 private:
  std::vector<VirtualServicePtr> virtual_services(const EgressHosts& hosts) {
    std::vector<VirtualServicePtr> result;
    for (const auto& service : catalog_.virtual_services) {
      if (std::ranges::count(service->spec.gateways, "mesh") == 0) continue;
      if (!service->visible.to(client_.namespace_)) continue;
      const bool wanted = std::ranges::any_of(service->spec.hosts, [&](const std::string& host) {
        return hosts.import_virtual_service(host, service->origin.namespace_);
      });
      if (wanted) result.push_back(service);
    }
    sort_by_precedence(result, client_.namespace_);
    return fragments_.merge(std::move(result));
  }

  // One for each host, sorted by host.
  std::vector<Import> imported(const EgressHosts& hosts, std::uint32_t port) const {
    std::vector<Import> result;
    for (const auto& service : catalog_.services) {
      if (!service->visible.to(client_.namespace_)) continue;
      if (!hosts.import_service(service->host, service->namespace_)) continue;
      if (port != 0 && std::ranges::count(service->ports, port, &Port::number) == 0) continue;
      Import import{.service = service,
                    .ports = port == 0 ? std::vector<std::uint32_t>{} : std::vector{port},
                    .aliases = service->aliases};
      if (!service->aliases.empty()) {
        import.aliases = hosts.import_aliases(service->aliases, service->host, service->namespace_);
      }
      if (result.empty() || result.back().service->host != service->host) {
        result.push_back(std::move(import));
      } else if (preferred(*service, *result.back().service, client_.namespace_)) {
        result.back() = std::move(import);
      }
    }
    return result;
  }

  // Adds to the services of all listeners. A Kubernetes Service takes the place of a ServiceEntry;
  // otherwise the first stays, with the ports that any listener sees.
  void append(const Import& import) {
    const auto [at, fresh] = all_.try_emplace(import.service->host, import);
    if (fresh) return;
    Import& known = at->second;
    if (known.service != import.service) {
      if (import.service->kubernetes && !known.service->kubernetes) known = import;
      return;
    }
    if (known.ports.empty()) return;
    if (import.ports.empty()) {
      known.ports.clear();
      return;
    }
    for (const std::uint32_t port : import.ports) {
      if (std::ranges::count(known.ports, port) == 0) known.ports.push_back(port);
    }
  }

  // Services that a seen VirtualService leads to have clusters, imported or not.
  void append_destinations(const model::VirtualService& spec, std::uint32_t port) {
    for (auto& [host, ports] : destinations_of(spec, client_.namespace_)) {
      const auto known = all_.find(host);
      if (known != all_.end() && known->second.ports.empty()) continue;
      const ServicePtr service = destination(host);
      if (!service) continue;
      std::vector<std::uint32_t> wanted;
      if (port != 0 || std::ranges::count(ports, 0U) == 0) {
        for (const Port& own : service->ports) {
          const bool named =
              port != 0 ? own.number == port : std::ranges::count(ports, own.number) != 0;
          if (named) wanted.push_back(own.number);
        }
        if (wanted.empty()) continue;
      }
      append({.service = service, .ports = std::move(wanted), .aliases = service->aliases});
    }
  }

  ServicePtr destination(std::string_view host) const {
    ServicePtr result;
    for (auto at = catalog_.first_of(host); at != catalog_.services.end() && (*at)->host == host;
         ++at) {
      if ((*at)->namespace_ == client_.namespace_) return *at;
      if (!(*at)->visible.to(client_.namespace_)) continue;
      if (!result || goes_before(**at, *result)) result = *at;
    }
    return result;
  }

  SeenService seen(const Import& import) {
    return {.service = reductions_.reduce(import.service, import.ports, import.aliases),
            .rule = select_rule(catalog_.rule_indexes, catalog_.mesh->root_namespace, client_,
                                *import.service)};
  }

  const Catalog& catalog_;
  const Client client_;
  Reductions& reductions_;
  Fragments& fragments_;
  std::map<std::string_view, Import> all_;
};

}  // namespace

bool preferred(const Service& a, const Service& b, std::string_view namespace_) {
  const bool a_own = a.namespace_ == namespace_;
  const bool b_own = b.namespace_ == namespace_;
  return a_own != b_own ? a_own : goes_before(a, b);
}

void sort_by_precedence(std::vector<VirtualServicePtr>& services, std::string_view namespace_) {
  std::ranges::stable_sort(services, {}, [namespace_](const VirtualServicePtr& service) {
    if (service->visible.everywhere) return 2;
    return service->origin.namespace_ == namespace_ ? 0 : 1;
  });
}

const SidecarObject* select_sidecar(const Catalog& catalog, std::string_view namespace_,
                                    const model::Labels& labels) {
  if (const auto own = catalog.namespaces.find(namespace_); own != catalog.namespaces.end()) {
    for (const auto& sidecar : own->second->sidecars) {
      if (model::selects(sidecar.spec->workload_selector, labels)) return &sidecar;
    }
  }
  const auto root = catalog.namespaces.find(catalog.mesh->root_namespace);
  if (root == catalog.namespaces.end()) return nullptr;
  for (const auto& sidecar : root->second->sidecars) {
    if (sidecar.spec->workload_selector.empty()) return &sidecar;
  }
  return nullptr;
}

View make_view(const Catalog& catalog, const Client& client, const SidecarObject* sidecar,
               Reductions& reductions, Fragments& fragments) {
  View view;
  view.namespace_ = client.namespace_;
  view.outbound_traffic = catalog.mesh->outbound_traffic;
  Builder builder(catalog, client, reductions, fragments);
  if (sidecar != nullptr) {
    view.sidecar = sidecar->origin;
    view.sidecar_spec = sidecar->spec;
    view.outbound_traffic = sidecar->spec->outbound_traffic.value_or(view.outbound_traffic);
    for (const auto& listener : sidecar->spec->egress) {
      view.egress.push_back(builder.egress(listener));
    }
  }
  if (view.egress.empty()) view.egress.push_back(builder.egress(everything()));
  view.services = builder.services();
  view.source_labels_matter = std::ranges::any_of(view.egress, [](const Egress& egress) {
    return std::ranges::any_of(egress.virtual_services, [](const VirtualServicePtr& service) {
      return looks_at_source_labels(service->spec);
    });
  });
  return view;
}

}  // namespace graymesh::snapshot
