#include "control/snapshot/problems.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "control/snapshot/delegate.h"
#include "control/snapshot/fragment.h"
#include "control/snapshot/view.h"
#include "control/snapshot/virtual_service.h"
#include "control/snapshot/warning.h"
#include "model/names.h"
#include "model/shadow.h"

namespace graymesh::snapshot {
namespace {

using model::Problem;

bool is_alias(const Catalog& catalog, std::string_view host) {
  return std::ranges::any_of(catalog.namespaces, [host](const auto& named) {
    return std::ranges::binary_search(named.second->aliases, host, {}, [](const Alias& alias) {
      return std::string_view(alias.host);
    });
  });
}

// `is hidden by http[0] "all" of VirtualService shop/web-x`; without a name for the same object.
std::string hidden_by(const model::HttpRoute& hiding, std::size_t index, std::string_view object) {
  std::string text = fmt::format("is hidden by http[{}]", index);
  if (!hiding.name.empty()) text += fmt::format(" \"{}\"", hiding.name);
  if (!object.empty()) text += fmt::format(" of {}", object);
  return text;
}

// Checks one VirtualService as it was written.
class RouteCheck {
 public:
  RouteCheck(const Catalog& catalog, const model::Object& object)
      : catalog_(catalog),
        object_(object),
        spec_(object.as<model::VirtualService>()),
        namespace_(object.meta.key.namespace_) {}

  std::vector<Problem> run() {
    check_gateways();
    for (std::size_t i = 0; i < spec_.http.size(); ++i) {
      const auto& http = spec_.http[i];
      check_routes(http.route, http.position, fmt::format("http[{}]", i));
      for (std::size_t m = 0; m < http.mirrors.size(); ++m) {
        check(http.mirrors[m].destination, http.position,
              fmt::format("http[{}].mirrors[{}]", i, m));
      }
    }
    for (std::size_t i = 0; i < spec_.tcp.size(); ++i) {
      check_routes(spec_.tcp[i].route, spec_.tcp[i].position, fmt::format("tcp[{}]", i));
    }
    for (std::size_t i = 0; i < spec_.tls.size(); ++i) {
      check_routes(spec_.tls[i].route, spec_.tls[i].position, fmt::format("tls[{}]", i));
    }
    check_reach();
    return std::move(problems_);
  }

 private:
  void report(const model::Position& position, std::string field, std::string value,
              std::string rule) {
    problems_.push_back(
        warning(object_, position, std::move(field), std::move(value), std::move(rule)));
  }

  void check_gateways() {
    for (std::size_t i = 0; i < spec_.gateways.size(); ++i) {
      const std::string name = model::gateway_name(spec_.gateways[i], namespace_);
      const bool known =
          name == "mesh" || std::ranges::any_of(catalog_.gateways, [&name](const auto& gateway) {
            return gateway.origin.namespace_ + '/' + gateway.origin.name == name;
          });
      if (!known) report({}, fmt::format("gateways[{}]", i), spec_.gateways[i], "names no Gateway");
    }
  }

  void check_routes(const std::vector<model::WeightedDestination>& routes,
                    const model::Position& position, const std::string& field) {
    for (std::size_t i = 0; i < routes.size(); ++i) {
      check(routes[i].destination, position, fmt::format("{}.route[{}]", field, i));
    }
  }

  void check(const model::Destination& destination, const model::Position& position,
             const std::string& field) {
    const std::string host = model::full_host(destination.host, namespace_);
    const ServicePtr service = catalog_.service(host);
    if (!service) {
      if (!is_alias(catalog_, host)) {
        report(position, field + ".destination.host", destination.host,
               "names no service: requests that take this route are answered 503");
      }
      return;
    }
    if (destination.port != 0 &&
        std::ranges::count(service->ports, destination.port, &Port::number) == 0) {
      report(position, field + ".destination.port.number", std::to_string(destination.port),
             fmt::format("is no port of {}", model::to_string(service->origin)));
    }
    if (destination.subset.empty()) return;
    const auto rule = select_rule(catalog_.rule_indexes, catalog_.mesh->root_namespace,
                                  {.namespace_ = namespace_, .labels = nullptr}, *service);
    if (!rule) {
      report(position, field + ".destination.subset", destination.subset,
             fmt::format("has no DestinationRule for {} to define it", host));
    } else if (rule->subset(destination.subset) == nullptr) {
      report(position, field + ".destination.subset", destination.subset,
             fmt::format("is no subset of {}", model::to_string(rule->origins.front())));
    }
  }

  // Nothing after a route that takes every request is ever asked.
  void check_reach() {
    for (std::size_t i = 0; i + 1 < spec_.http.size(); ++i) {
      const auto& http = spec_.http[i];
      if (http.delegate) continue;  // its delegates may take less
      if (!model::takes_all(http)) continue;
      report(spec_.http[i + 1].position, fmt::format("http[{}]", i + 1), spec_.http[i + 1].name,
             fmt::format("is never reached: http[{}] at line {} takes every request", i,
                         http.position.line));
      return;
    }
    for (const auto& [hidden, hiding] : model::shadowed(spec_.http)) {
      if (spec_.http[hiding].delegate) continue;
      report(spec_.http[hidden].position, fmt::format("http[{}]", hidden), spec_.http[hidden].name,
             hidden_by(spec_.http[hiding], hiding, ""));
    }
  }

  const Catalog& catalog_;
  const model::Object& object_;
  const model::VirtualService& spec_;
  const std::string& namespace_;
  std::vector<Problem> problems_;
};

// Istio does not merge for sidecars: the VirtualService that goes before has the host alone.
void find_host_clashes(const Catalog& catalog, const Objects& objects,
                       std::vector<Problem>& problems) {
  std::unordered_map<std::string_view, const VirtualService*> owners;
  for (const auto& service : catalog.virtual_services) {
    if (std::ranges::count(service->spec.gateways, "mesh") == 0) continue;
    if (service->spec.precedence != model::Precedence::team) continue;  // these are merged
    for (std::size_t i = 0; i < service->spec.hosts.size(); ++i) {
      const auto [at, fresh] = owners.try_emplace(service->spec.hosts[i], service.get());
      if (fresh || at->second == service.get()) continue;
      if (!overlap(at->second->visible, service->visible)) continue;
      const auto loser = objects.find(service->origin);
      const auto winner = objects.find(at->second->origin);
      if (!loser || !winner) continue;
      problems.push_back(warning(
          *loser, {}, fmt::format("hosts[{}]", i), service->spec.hosts[i],
          fmt::format("is already routed for sidecars by {}, which goes before: these routes have "
                      "no effect there",
                      place_of(*winner))));
    }
  }
}

// Routes of one VirtualService hidden by those of another, where fragments of one host are merged.
class FragmentCheck {
 public:
  FragmentCheck(const Catalog& catalog, const Objects& objects, std::vector<Problem>& problems)
      : catalog_(catalog), objects_(objects), problems_(problems) {}

  // As each namespace sees it that has a say in such a host.
  void run() {
    std::set<std::string_view> hosts;
    for (const auto& service : catalog_.virtual_services) {
      if (service->spec.precedence == model::Precedence::team) continue;
      hosts.insert(service->spec.hosts.begin(), service->spec.hosts.end());
    }
    if (hosts.empty()) return;
    std::vector<VirtualServicePtr> services;
    std::set<std::string_view> namespaces;
    for (const auto& service : catalog_.virtual_services) {
      if (std::ranges::none_of(service->spec.hosts,
                               [&hosts](const auto& host) { return hosts.contains(host); }))
        continue;
      services.push_back(service);
      namespaces.insert(service->origin.namespace_);
    }
    for (const auto namespace_ : namespaces) check(services, namespace_);
  }

 private:
  void check(const std::vector<VirtualServicePtr>& services, std::string_view namespace_) {
    std::vector<VirtualServicePtr> seen;
    std::ranges::copy_if(services, std::back_inserter(seen), [namespace_](const auto& service) {
      return service->visible.to(namespace_);
    });
    sort_by_precedence(seen, namespace_);
    for (const auto& plan : plan_fragments(seen, nullptr)) check(plan);
    for (const auto& plan : plan_fragments(seen, &catalog_.gateways)) check(plan);
  }

  void check(const FragmentPlan& plan) {
    for (const auto& [hidden, hiding] : model::shadowed(plan.http)) {
      const RouteSource& source = plan.sources[hidden];
      const RouteSource& other = plan.sources[hiding];
      if (source.service == other.service) continue;     // told of the object by itself
      if (!source.service->delegates.empty()) continue;  // its places are not those in the file
      if (!told_.emplace(source.service->origin, source.index).second) continue;
      report(plan, source, other, plan.http[hiding]);
    }
  }

  void report(const FragmentPlan& plan, const RouteSource& source, const RouteSource& other,
              const model::HttpRoute& hiding) {
    const auto object = objects_.find(source.service->origin);
    if (!object) return;
    const auto& spec = object->as<model::VirtualService>();
    if (source.index >= spec.http.size()) return;
    const auto& http = spec.http[source.index];
    std::string rule = hidden_by(hiding, other.index, model::to_string(other.service->origin));
    if (source.service->spec.hosts.size() > plan.hosts.size())
      rule += fmt::format(" for the host {}", plan.hosts.front());
    problems_.push_back(warning(*object, http.position, fmt::format("http[{}]", source.index),
                                http.name, std::move(rule)));
  }

  const Catalog& catalog_;
  const Objects& objects_;
  std::vector<Problem>& problems_;
  std::set<std::pair<model::Key, std::size_t>> told_;
};

void find_service_clashes(const Catalog& catalog, const Objects& objects,
                          std::vector<Problem>& problems) {
  const auto& services = catalog.services;
  for (std::size_t i = 1; i < services.size(); ++i) {
    if (services[i]->host != services[i - 1]->host) continue;
    const bool later_wins = goes_before(*services[i], *services[i - 1]);
    const Service& winner = *services[later_wins ? i : i - 1];
    const Service& loser = *services[later_wins ? i - 1 : i];
    if (!overlap(winner.visible, loser.visible)) continue;
    const auto object = objects.find(loser.origin);
    const auto other = objects.find(winner.origin);
    if (!object || !other) continue;
    problems.push_back(warning(*object, {}, "spec.hosts", loser.host,
                               fmt::format("is also {}, which goes before outside of namespace {}",
                                           place_of(*other), loser.namespace_)));
  }
}

std::vector<Problem> find_lost_rules(const Catalog& catalog, const Objects& objects) {
  std::vector<Problem> result;
  for (const auto& [name, held] : objects.namespaces) {
    for (const auto& object : held->of(model::Kind::destination_rule)) {
      const auto& written = object->as<model::DestinationRule>().host;
      const std::string host = model::full_host(written, object->meta.key.namespace_);
      if (host.starts_with('*') || catalog.service(host) || is_alias(catalog, host)) continue;
      result.push_back(warning(*object, {}, "host", written, "names no service"));
    }
  }
  return result;
}

void report_delegate_faults(const Catalog& catalog, const Objects& objects,
                            std::vector<Problem>& problems) {
  for (const auto& fault : catalog.delegate_faults) {
    const auto object = objects.find(fault.object);
    if (object == nullptr) continue;
    const auto& http = object->as<model::VirtualService>().http;
    Problem problem =
        warning(*object, fault.index < http.size() ? http[fault.index].position : model::Position{},
                fmt::format("http[{}]{}", fault.index, fault.field), fault.value, fault.rule);
    problem.severity = Problem::Severity::error;
    problems.push_back(std::move(problem));
  }
}

bool same_surroundings(const Catalog& a, const Catalog* b) {
  if (b == nullptr || a.services != b->services || a.rules != b->rules ||
      a.gateways != b->gateways || a.namespaces.size() != b->namespaces.size()) {
    return false;
  }
  return std::ranges::equal(a.namespaces, b->namespaces, [](const auto& x, const auto& y) {
    return x.first == y.first && x.second->aliases == y.second->aliases;
  });
}

}  // namespace

bool overlap(const Visibility& a, const Visibility& b) {
  if (a.everywhere) return b.everywhere || !b.namespaces.empty();
  return std::ranges::any_of(a.namespaces, [&b](const std::string& name) { return b.to(name); });
}

DeclaredProblems find_declared_problems(const Catalog& catalog, const Objects& objects,
                                        const DeclaredProblems* before,
                                        const Catalog* catalog_before, const Unchanged& unchanged) {
  DeclaredProblems result;
  const bool same = before != nullptr && same_surroundings(catalog, catalog_before);
  for (const auto& [name, held] : objects.namespaces) {
    for (const auto& object : held->of(model::Kind::virtual_service)) {
      auto& own = result.by_virtual_service[object];
      const auto known = same ? before->by_virtual_service.find(object)
                              : decltype(result.by_virtual_service)::const_iterator{};
      if (same && known != before->by_virtual_service.end()) {
        own = known->second;
      } else {
        own = RouteCheck(catalog, *object).run();
      }
      result.problems.insert(result.problems.end(), own.begin(), own.end());
    }
  }
  find_host_clashes(catalog, objects, result.problems);
  FragmentCheck(catalog, objects, result.problems).run();
  find_service_clashes(catalog, objects, result.problems);
  find_gateway_clashes(catalog, objects, result.problems);
  find_port_clashes(catalog, objects, result.problems);
  result.lost_rules =
      same && unchanged.rule_lines ? before->lost_rules : find_lost_rules(catalog, objects);
  result.problems.insert(result.problems.end(), result.lost_rules.begin(), result.lost_rules.end());
  report_delegate_faults(catalog, objects, result.problems);
  return result;
}

}  // namespace graymesh::snapshot
