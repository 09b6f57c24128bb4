// Bytes that are not HTTP: where a service's TCP and TLS ports lead (docs/translation.md 5.3).
#include <algorithm>
#include <set>

#include "control/translate/ip.h"
#include "control/translate/listener.h"
#include "control/translate/parts.h"
#include "control/translate/route_parts.h"

namespace graymesh::translate {
namespace {

bool applies(const model::L4Match& match, const Place& place) {
  if (match.port != 0 && match.port != place.port) return false;
  const auto& gateways = match.gateways;  // unlike in HTTP, Istio asks for the client beside them
  if (!gateways.empty() &&
      std::find(gateways.begin(), gateways.end(), place.gateway) == gateways.end())
    return false;
  if (!match.source_namespace.empty() && match.source_namespace != place.namespace_) return false;
  return model::selects(match.source_labels, place.labels);
}

bool concerns(const snapshot::VirtualService& service, const std::string& host) {
  return std::any_of(
      service.spec.hosts.begin(), service.spec.hosts.end(),
      [&](const std::string& pattern) { return model::host_matches(pattern, host); });
}

bool hashes_source_ip(const model::LoadBalancer& balancer) {
  return balancer.consistent_hash &&
         std::holds_alternative<model::ConsistentHash::SourceIp>(balancer.consistent_hash->key);
}

// What the rule of the service behind says of connections to this subset of it; empty: the whole.
// Of subsets and ports Istio asks for no durations of their own here.
void set_rule(const snapshot::SeenService& seen, std::string_view subset_name, TcpHandling& out) {
  if (!seen.rule) return;
  if (const auto& policy = seen.rule->spec.policy) {
    if (policy->connection_pool) {
      out.pool = &*policy->connection_pool;
      out.rule = seen.rule;
    }
    out.hash_source_ip = policy->load_balancer && hashes_source_ip(*policy->load_balancer);
  }
  const auto* subset = subset_name.empty() ? nullptr : seen.rule->subset(subset_name);
  if (subset && subset->policy && subset->policy->load_balancer)
    out.hash_source_ip = hashes_source_ip(*subset->policy->load_balancer);
}

TcpChain to_service(const snapshot::SeenService& seen, const snapshot::Port& port,
                    bool any_address) {
  const std::string cluster = outbound_cluster_name(port.number, "", seen.service->host);
  TcpChain chain;
  chain.handling.stat_prefix = cluster;
  chain.handling.clusters.push_back({.name = cluster, .weight = 0});
  set_rule(seen, "", chain.handling);
  if (any_address && snapshot::is_tls(port.protocol)) {
    auto names = seen.service->aliases;
    names.push_back(seen.service->host);
    chain.server_names = to_server_names(names);
  }
  return chain;
}

// Chains by the SNI that clients send; of equal ones the first stays.
std::vector<TcpChain> tls_routes(const Place& place, const snapshot::VirtualService& service) {
  std::vector<TcpChain> chains;
  for (const auto& route : service.spec.tls) {
    for (const auto& match : route.match) {
      if (!applies(match, place)) continue;
      TcpChain chain{.server_names = to_server_names(match.sni_hosts),
                     .prefix_ranges = to_ranges(match.destination_subnets),
                     .handling = l4_handling(service, route, place)};
      const bool any =
          std::find(match.sni_hosts.begin(), match.sni_hosts.end(), "*") != match.sni_hosts.end();
      if (chain.server_names.empty() && !any) continue;
      if (any) chain.server_names.clear();
      chains.push_back(std::move(chain));
    }
  }
  return chains;
}

// Chains by the address meant, up to the first that takes any.
std::vector<TcpChain> tcp_routes(const Place& place, const snapshot::VirtualService& service) {
  std::vector<TcpChain> chains;
  for (const auto& route : service.spec.tcp) {
    bool takes_all = route.match.empty();
    std::vector<std::string> subnets;
    for (const auto& match : route.match) {
      if (!applies(match, place)) continue;
      if (match.destination_subnets.empty()) takes_all = true;
      subnets.insert(subnets.end(), match.destination_subnets.begin(),
                     match.destination_subnets.end());
    }
    if (!takes_all && subnets.empty()) continue;
    TcpChain chain;
    chain.handling = l4_handling(service, route, place);
    if (!takes_all) chain.prefix_ranges = to_ranges(subnets);
    chains.push_back(std::move(chain));
    if (takes_all) break;
  }
  return chains;
}

}  // namespace

std::vector<std::string> to_server_names(const std::vector<std::string>& hosts) {
  std::set<std::string> names;
  for (const auto& host : hosts) {
    // Envoy takes a star for whole labels only.
    if (host.find('*', host.starts_with("*.") ? 1 : 0) == std::string::npos) names.insert(host);
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> to_ranges(const std::vector<std::string>& subnets) {
  std::set<std::string> ranges;
  for (const auto& subnet : subnets) {
    if (auto range = normal_range(subnet); !range.empty()) ranges.insert(std::move(range));
  }
  return {ranges.begin(), ranges.end()};
}

TcpHandling l4_handling(const snapshot::VirtualService& owner, const model::L4Route& route,
                        const Place& place) {
  TcpHandling handling;
  for (const auto& target : route.route) {
    if (route.route.size() > 1 && target.weight == 0) continue;
    handling.clusters.push_back(
        {.name = cluster_name(target.destination, place), .weight = target.weight});
  }
  if (handling.clusters.empty())
    handling.clusters.push_back({.name = "BlackHoleCluster", .weight = 0});
  handling.stat_prefix = handling.clusters.size() == 1
                             ? handling.clusters.front().name
                             : owner.origin.name + "." + owner.origin.namespace_;
  if (route.route.empty()) return handling;
  // There is one listener for all destinations: as in Istio, the rule of the first one counts, and
  // its subset where it is the only one.
  const auto& first = route.route.front().destination;
  if (const auto* seen = place.services.find(first.host))
    set_rule(*seen, route.route.size() == 1 ? first.subset : "", handling);
  return handling;
}

std::vector<TcpChain> tcp_chains(const Place& place,
                                 std::span<const snapshot::VirtualServicePtr> rules,
                                 const snapshot::SeenService& seen, const snapshot::Port& port,
                                 bool any_address) {
  const bool tls = snapshot::is_tls(port.protocol);
  std::vector<TcpChain> chains;
  bool covered = false;
  for (const auto& service : rules) {
    if (!concerns(*service, seen.service->host)) continue;
    auto routes = tls ? tls_routes(place, *service) : tcp_routes(place, *service);
    for (auto& chain : routes) {
      covered = covered || chain.takes_all();
      chains.push_back(std::move(chain));
    }
    if (covered && !tls) break;  // nothing is left to later ones
  }
  const bool by_name = tls && !chains.empty();
  if (!covered && !by_name) chains.push_back(to_service(seen, port, any_address));
  return chains;
}

}  // namespace graymesh::translate
