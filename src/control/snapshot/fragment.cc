#include "control/snapshot/fragment.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "model/shadow.h"

namespace graymesh::snapshot {
namespace {

using model::HttpRoute;
using model::Precedence;

constexpr const char* mesh = "mesh";

bool is_labelled(const VirtualServicePtr& service) {
  return service->spec.precedence != Precedence::team;
}

bool has(const std::vector<std::string>& list, std::string_view value) {
  return std::ranges::find(list, value) != list.end();
}

std::string name_of(const GatewayServers& gateway) {
  return gateway.origin.namespace_ + '/' + gateway.origin.name;
}

// Whether a server of the Gateway takes hosts of VirtualServices of this namespace.
bool admits(const GatewayServers& gateway, const std::string& host, std::string_view namespace_) {
  for (const auto& server : gateway.spec->servers) {
    for (const std::string_view text : server.hosts) {
      const auto slash = text.find('/');
      const std::string_view from = slash == std::string_view::npos ? "*" : text.substr(0, slash);
      const std::string_view pattern =
          slash == std::string_view::npos ? text : text.substr(slash + 1);
      const bool own = namespace_ == gateway.origin.namespace_;
      const bool of_namespace = from == "*" || from == namespace_ || (from == "." && own);
      if (of_namespace &&
          (model::host_matches(pattern, host) || model::host_matches(host, pattern)))
        return true;
    }
  }
  return false;
}

// The route as far as it is about the gateway; nothing if it is about others only.
std::optional<HttpRoute> at(const HttpRoute& route, const std::string& gateway) {
  HttpRoute result = route;
  if (route.match.empty()) return result;
  std::erase_if(result.match, [&gateway](const model::HttpMatch& match) {
    return !match.gateways.empty() && !has(match.gateways, gateway);
  });
  if (result.match.empty()) return std::nullopt;
  for (auto& match : result.match) {
    if (!match.gateways.empty()) match.gateways = {gateway};
  }
  return result;
}

// Makes the plan of one pair.
class Pair {
 public:
  Pair(std::string gateway, std::string host) {
    plan_.gateway = std::move(gateway);
    plan_.hosts = {std::move(host)};
  }

  // `team` in order of precedence; the labelled ones of any order.
  FragmentPlan plan(std::vector<VirtualServicePtr> labelled, std::vector<VirtualServicePtr> team) {
    std::ranges::sort(labelled, {}, [](const VirtualServicePtr& service) {
      return std::tie(service->created, service->origin.name, service->origin.namespace_);
    });
    for (const auto& service : labelled) {
      if (service->spec.precedence == Precedence::release) add(service);
    }
    add_team(team);
    for (const auto& service : labelled) {
      if (service->spec.precedence == Precedence::default_) add(service);
    }
    plan_.anchor = team.empty() ? plan_.fragments.front() : team.front();
    return std::move(plan_);
  }

 private:
  void add(const HttpRoute& route, const VirtualServicePtr& service, std::size_t index) {
    plan_.http.push_back(route);
    plan_.sources.push_back({service, index});
  }

  void add(const VirtualServicePtr& service) {
    plan_.fragments.push_back(service);
    for (std::size_t i = 0; i < service->spec.http.size(); ++i) {
      if (auto route = at(service->spec.http[i], plan_.gateway)) add(*route, service, i);
    }
  }

  // Takes the first match that takes every request, with all behind it, out of `route`, to stand
  // alone; nothing if there is none.
  static std::optional<HttpRoute> take_last(HttpRoute& route) {
    if (route.match.empty()) return std::exchange(route, {});
    const auto all = std::ranges::find_if(route.match, [](model::HttpMatch match) {
      match.gateways.clear();  // they are those of the pair
      return model::takes_all(match);
    });
    if (all == route.match.end()) return std::nullopt;
    HttpRoute last = route;
    last.match = {*all};
    route.match.erase(all, route.match.end());
    return last;
  }

  // Several only at gateways, where routes that take every request go behind all others.
  void add_team(const std::vector<VirtualServicePtr>& team) {
    if (team.size() == 1) return add(team.front());
    std::vector<std::pair<HttpRoute, RouteSource>> rest;
    for (const auto& service : team) {
      plan_.fragments.push_back(service);
      for (std::size_t i = 0; i < service->spec.http.size(); ++i) {
        auto route = at(service->spec.http[i], plan_.gateway);
        if (!route) continue;
        auto last = take_last(*route);
        if (!route->match.empty()) add(*route, service, i);
        if (!last) continue;
        rest.emplace_back(std::move(*last), RouteSource{service, i});
        break;  // nothing behind it is ever asked
      }
    }
    for (const auto& [route, source] : rest) add(route, source.service, source.index);
  }

  FragmentPlan plan_;
};

// Pairs of one gateway with the same fragments are one VirtualService.
void add_plan(FragmentPlan plan, std::vector<FragmentPlan>& plans) {
  const auto same = std::ranges::find_if(plans, [&plan](const FragmentPlan& other) {
    return other.gateway == plan.gateway && other.fragments == plan.fragments;
  });
  if (same == plans.end()) {
    plans.push_back(std::move(plan));
  } else {
    same->hosts.push_back(std::move(plan.hosts.front()));
  }
}

// The plans of one gateway; `gateway` is null for the mesh.
void plan_at(const std::string& name, const GatewayServers* gateway,
             const std::vector<VirtualServicePtr>& services, std::vector<FragmentPlan>& plans) {
  const auto speaks = [&](const VirtualServicePtr& service, const std::string& host) {
    return has(service->spec.gateways, name) && has(service->spec.hosts, host) &&
           (gateway == nullptr || admits(*gateway, host, service->origin.namespace_));
  };
  std::set<std::string> planned;
  for (const auto& first : services) {
    if (!is_labelled(first)) continue;
    for (const auto& host : first->spec.hosts) {
      if (!speaks(first, host) || !planned.insert(host).second) continue;
      std::vector<VirtualServicePtr> labelled;
      std::vector<VirtualServicePtr> team;
      for (const auto& service : services) {
        if (!speaks(service, host)) continue;
        if (is_labelled(service)) {
          labelled.push_back(service);
        } else if (gateway != nullptr || team.empty()) {
          team.push_back(service);
        }
      }
      add_plan(Pair(name, host).plan(std::move(labelled), std::move(team)), plans);
    }
  }
}

// Whose tcp and tls routes count: the team's, as these are not merged; where there is no team's, of
// the first that has any.
const VirtualServicePtr& bytes_of(const FragmentPlan& plan) {
  if (!is_labelled(plan.anchor)) return plan.anchor;
  const auto first = std::ranges::find_if(plan.fragments, [](const VirtualServicePtr& service) {
    return !service->spec.tcp.empty() || !service->spec.tls.empty();
  });
  return first == plan.fragments.end() ? plan.anchor : *first;
}

std::string text_of(std::string_view gateway, const std::vector<std::string>& hosts) {
  std::string text(gateway);
  for (const auto& host : hosts) text += '\n' + host;
  return text;
}

void add_origins(const VirtualService& from, VirtualService& to) {
  const auto add = [&to](const model::Key& key) {
    if (key != to.origin && std::ranges::count(to.delegates, key) == 0) to.delegates.push_back(key);
  };
  add(from.origin);
  for (const auto& delegate : from.delegates) add(delegate);
}

// Where the hosts of one VirtualService go.
class Split {
 public:
  Split(const VirtualServicePtr& service, const std::vector<FragmentPlan>& plans)
      : service_(service), plans_(plans) {}

  // True if `service` loses no pair.
  bool whole() const {
    return std::ranges::none_of(plans_, [this](const auto& plan) { return takes_from(plan); });
  }
  std::vector<std::string> rest(const std::string& gateway) const {
    if (!has(service_->spec.gateways, gateway)) return {};
    if (is_labelled(service_)) return {};
    std::vector<std::string> hosts = service_->spec.hosts;
    for (const auto& plan : plans_) {
      if (plan.gateway != gateway || !takes_from(plan)) continue;
      std::erase_if(hosts, [&plan](const auto& host) { return has(plan.hosts, host); });
    }
    return hosts;
  }

 private:
  bool takes_from(const FragmentPlan& plan) const {
    return std::ranges::find(plan.fragments, service_) != plan.fragments.end();
  }

  const VirtualServicePtr& service_;
  const std::vector<FragmentPlan>& plans_;
};

}  // namespace

std::vector<FragmentPlan> plan_fragments(const std::vector<VirtualServicePtr>& services,
                                         const std::vector<GatewayServers>* gateways) {
  std::vector<FragmentPlan> plans;
  if (std::ranges::none_of(services, is_labelled)) return plans;
  if (gateways == nullptr) {
    plan_at(mesh, nullptr, services, plans);
  } else {
    for (const auto& gateway : *gateways) plan_at(name_of(gateway), &gateway, services, plans);
  }
  return plans;
}

Fragments::Fragments(const Fragments& before, const Catalog& catalog) {
  if (before.made_.empty()) return;
  const std::set<VirtualServicePtr> known(catalog.virtual_services.begin(),
                                          catalog.virtual_services.end());
  for (const auto& [key, made] : before.made_) {
    const bool same = std::ranges::all_of(
        key.first, [&known](const auto& service) { return known.contains(service); });
    if (same) made_.emplace(key, made);
  }
}

std::vector<VirtualServicePtr> Fragments::merge(std::vector<VirtualServicePtr> services) {
  return merge(std::move(services), nullptr);
}

std::vector<VirtualServicePtr> Fragments::merge(std::vector<VirtualServicePtr> services,
                                                const std::vector<GatewayServers>& gateways) {
  return merge(std::move(services), &gateways);
}

std::vector<VirtualServicePtr> Fragments::merge(std::vector<VirtualServicePtr> services,
                                                const std::vector<GatewayServers>* gateways) {
  if (std::ranges::none_of(services, is_labelled)) return services;
  const std::vector<FragmentPlan> plans = plan_fragments(services, gateways);
  std::vector<std::string> names;
  if (gateways == nullptr) {
    names = {mesh};
  } else {
    std::ranges::transform(*gateways, std::back_inserter(names), name_of);
  }
  std::vector<VirtualServicePtr> result;
  for (const auto& service : services) {
    for (const auto& plan : plans) {
      if (plan.anchor == service) result.push_back(merged(plan));
    }
    const Split split(service, plans);
    if (!is_labelled(service) && split.whole()) {
      result.push_back(service);
      continue;
    }
    for (const auto& name : names) {
      auto hosts = split.rest(name);
      if (!hosts.empty()) result.push_back(rest(service, name, std::move(hosts)));
    }
  }
  return result;
}

VirtualServicePtr Fragments::merged(const FragmentPlan& plan) {
  // Which of them is the team's first depends on the client, and goes before in `fragments`.
  VirtualServicePtr& made = made_[{plan.fragments, text_of(plan.gateway, plan.hosts)}];
  if (made) return made;
  VirtualService result{.origin = plan.anchor->origin,
                        .created = plan.anchor->created,
                        .spec = {},
                        .visible = plan.anchor->visible,
                        .delegates = {}};
  result.spec.hosts = plan.hosts;
  result.spec.gateways = {plan.gateway};
  result.spec.http = plan.http;
  const auto& bytes = bytes_of(plan)->spec;
  result.spec.tls = bytes.tls;
  result.spec.tcp = bytes.tcp;
  for (const auto& fragment : plan.fragments) add_origins(*fragment, result);
  return made = std::make_shared<const VirtualService>(std::move(result));
}

VirtualServicePtr Fragments::rest(const VirtualServicePtr& service, const std::string& gateway,
                                  std::vector<std::string> hosts) {
  VirtualServicePtr& made = made_[{{service}, text_of(gateway, hosts)}];
  if (made) return made;
  VirtualService result = *service;
  result.spec.hosts = std::move(hosts);
  result.spec.gateways = {gateway};
  return made = std::make_shared<const VirtualService>(std::move(result));
}

}  // namespace graymesh::snapshot
