#include "control/snapshot/endpoint.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>

#include "control/snapshot/warning.h"

namespace graymesh::snapshot {
namespace {

using Slices = std::unordered_map<std::string_view, std::vector<model::ObjectPtr>>;  // by service

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
  Gathering(const Services& services, std::size_t index, const Workloads& workloads)
      : service_(*services.services[index]), index_(index), workloads_(workloads) {
    gathered_.by_port.resize(service_.ports.size());
    seen_.resize(service_.ports.size());
  }

  const Service& service() const { return service_; }
  const Workloads& workloads() const { return workloads_; }
  void tell(model::Problem problem) { answer_.problems.push_back(std::move(problem)); }

  bool keep_not_ready = false;  // publishNotReadyAddresses
  bool keep_unhealthy = false;  // others take over by how many there are
  bool keep_draining = false;   // sessions must find their way back

  void offer(std::size_t port, const Endpoint& base, const std::string& address,
             std::uint32_t number, Readiness readiness) {
    if (!seen_[port].emplace(address, number).second) return;
    answer_.served.emplace_back(address,
                                Served{.service = index_, .port = port, .target_port = number});
    const auto health = health_of(base, readiness);
    if (!health) return;
    Endpoint endpoint = base;
    endpoint.address = address;
    endpoint.port = number;
    endpoint.health = *health;
    gathered_.by_port[port].push_back(std::move(endpoint));
  }

  // Equal endpoints are `known` ones.
  AnswerPtr take(const EndpointsPtr& known, std::vector<model::ObjectPtr> slices) {
    for (auto& list : gathered_.by_port) {
      std::ranges::sort(list, {}, [](const Endpoint& endpoint) {
        return std::tie(endpoint.locality, endpoint.address, endpoint.port);
      });
    }
    answer_.endpoints = carry(known, std::move(gathered_));
    answer_.slices = std::move(slices);
    return std::make_shared<const Answer>(std::move(answer_));
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
  const Workloads& workloads_;
  Answer answer_;
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
    plain.node = endpoint.node;
    return &plain;
  }

 private:
  const Workloads& workloads_;
  const Localities& localities_;
};

void gather_slice(Gathering& gathering, const model::Object& object, const Localities& localities) {
  const auto& slice = object.as<model::EndpointSlice>();
  if (slice.address_type == "FQDN") {
    gathering.tell(
        warning(object, {}, "addressType", "FQDN", "is not supported: the slice is left out"));
    return;
  }
  const Behind behind(gathering.workloads(), localities);
  const auto& ports = gathering.service().ports;
  Endpoint plain;
  plain.namespace_ = object.meta.key.namespace_;
  for (std::size_t i = 0; i < slice.endpoints.size(); ++i) {
    const auto& endpoint = slice.endpoints[i];
    for (const auto& address : endpoint.addresses) {
      const Endpoint* base = behind.of(endpoint, address, plain);
      if (base == nullptr) {
        gathering.tell(
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

bool is_endpoints(const model::ObjectPtr& object) { return object->meta.api_kind == "Endpoints"; }

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
  for (const Workload* workload : gathering.workloads().selected(spec.selector)) {
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
  for (const Workload* workload : gathering.workloads().selected(selector)) {
    const auto* entry = workload->entry();
    if (entry == nullptr || !(is_ip(entry->address) || is_unix(entry->address))) continue;
    for (std::size_t p = 0; p < ports.size(); ++p) {
      const auto named = workload->port_named(ports[p].name);
      const std::uint32_t number =
          named.value_or(ports[p].target_port == 0 ? ports[p].number : ports[p].target_port);
      gathering.offer(p, workload->endpoint, entry->address, is_unix(entry->address) ? 0 : number,
                      workload->ready ? Readiness::ready : Readiness::ended);
    }
  }
}

void gather_kubernetes(Gathering& gathering, const model::Object& object,
                       const std::vector<model::ObjectPtr>& slices, const Localities& localities) {
  const auto& spec = object.as<model::Service>();
  gathering.keep_not_ready = spec.publish_not_ready;
  gathering.keep_unhealthy = gathering.service().distribution != model::TrafficDistribution::any;
  gathering.keep_draining = object.meta.labels.contains("istio.io/persistent-session");

  if (slices.empty()) {
    gather_selected_pods(gathering, spec);
  } else {
    // Kubernetes mirrors Endpoints into slices: where there are slices, Endpoints are said twice.
    const bool mirrored = !std::ranges::all_of(slices, is_endpoints);
    for (const auto& slice : slices) {
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
  for (const Workload* workload : gathering.workloads().selected(spec.workload_selector)) {
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

// Who answers for the service at this place, by these slices. Equal endpoints are `known` ones.
AnswerPtr answer_of(const Services& services, std::size_t place, const Workloads& workloads,
                    std::vector<model::ObjectPtr> slices, const Localities& localities,
                    const EndpointsPtr& known) {
  Gathering gathering(services, place, workloads);
  for (const auto& source : services.sources[place]) {
    if (source->meta.key.kind == model::Kind::service) {
      gather_kubernetes(gathering, *source, slices, localities);
    } else {
      gather_entry(gathering, *source);
    }
  }
  return gathering.take(known, std::move(slices));
}

// Of a Kubernetes Service its name, by which slices call it; empty of a ServiceEntry.
std::string_view kubernetes_name(const std::vector<model::ObjectPtr>& sources) {
  const auto& key = sources.front()->meta.key;
  return key.kind == model::Kind::service ? std::string_view(key.name) : std::string_view();
}

// Nothing if there is no such Kubernetes Service.
std::optional<std::size_t> place_of(const Services& services, std::string_view name) {
  if (services.services.empty()) return std::nullopt;
  const auto& namespace_ = services.services.front()->namespace_;
  const std::size_t at = services.index_of(model::full_host(std::string(name), namespace_));
  if (at == services.services.size() || kubernetes_name(services.sources[at]) != name)
    return std::nullopt;
  return at;
}

const std::string& service_of(const model::ObjectPtr& slice) {
  return slice->as<model::EndpointSlice>().service;
}

constexpr auto name_of_object = [](const model::ObjectPtr& object) -> std::string_view {
  return object->meta.key.name;
};

// Slices that went and came, by service.
struct Turn {
  std::vector<model::ObjectPtr> gone, come;
};
using Turns = std::map<std::string_view, Turn>;

// Both lists are sorted by name.
Turns turns_between(const std::vector<model::ObjectPtr>& before,
                    const std::vector<model::ObjectPtr>& now) {
  Turns turns;
  auto was = before.begin(), is = now.begin();
  while (was != before.end() || is != now.end()) {
    if (was != before.end() && is != now.end() && *was == *is) {
      ++was;
      ++is;
    } else if (is == now.end() ||
               (was != before.end() && name_of_object(*was) <= name_of_object(*is))) {
      turns[service_of(*was)].gone.push_back(*was);
      ++was;
    } else {
      turns[service_of(*is)].come.push_back(*is);
      ++is;
    }
  }
  return turns;
}

std::vector<model::ObjectPtr> with(std::vector<model::ObjectPtr> slices, const Turn& turn) {
  std::erase_if(slices, [&](const auto& slice) {
    return std::ranges::find(turn.gone, slice) != turn.gone.end();
  });
  slices.insert(slices.end(), turn.come.begin(), turn.come.end());
  std::ranges::sort(slices, {}, name_of_object);
  return slices;
}

// A piece has some addresses, so that copying one costs little beside copying the list of pieces.
constexpr std::size_t addresses_to_a_piece = 8;
constexpr std::size_t pieces_max = 1024;

}  // namespace

ServedAt::ServedAt(const Pieces<AnswerPtr>& answers) {
  std::unordered_map<std::string_view, std::vector<Served>> all;
  for (const auto& answer : answers) {
    for (const auto& [address, served] : answer->served) all[address].push_back(served);
  }
  std::vector<Piece> pieces(
      std::clamp<std::size_t>(all.size() / addresses_to_a_piece, 1, pieces_max));
  pieces_.resize(pieces.size());
  for (auto& [address, served] : all) pieces[piece_of(address)].emplace(address, std::move(served));
  for (std::size_t i = 0; i < pieces.size(); ++i)
    pieces_[i] = std::make_shared<const Piece>(std::move(pieces[i]));
}

std::size_t ServedAt::piece_of(std::string_view address) const {
  return StringHash()(address) % pieces_.size();
}

const std::vector<Served>& ServedAt::of(std::string_view address) const {
  static const std::vector<Served> nothing;
  const Piece& piece = *pieces_[piece_of(address)];
  const auto at = piece.find(address);
  return at == piece.end() ? nothing : at->second;
}

ServedAt ServedAt::with(std::span<const AnswerPtr> before, std::span<const AnswerPtr> now) const {
  std::map<std::size_t, Piece> changed;
  const auto opened = [&](const std::string& address) -> std::vector<Served>& {
    const std::size_t at = piece_of(address);
    const auto [piece, fresh] = changed.try_emplace(at);
    if (fresh) piece->second = *pieces_[at];
    return piece->second[address];
  };
  for (const auto& answer : before) {
    for (const auto& [address, served] : answer->served) std::erase(opened(address), served);
  }
  for (const auto& answer : now) {
    for (const auto& [address, served] : answer->served) {
      auto& all = opened(address);
      all.insert(std::ranges::upper_bound(all, served.service, {}, &Served::service), served);
    }
  }
  ServedAt next = *this;
  for (auto& [at, piece] : changed) {
    std::erase_if(piece, [](const auto& entry) { return entry.second.empty(); });
    next.pieces_[at] = std::make_shared<const Piece>(std::move(piece));
  }
  return next;
}

Running derive_running(const NamespaceObjects& objects, const Services& services,
                       const Localities& localities, WorkloadsPtr workloads, const Running* before,
                       const Services* services_before) {
  Slices slices;
  for (const auto& slice : objects.of(model::Kind::endpoint_slice)) {
    if (!service_of(slice).empty()) slices[service_of(slice)].push_back(slice);
  }
  std::vector<AnswerPtr> answers;
  answers.reserve(services.services.size());
  for (std::size_t i = 0; i < services.services.size(); ++i) {
    EndpointsPtr known;
    if (before != nullptr && services_before != nullptr) {
      const std::size_t at = services_before->index_of(services.services[i]->host);
      if (at < before->answers.size()) known = before->endpoints(at);
    }
    const auto own = slices.find(kubernetes_name(services.sources[i]));
    answers.push_back(
        answer_of(services, i, *workloads,
                  own == slices.end() ? std::vector<model::ObjectPtr>() : std::move(own->second),
                  localities, known));
  }
  Pieces<AnswerPtr> all(std::move(answers));
  ServedAt served(all);
  return {
      .workloads = std::move(workloads), .answers = std::move(all), .served = std::move(served)};
}

Running derive_running(const NamespaceObjects& objects, const NamespaceObjects& objects_before,
                       const Services& services, const Localities& localities,
                       const Running& before) {
  std::vector<Pieces<AnswerPtr>::Change> changes;
  std::vector<AnswerPtr> were, are;
  for (const auto& [name, turn] : turns_between(objects_before.of(model::Kind::endpoint_slice),
                                                objects.of(model::Kind::endpoint_slice))) {
    const auto place = place_of(services, name);
    if (!place) continue;
    const AnswerPtr& was = before.answers[*place];
    are.push_back(answer_of(services, *place, *before.workloads, with(was->slices, turn),
                            localities, was->endpoints));
    were.push_back(was);
    changes.emplace_back(*place, are.back());
  }
  return {.workloads = before.workloads,
          .answers = before.answers.with(changes),
          .served = before.served.with(were, are)};
}

}  // namespace graymesh::snapshot
