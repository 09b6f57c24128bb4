// Route configurations of sidecars (docs/translation.md 4): for each table its virtual hosts are
// planned, made or remembered one by one, sorted by name, and closed by the one that catches all.
//
//   VirtualServices, services --plan_hosts--> names, domains, owners --make--> bytes
//   --RouteConfig--> table
#include <algorithm>

#include "control/translate/parts.h"
#include "control/translate/route_config.h"
#include "control/translate/route_hosts.h"
#include "control/translate/route_parts.h"
#include "control/translate/wire.h"
#include "envoy/config/route/v3/route_components.pb.h"

namespace graymesh::translate {
namespace {

using Bytes = std::shared_ptr<const std::string>;

Bytes make_host(const HostPlan& plan, const OutboundScope& scope, const Lookup& services,
                Memo& memo) {
  const Place place{.mesh = scope.snapshot->mesh_ptr(),
                    .services = services,
                    .namespace_ = scope.view->namespace_,
                    .labels = scope.labels,
                    .port = plan.port};
  MemoKey key(plan.rule ? "virtual host of a rule" : "virtual host");
  key.add(plan.name);
  for (const auto& domain : plan.domains) key.add(domain);
  if (plan.rule) {
    add_inputs(*plan.rule, place, key);
  } else {
    add_inputs(*plan.service, place, key);
  }
  return memo.fragment(std::move(key), [&] {
    envoy_route::VirtualHost host;
    host.set_name(plan.name);
    for (const auto& domain : plan.domains) host.add_domains(domain);
    host.set_include_request_attempt_count(true);
    if (plan.rule) {
      add_routes(**plan.rule, place, host);
    } else {
      add_default_route(*plan.service, place, host);
    }
    return serialize(host);
  });
}

// What is said to a client whose host is nobody's, and that cannot be passed through.
constexpr std::string_view unknown_host =
    "graymesh: no service of this mesh has this host, and without traffic capture it cannot be "
    "passed through\n";
constexpr std::uint32_t bad_gateway = 502;

Bytes make_catch_all(const OutboundScope& scope, Memo& memo) {
  const bool allow = scope.view->outbound_traffic == model::OutboundTraffic::allow_any;
  MemoKey key("virtual host that catches all");
  key.add(std::uint64_t{allow}).add(std::uint64_t{scope.captured});
  return memo.fragment(std::move(key), [&] {
    const std::string name = allow ? "allow_any" : "block_all";
    envoy_route::VirtualHost host;
    host.set_name(name);
    host.add_domains("*");
    host.set_include_request_attempt_count(true);
    auto& route = *host.add_routes();
    route.mutable_match()->set_prefix("/");
    if (allow && scope.captured) {
      route.set_name(name);
      auto& action = *route.mutable_route();
      action.set_cluster("PassthroughCluster");
      set_duration(*action.mutable_timeout(), model::Duration::zero());
      set_duration(*action.mutable_max_stream_duration()->mutable_grpc_timeout_header_max(),
                   model::Duration::zero());
    } else {
      auto& response = *route.mutable_direct_response();
      response.set_status(bad_gateway);
      route.set_name(allow ? "allow_any_without_capture" : name);
      if (allow) response.mutable_body()->set_inline_string(std::string(unknown_host));
    }
    return serialize(host);
  });
}

resource::ResourcePtr make_table(const RouteTable& table, const OutboundScope& scope,
                                 const Lookup& services, Memo& memo) {
  std::vector<HostPlan> hosts = plan_hosts(table, scope, services);
  std::sort(hosts.begin(), hosts.end(),
            [](const HostPlan& a, const HostPlan& b) { return a.name < b.name; });
  const bool every_port = table.port == 0;
  RouteConfig config(table.name, !every_port);
  for (const auto& host : hosts) {
    config.add(make_host(host, scope, services, memo));
    if (!host.rule) continue;
    config.add_origin((*host.rule)->origin);
    for (const auto& delegate : (*host.rule)->delegates) config.add_origin(delegate);
  }
  if (!table.only) config.add(make_catch_all(scope, memo));
  return config.take(memo);
}

}  // namespace

Resources outbound_routes(const OutboundScope& scope, Memo& memo) {
  const Lookup services(scope.view->services);
  Resources out;
  for (const auto& table : route_tables(scope))
    out.push_back(make_table(table, scope, services, memo));
  return out;
}

}  // namespace graymesh::translate
