#include "control/snapshot/endpoint.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>

#include "control/snapshot/warning.h"

namespace graymesh::snapshot {
namespace {

using Slices = std::unordered_map<std::string_view, std::vector<const model::Object*>>;

// IPv4 and IPv6 as the model has checked them, told apart from names.
bool is_ip(std::string_view address) {
  return address.find(':') != std::string_view::npos ||
         (!address.empty() && address.find_first_not_of("0123456789.") == std::string_view::npos);
}

bool is_unix(std::string_view address) { return address.starts_with("unix:"); }

enum class Readiness : std::uint8_t { ready, not_ready, draining, ended };

// The endpoints of one service while they come together.
class Gathering {
 public:
  Gathering(const Services& services, std::size_t index, Running& running)
      : service_(*services.services[index]), index_(index), running_(running) {
    gathered_.by_port.resize(service_.ports.size());
    seen_.resize(service_.ports.size());
  }

  const Service& service() const { return service_; }
  Running& running() { return running_; }

  bool keep_not_ready = false;  // publishNotReadyAddresses
  bool keep_unhealthy = false;  // the locality's distribution wants to know of them
  bool keep_draining = false;   // sessions must find their way back

  void offer(std::size_t port, const Endpoint& base, const std::string& address,
             std::uint32_t number, Readiness readiness) {
    if (!seen_[port].emplace(address, number).second) return;
    running_.by_address[address].push_back(
        {.service = index_, .port = port, .target_port = number});
    const auto health = health_of(base, readiness);
    if (!health) return;
    Endpoint endpoint = base;
    endpoint.address = address;
    endpoint.port = number;
    endpoint.health = *health;
    gathered_.by_port[port].push_back(std::move(endpoint));
  }

  Endpoints take() {
    for (auto& list : gathered_.by_port) {
      std::ranges::sort(list, {}, [](const Endpoint& endpoint) {
        return std::tie(endpoint.locality, endpoint.address, endpoint.port);
      });
    }
    return std::move(gathered_);
  }

 private:
  std::optional<Health> health_of(const Endpoint& base, Readiness readiness) const {
    const auto draining = base.labels.find("istio.io/draining");
    switch (readiness) {
      case Readiness::ready:
        return draining == base.labels.end() ? Health::healthy : Health::draining;
      case Readiness::not_ready:
        if (keep_not_ready) return Health::healthy;
        if (keep_unhealthy) return Health::unhealthy;
        return std::nullopt;
      case Readiness::draining:
        if (keep_not_ready) return Health::healthy;
        if (keep_draining) return Health::draining;
        return std::nullopt;
      case Readiness::ended:
        return std::nullopt;
    }
    return std::nullopt;
  }

  const Service& service_;
  std::size_t index_;
  Running& running_;
  Endpoints gathered_;
  std::vector<std::set<std::pair<std::string, std::uint32_t>>> seen_;
};

Readiness readiness_of(const model::SliceEndpoint& endpoint) {
  if (endpoint.ready) return Readiness::ready;
  if (!endpoint.terminating) return Readiness::not_ready;
  return endpoint.serving ? Readiness::draining : Readiness::ended;
}

// Where a service port leads on a workload; nothing if its named target port is not there.
std::optional<std::uint32_t> target_on(const Workload& workload, const Port& port) {
  if (port.target_port_name.empty()) return port.target_port;
  return workload.port_named(port.target_port_name);
}

// The pod or node behind an address of a slice.
class Behind {
 public:
  Behind(const Workloads& workloads, const Localities& localities)
      : workloads_(workloads), localities_(localities) {}

  // Null if the slice names a pod that is not there: Istio leaves the address out until it comes.
  // Where a namespace has no pods at all, they are not read here, and the address is taken as it
  // is.
  const Endpoint* of(const model::SliceEndpoint& endpoint, const std::string& address,
                     Endpoint& plain) const {
    if (!endpoint.pod.empty()) {
      if (const auto* pod = workloads_.pod(endpoint.pod)) return &pod->endpoint;
      if (workloads_.has_pods()) return nullptr;
    } else if (const auto* pod = workloads_.at(address); pod != nullptr && pod->pod() != nullptr) {
      return &pod->endpoint;
    }
    const auto node = localities_.find(endpoint.node);
    plain.locality = node == localities_.end() ? Locality{} : node->second;
    return &plain;
  }

 private:
  const Workloads& workloads_;
  const Localities& localities_;
};

void gather_slice(Gathering& gathering, const model::Object& object, const Localities& localities) {
  const auto& slice = object.as<model::EndpointSlice>();
  Running& running = gathering.running();
  if (slice.address_type == "FQDN") {
    running.problems.push_back(
        warning(object, {}, "addressType", "FQDN", "is not supported: the slice is left out"));
    return;
  }
  const Behind behind(*running.workloads, localities);
  const auto& ports = gathering.service().ports;
  Endpoint plain;
  plain.namespace_ = object.meta.key.namespace_;
  for (std::size_t i = 0; i < slice.endpoints.size(); ++i) {
    const auto& endpoint = slice.endpoints[i];
    for (const auto& address : endpoint.addresses) {
      const Endpoint* base = behind.of(endpoint, address, plain);
      if (base == nullptr) {
        running.problems.push_back(
            warning(object, {}, fmt::format("endpoints[{}].targetRef.name", i), endpoint.pod,
                    "names a pod that is not there: the endpoint is left out until it comes"));
        break;
      }
      for (const auto& port : slice.ports) {
        for (std::size_t p = 0; p < ports.size(); ++p) {
          if (ports[p].name != port.name) continue;
          const std::uint32_t number = port.port == 0 ? ports[p].target_port : port.port;
          gathering.offer(p, *base, address, number, readiness_of(endpoint));
        }
      }
    }
  }
}

bool is_endpoints(const model::Object* object) { return object->meta.api_kind == "Endpoints"; }

// Of a dual-stack pod, the addresses of the families that the service has.
bool family_wanted(const model::Service& spec, const Workload& pod, const std::string& address) {
  const bool v6 = address.find(':') != std::string::npos;
  const bool headless = spec.cluster_ips.empty() || spec.cluster_ips.front() == "None";
  if (headless) return address == pod.addresses.front();
  return std::ranges::any_of(spec.cluster_ips, [v6](const std::string& ip) {
    return (ip.find(':') != std::string::npos) == v6;
  });
}

void gather_selected_pods(Gathering& gathering, const model::Service& spec) {
  for (const Workload* workload : gathering.running().workloads->selected(spec.selector)) {
    const auto* pod = workload->pod();
    if (pod == nullptr || workload->gone) continue;
    const Readiness readiness = workload->ready    ? Readiness::ready
                                : pod->terminating ? Readiness::draining
                                                   : Readiness::not_ready;
    const auto& ports = gathering.service().ports;
    for (std::size_t p = 0; p < ports.size(); ++p) {
      const auto number = target_on(*workload, ports[p]);
      if (!number) continue;
      for (const auto& address : workload->addresses) {
        if (!family_wanted(spec, *workload, address)) continue;
        gathering.offer(p, workload->endpoint, address, *number, readiness);
      }
    }
  }
}

void gather_selected_entries(Gathering& gathering, const model::Labels& selector) {
  const auto& ports = gathering.service().ports;
  for (const Workload* workload : gathering.running().workloads->selected(selector)) {
    const auto* entry = workload->entry();
    if (entry == nullptr || !(is_ip(entry->address) || is_unix(entry->address))) continue;
    for (std::size_t p = 0; p < ports.size(); ++p) {
      const auto named = workload->port_named(ports[p].name);
      const std::uint32_t number =
          named.value_or(ports[p].target_port == 0 ? ports[p].number : ports[p].target_port);
      gathering.offer(p, workload->endpoint, entry->address, is_unix(entry->address) ? 0 : number,
                      Readiness::ready);
    }
  }
}

void gather_kubernetes(Gathering& gathering, const model::Object& object, const Slices& slices,
                       const Localities& localities) {
  const auto& spec = object.as<model::Service>();
  gathering.keep_not_ready = spec.publish_not_ready;
  gathering.keep_unhealthy =
      object.meta.annotations.contains("networking.istio.io/traffic-distribution");
  gathering.keep_draining = object.meta.labels.contains("istio.io/persistent-session");

  const auto at = slices.find(object.meta.key.name);
  if (at == slices.end()) {
    gather_selected_pods(gathering, spec);
  } else {
    // Kubernetes mirrors Endpoints into slices: where there are slices, Endpoints are said twice.
    const bool mirrored = !std::ranges::all_of(at->second, is_endpoints);
    for (const auto* slice : at->second) {
      if (!mirrored || !is_endpoints(slice)) gather_slice(gathering, *slice, localities);
    }
  }
  gather_selected_entries(gathering, spec.selector);
}

// An endpoint of a ServiceEntry, for each port of the entry.
void offer_entry(Gathering& gathering, const model::ServiceEntry& spec, const Endpoint& base,
                 const std::map<std::string, std::uint32_t>& numbers, Readiness readiness) {
  const Service& service = gathering.service();
  const bool over_dns =
      service.resolution == Resolution::dns || service.resolution == Resolution::dns_round_robin;
  if (!over_dns && !is_ip(base.address) && !is_unix(base.address)) return;
  for (const auto& port : spec.ports) {
    const auto p = static_cast<std::size_t>(
        std::ranges::find(service.ports, port.number, &Port::number) - service.ports.begin());
    if (p == service.ports.size()) continue;  // UDP
    const auto own = numbers.find(port.name);
    const std::uint32_t number = own != numbers.end() && own->second != 0 ? own->second
                                 : port.target_port != 0                  ? port.target_port
                                                                          : port.number;
    gathering.offer(p, base, base.address, is_unix(base.address) ? 0 : number, readiness);
  }
}

void gather_entry(Gathering& gathering, const model::Object& object) {
  const auto& spec = object.as<model::ServiceEntry>();
  const auto& namespace_ = object.meta.key.namespace_;
  for (const auto& endpoint : spec.endpoints) {
    offer_entry(gathering, spec, endpoint_of(endpoint, endpoint.labels, namespace_), endpoint.ports,
                Readiness::ready);
  }
  for (const Workload* workload : gathering.running().workloads->selected(spec.workload_selector)) {
    if (workload->gone || workload->endpoint.address.empty()) continue;
    static const std::map<std::string, std::uint32_t> none;
    const auto* entry = workload->entry();
    offer_entry(gathering, spec, workload->endpoint, entry == nullptr ? none : entry->ports,
                workload->ready ? Readiness::ready : Readiness::ended);
  }
  const Resolution resolution = gathering.service().resolution;
  if ((resolution == Resolution::dns || resolution == Resolution::dns_round_robin) &&
      spec.endpoints.empty() && spec.workload_selector.empty()) {
    Endpoint itself;
    itself.address = gathering.service().host;
    itself.namespace_ = namespace_;
    offer_entry(gathering, spec, itself, {}, Readiness::ready);
  }
}

}  // namespace

Running derive_running(const NamespaceObjects& objects, const Services& services,
                       const Localities& localities, WorkloadsPtr workloads, const Running* before,
                       const Services* services_before) {
  Running running(std::move(workloads));
  Slices slices;
  for (const auto& slice : objects.of(model::Kind::endpoint_slice)) {
    slices[slice->as<model::EndpointSlice>().service].push_back(slice.get());
  }
  for (std::size_t i = 0; i < services.services.size(); ++i) {
    Gathering gathering(services, i, running);
    for (const auto& source : services.sources[i]) {
      if (source->meta.key.kind == model::Kind::service) {
        gather_kubernetes(gathering, *source, slices, localities);
      } else {
        gather_entry(gathering, *source);
      }
    }
    EndpointsPtr known;
    if (before != nullptr && services_before != nullptr) {
      const std::size_t at = services_before->index_of(services.services[i]->host);
      if (at < before->endpoints.size()) known = before->endpoints[at];
    }
    running.endpoints.push_back(carry(known, gathering.take()));
  }
  return running;
}

}  // namespace graymesh::snapshot
