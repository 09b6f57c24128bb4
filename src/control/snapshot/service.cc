#include "control/snapshot/service.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "control/snapshot/visibility.h"
#include "control/snapshot/warning.h"
#include "control/snapshot/workload.h"

namespace graymesh::snapshot {
namespace {

// A host on its way into the list.
struct Draft {
  Service service;
  std::vector<model::ObjectPtr> sources;
};
using Drafts = std::map<std::string, Draft>;

std::vector<Port> ports_of(const model::Service& spec) {
  std::vector<Port> ports;
  for (const auto& port : spec.ports) {
    const Protocol protocol = protocol_of(port);
    if (protocol == Protocol::udp) continue;
    const bool by_name = port.target_port == 0 && !port.target_port_name.empty();
    ports.push_back({.name = port.name,
                     .number = port.port,
                     .protocol = protocol,
                     .target_port = by_name                 ? 0
                                    : port.target_port == 0 ? port.port
                                                            : port.target_port,
                     .target_port_name = by_name ? port.target_port_name : ""});
  }
  return ports;
}

// What all services of a namespace have in common.
struct Setting {
  const model::MeshConfig& mesh;
  model::TrafficDistribution distribution;
};

Service kubernetes_service(const model::Object& object, const Setting& setting) {
  const auto& spec = object.as<model::Service>();
  const auto& key = object.meta.key;
  const auto exported = object.meta.annotations.find("networking.istio.io/exportTo");
  const bool headless = spec.headless();
  return {.host = model::full_host(key.name, key.namespace_),
          .name = key.name,
          .namespace_ = key.namespace_,
          .addresses = headless ? std::vector<std::string>{} : spec.cluster_ips,
          .ports = ports_of(spec),
          .resolution = headless ? Resolution::passthrough : Resolution::endpoints,
          .kubernetes = true,
          .headless = headless,
          .external = false,
          .node_local = spec.node_local,
          .distribution = spec.distribution.value_or(setting.distribution),
          .visible = visibility_of(exported == object.meta.annotations.end()
                                       ? std::vector<std::string>{}
                                       : comma_list(exported->second),
                                   key.namespace_, setting.mesh.default_service_export_to),
          .selector = spec.selector,
          .aliases = {},
          .subject_alt_names = {},
          .origin = key,
          .created = object.meta.created};
}

std::optional<Resolution> resolution_of(model::ServiceEntry::Resolution resolution) {
  switch (resolution) {
    case model::ServiceEntry::Resolution::none:
      return Resolution::passthrough;
    case model::ServiceEntry::Resolution::static_:
      return Resolution::endpoints;
    case model::ServiceEntry::Resolution::dns:
      return Resolution::dns;
    case model::ServiceEntry::Resolution::dns_round_robin:
      return Resolution::dns_round_robin;
    case model::ServiceEntry::Resolution::dynamic_dns:
      return std::nullopt;
  }
  return std::nullopt;
}

Service entry_service(const model::Object& object, const std::string& host, Resolution resolution,
                      const Setting& setting) {
  const auto& spec = object.as<model::ServiceEntry>();
  const auto& key = object.meta.key;
  std::vector<Port> ports;
  for (const auto& port : spec.ports) {
    const Protocol protocol = protocol_named(port.protocol);
    if (protocol == Protocol::udp) continue;
    ports.push_back({.name = port.name,
                     .number = port.number,
                     .protocol = protocol,
                     .target_port = port.target_port == 0 ? port.number : port.target_port,
                     .target_port_name = ""});
  }
  return {.host = host,
          .name = host,
          .namespace_ = key.namespace_,
          .addresses = spec.addresses,
          .ports = std::move(ports),
          .resolution = resolution,
          .kubernetes = false,
          .headless = false,
          .external = spec.location == model::ServiceEntry::Location::mesh_external,
          .node_local = false,
          .distribution = spec.distribution.value_or(setting.distribution),
          .visible =
              visibility_of(spec.export_to, key.namespace_, setting.mesh.default_service_export_to),
          .selector = spec.workload_selector,
          .aliases = {},
          .subject_alt_names = spec.subject_alt_names,
          .origin = key,
          .created = object.meta.created};
}

// Istio unites services of one host only if they agree in all this.
bool unites(const Service& a, const Service& b) {
  return a.resolution == b.resolution && a.external == b.external && a.visible == b.visible &&
         a.selector == b.selector;
}

void unite(Draft& draft, const Service& other, const model::ObjectPtr& source) {
  Service& service = draft.service;
  for (const Port& port : other.ports) {
    if (std::ranges::count(service.ports, port.number, &Port::number) == 0) {
      service.ports.push_back(port);
    }
  }
  for (const auto& address : other.addresses) {
    if (std::ranges::count(service.addresses, address) == 0) service.addresses.push_back(address);
  }
  for (const auto& name : other.subject_alt_names) {
    if (std::ranges::count(service.subject_alt_names, name) == 0) {
      service.subject_alt_names.push_back(name);
    }
  }
  draft.sources.push_back(source);
}

void add_kubernetes(const NamespaceObjects& objects, const Setting& setting, Drafts& drafts,
                    std::vector<Alias>& aliases) {
  for (const auto& object : objects.of(model::Kind::service)) {
    const auto& spec = object->as<model::Service>();
    if (spec.type == "ExternalName") {
      const auto& key = object->meta.key;
      if (spec.external_name.empty()) continue;
      aliases.push_back({.host = model::full_host(key.name, key.namespace_),
                         .target = spec.external_name,
                         .origin = key});
      continue;
    }
    Service service = kubernetes_service(*object, setting);
    std::string host = service.host;
    drafts.emplace(std::move(host), Draft{std::move(service), {object}});
  }
}

void add_entry(const model::ObjectPtr& object, const Setting& setting, Drafts& drafts,
               std::vector<model::Problem>& problems) {
  const auto& spec = object->as<model::ServiceEntry>();
  const auto resolution = resolution_of(spec.resolution);
  if (!resolution) {
    problems.push_back(warning(*object, {}, "spec.resolution", "DYNAMIC_DNS",
                               "is not supported yet: the hosts are left out"));
    return;
  }
  for (std::size_t i = 0; i < spec.hosts.size(); ++i) {
    Service service = entry_service(*object, spec.hosts[i], *resolution, setting);
    const auto at = drafts.find(spec.hosts[i]);
    if (at == drafts.end()) {
      drafts.emplace(spec.hosts[i], Draft{std::move(service), {object}});
    } else if (!at->second.service.kubernetes && unites(at->second.service, service)) {
      unite(at->second, service, object);
    } else {
      problems.push_back(warning(
          *object, {}, fmt::format("spec.hosts[{}]", i), spec.hosts[i],
          fmt::format("is already {}, which goes before", place_of(*at->second.sources.front()))));
    }
  }
}

}  // namespace

std::size_t Services::index_of(std::string_view host) const {
  const auto at = std::ranges::lower_bound(
      services, host, {},
      [](const ServicePtr& service) -> std::string_view { return service->host; });
  return at != services.end() && (*at)->host == host
             ? static_cast<std::size_t>(at - services.begin())
             : services.size();
}

Services derive_services(const NamespaceObjects& objects, const model::MeshConfig& mesh,
                         model::TrafficDistribution distribution, const Services* before) {
  Services result;
  Drafts drafts;
  const Setting setting{.mesh = mesh, .distribution = distribution};
  add_kubernetes(objects, setting, drafts, result.aliases);

  std::vector<model::ObjectPtr> entries = objects.of(model::Kind::service_entry);
  std::ranges::stable_sort(entries, {}, [](const auto& entry) { return entry->meta.created; });
  for (const auto& entry : entries) add_entry(entry, setting, drafts, result.problems);

  for (auto& [host, draft] : drafts) {
    const std::size_t at = before == nullptr ? 0 : before->index_of(host);
    const bool known = before != nullptr && at < before->services.size();
    result.services.push_back(
        carry(known ? before->services[at] : nullptr, std::move(draft.service)));
    result.sources.push_back(std::move(draft.sources));
  }
  std::ranges::sort(result.aliases, {}, &Alias::host);
  return result;
}

SelectorIndex::SelectorIndex(const std::vector<ServicePtr>& services) : services_(services) {
  for (std::size_t i = 0; i < services.size(); ++i) {
    const auto& selector = services[i]->selector;
    if (selector.empty()) continue;
    const auto& [key, value] = *selector.begin();
    by_label_[label_pair(key, value)].push_back(i);
  }
}

std::vector<std::size_t> SelectorIndex::selecting(const model::Labels& labels) const {
  std::vector<std::size_t> result;
  for (const auto& [key, value] : labels) {
    const auto at = by_label_.find(label_pair(key, value));
    if (at == by_label_.end()) continue;
    for (const std::size_t i : at->second) {
      if (model::selects(services_[i]->selector, labels)) result.push_back(i);
    }
  }
  std::ranges::sort(result);
  return result;
}

}  // namespace graymesh::snapshot
