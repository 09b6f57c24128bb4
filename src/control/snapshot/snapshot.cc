#include "control/snapshot/snapshot.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "control/snapshot/snapshot_data.h"

namespace graymesh::snapshot {

namespace {

std::vector<std::uint32_t> numbers_of(const Service& service) {
  std::vector<std::uint32_t> numbers;
  for (const Port& port : service.ports) numbers.push_back(port.number);
  return numbers;
}

// The workload behind one of these addresses, in this namespace; null if unknown.
const Workload* workload_at(const Territory& territory, std::span<const std::string> addresses) {
  for (const auto& address : addresses) {
    if (const auto* workload = territory.running->workloads->at(address)) return workload;
  }
  return nullptr;
}

// The ports of one workload while they come together.
class Ports {
 public:
  explicit Ports(const Territory& territory) : territory_(territory) {}

  void add_addresses(std::span<const std::string> addresses) {
    for (const auto& address : addresses) {
      for (const Served& served : territory_.running->served.of(address))
        add(served.service, served.port, served.target_port);
    }
  }

  // Services that select the workload, whether or not it is ready to be an endpoint.
  void add_selecting(const model::Labels& labels, const Workload* workload) {
    for (const std::size_t service : territory_.selectors->selecting(labels)) {
      const auto& ports = territory_.services->services[service]->ports;
      for (std::size_t i = 0; i < ports.size(); ++i) {
        std::uint32_t target = ports[i].target_port;
        if (target == 0 && workload != nullptr) {
          target = workload->port_named(ports[i].target_port_name).value_or(0);
        }
        const bool named_by_endpoint = std::ranges::any_of(found_, [&](const auto& found) {
          return std::get<1>(found) == service && std::get<2>(found) == i;
        });
        if (target != 0 && !named_by_endpoint) add(service, i, target);
      }
    }
  }

  // (target port, service, port)
  const std::set<std::tuple<std::uint32_t, std::size_t, std::size_t>>& found() const {
    return found_;
  }

 private:
  void add(std::size_t service, std::size_t port, std::uint32_t target) {
    found_.emplace(target, service, port);
  }

  const Territory& territory_;
  std::set<std::tuple<std::uint32_t, std::size_t, std::size_t>> found_;
};

}  // namespace

ReducedEndpoints::ReducedEndpoints(
    ReducedEndpoints* before, const std::map<std::string, TerritoryPtr, std::less<>>& territories) {
  if (before == nullptr) return;
  const std::lock_guard lock(before->mutex_);
  for (const auto& [key, entry] : before->made_) {
    const auto& [host, namespace_, ports] = key;
    const auto at = territories.find(namespace_);
    if (at == territories.end()) continue;
    const std::size_t index = at->second->services->index_of(host);
    const Running& running = *at->second->running;
    if (index < running.answers.size() && running.endpoints(index) == entry.whole)
      made_.emplace(key, entry);
  }
}

EndpointsPtr ReducedEndpoints::get(const Service& service, const ServicePtr& whole,
                                   const EndpointsPtr& whole_endpoints) {
  const std::lock_guard lock(mutex_);
  Entry& entry = made_[{service.host, service.namespace_, numbers_of(service)}];
  if (entry.reduced && entry.whole == whole_endpoints) return entry.reduced;
  Endpoints reduced;
  reduced.by_port.resize(service.ports.size());
  for (std::size_t i = 0; whole && i < service.ports.size(); ++i) {
    const auto at = std::ranges::find(whole->ports, service.ports[i].number, &Port::number);
    if (at == whole->ports.end()) continue;
    const auto place = static_cast<std::size_t>(at - whole->ports.begin());
    reduced.by_port[i] = whole_endpoints->by_port[place];
  }
  entry = {.whole = whole_endpoints,
           .reduced = std::make_shared<const Endpoints>(std::move(reduced))};
  return entry.reduced;
}

Snapshot::Snapshot(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
Snapshot::~Snapshot() = default;

std::uint64_t Snapshot::number() const { return data_->number; }
const model::MeshConfig& Snapshot::mesh() const { return *data_->mesh; }
std::shared_ptr<const model::MeshConfig> Snapshot::mesh_ptr() const { return data_->mesh; }
std::span<const ServicePtr> Snapshot::services() const { return data_->catalog->services; }

std::span<const VirtualServicePtr> Snapshot::virtual_services() const {
  return data_->catalog->virtual_services;
}

std::span<const DestinationRulePtr> Snapshot::destination_rules() const {
  return data_->catalog->rules;
}

ServicePtr Snapshot::service(std::string_view host) const { return data_->catalog->service(host); }

EndpointsPtr Snapshot::endpoints(const Service& service) const {
  const Territory* territory = data_->territory(service.namespace_);
  if (territory == nullptr) return data_->reduced->get(service, nullptr, nullptr);
  const std::size_t index = territory->services->index_of(service.host);
  if (index == territory->services->services.size()) {
    return data_->reduced->get(service, nullptr, nullptr);
  }
  const ServicePtr& whole = territory->services->services[index];
  const EndpointsPtr& endpoints = territory->running->endpoints(index);
  const bool same_ports =
      std::ranges::equal(whole->ports, service.ports, {}, &Port::number, &Port::number);
  return same_ports ? endpoints : data_->reduced->get(service, whole, endpoints);
}

std::vector<model::Problem> Snapshot::problems() const {
  std::vector<model::Problem> result = data_->declared_problems->problems;
  const auto add = [&result](const std::vector<model::Problem>& problems) {
    result.insert(result.end(), problems.begin(), problems.end());
  };
  for (const auto& [name, group] : data_->subset_problems->by_namespace) {
    for (const auto& checked : group->checked) add(checked.problems);
  }
  for (const auto& [name, territory] : data_->territories) {
    add(territory->services->problems);
    for (const auto& answer : territory->running->answers) add(answer->problems);
  }
  return result;
}

ViewPtr Snapshot::view(std::string_view namespace_, const model::Labels& labels) const {
  return data_->views->view(namespace_, labels);
}

std::vector<Inbound> Snapshot::inbound(std::string_view namespace_,
                                       std::span<const std::string> addresses,
                                       const model::Labels& labels) const {
  std::vector<Inbound> result;
  const Territory* territory = data_->territory(namespace_);
  if (territory == nullptr) return result;
  const Workload* workload = workload_at(*territory, addresses);
  Ports ports(*territory);
  ports.add_addresses(addresses);
  ports.add_selecting(workload == nullptr ? labels : workload->endpoint.labels, workload);

  const Catalog& catalog = *data_->catalog;
  for (const auto& [target, service, port] : ports.found()) {
    ServicePtr found = territory->services->services[service];
    // The Catalog's has its aliases.
    for (auto at = catalog.first_of(found->host);
         at != catalog.services.end() && (*at)->host == found->host; ++at) {
      if ((*at)->namespace_ == found->namespace_) found = *at;
    }
    result.push_back({.service = found,
                      .port = port,
                      .target_port = target,
                      .rule = select_rule(catalog.rule_indexes, catalog.mesh->root_namespace,
                                          {.namespace_ = namespace_, .labels = nullptr}, *found)});
  }
  return result;
}

GatewayViewPtr Snapshot::gateway(std::string_view namespace_,
                                 std::span<const std::string> addresses,
                                 const model::Labels& labels) const {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> target_ports;
  for (const Inbound& inbound : this->inbound(namespace_, addresses, labels)) {
    const std::uint32_t number = inbound.service->ports[inbound.port].number;
    if (std::ranges::count(target_ports, number, [](const auto& pair) { return pair.first; }) ==
        0) {
      target_ports.emplace_back(number, inbound.target_port);
    }
  }
  std::ranges::sort(target_ports);
  return data_->views->gateway(namespace_, labels, std::move(target_ports));
}

bool Snapshot::lane_stamp(std::string_view address) const {
  for (const auto& [name, territory] : data_->territories) {
    const auto* workload = territory->running->workloads->at(address);
    if (workload != nullptr) return workload->pod() == nullptr || workload->pod()->lane_stamp;
  }
  return true;
}

const Endpoint* Snapshot::workload(std::string_view address) const {
  for (const auto& [name, territory] : data_->territories) {
    if (const auto* workload = territory->running->workloads->at(address))
      return &workload->endpoint;
  }
  return nullptr;
}

}  // namespace graymesh::snapshot
