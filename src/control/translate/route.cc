// Route configurations of sidecars (docs/translation.md 4): for each table its virtual hosts are
// planned, made or remembered one by one, sorted by name, and closed by the one that catches all.
//
//   VirtualServices, services --plan_hosts--> names, domains, owners --make--> Hosts
//   --RouteConfig--> table, or --host_of_table--> one by one
#include <algorithm>

#include "control/translate/parts.h"
#include "control/translate/route_config.h"
#include "control/translate/route_hosts.h"
#include "control/translate/route_parts.h"
#include "control/translate/wire.h"
#include "envoy/config/route/v3/route_components.pb.h"

namespace graymesh::translate {
namespace {

using resource::ResourcePtr;

// `plan` and all that it points to outlive what is made of it.
Host make_host(const HostPlan& plan, const OutboundScope& scope, const Lookup& services) {
  const Place place{.mesh = scope.snapshot->mesh_ptr(),
                    .services = services,
                    .namespace_ = scope.view->namespace_,
                    .labels = scope.labels,
                    .port = plan.port};
  Host host{.name = plan.name,
            .key = MemoKey(plan.rule ? "virtual host of a rule" : "virtual host"),
            .origins = {},
            .body = {}};
  for (const auto& domain : plan.domains) host.key.add(domain);
  if (plan.rule) {
    add_inputs(*plan.rule, place, host.key);
    host.origins.push_back(&(*plan.rule)->origin);
    for (const auto& delegate : (*plan.rule)->delegates) host.origins.push_back(&delegate);
  } else {
    add_inputs(*plan.service, place, host.key);
  }
  host.body = [&plan, place](const std::string& name) {
    envoy_route::VirtualHost out;
    out.set_name(name);
    for (const auto& domain : plan.domains) out.add_domains(domain);
    out.set_include_request_attempt_count(true);
    if (plan.rule) {
      add_routes(**plan.rule, place, out);
    } else {
      add_default_route(*plan.service, place, out);
    }
    return serialize(out);
  };
  return host;
}

// What is said to a client whose host is nobody's, and that cannot be passed through.
constexpr std::string_view unknown_host =
    "graymesh: no service of this mesh has this host, and without traffic capture it cannot be "
    "passed through\n";
constexpr std::uint32_t bad_gateway = 502;

Host make_catch_all(const OutboundScope& scope) {
  const bool allow = scope.view->outbound_traffic == model::OutboundTraffic::allow_any;
  const bool captured = scope.captured;
  Host host{.name = allow ? "allow_any" : "block_all",
            .key = MemoKey("virtual host that catches all"),
            .origins = {},
            .body = {}};
  host.key.add(std::uint64_t{allow}).add(std::uint64_t{captured});
  host.body = [allow, captured](const std::string& name) {
    envoy_route::VirtualHost out;
    out.set_name(name);
    out.add_domains("*");
    out.set_include_request_attempt_count(true);
    auto& route = *out.add_routes();
    route.mutable_match()->set_prefix("/");
    route.set_name(allow ? (captured ? "allow_any" : "allow_any_without_capture") : "block_all");
    if (allow && captured) {
      auto& action = *route.mutable_route();
      action.set_cluster("PassthroughCluster");
      set_duration(*action.mutable_timeout(), model::Duration::zero());
      set_duration(*action.mutable_max_stream_duration()->mutable_grpc_timeout_header_max(),
                   model::Duration::zero());
    } else {
      auto& response = *route.mutable_direct_response();
      response.set_status(bad_gateway);
      if (allow) response.mutable_body()->set_inline_string(std::string(unknown_host));
    }
    return serialize(out);
  };
  return host;
}

// Of one table, in order. There is at least one: a table of one service has that.
template <typename Visit>
void each_host(const RouteTable& table, const OutboundScope& scope, const Lookup& services,
               const Visit& visit) {
  std::vector<HostPlan> hosts = plan_hosts(table, scope, services);
  std::sort(hosts.begin(), hosts.end(),
            [](const HostPlan& a, const HostPlan& b) { return a.name < b.name; });
  for (const auto& host : hosts) visit(make_host(host, scope, services));
  if (!table.only) visit(make_catch_all(scope));
}

bool strips_ports(const RouteTable& table) { return table.port != 0; }

ResourcePtr make_table(const RouteTable& table, const OutboundScope& scope, const Lookup& services,
                       Memo& memo) {
  RouteConfig config(table.name, strips_ports(table));
  each_host(table, scope, services, [&](Host host) { config.add(std::move(host), memo); });
  return config.take(memo);
}

}  // namespace

Resources outbound_routes(const OutboundScope& scope, Memo& memo) {
  Resources out;
  if (scope.vhds) {
    for (const auto& table : route_tables(scope)) {
      out.push_back(table_without_hosts(wire_name(table.name, true), strips_ports(table), memo));
    }
    return out;
  }
  const Lookup services(scope.view->services);
  for (const auto& table : route_tables(scope))
    out.push_back(make_table(table, scope, services, memo));
  return out;
}

Resources outbound_hosts(const OutboundScope& scope, Memo& memo) {
  const Lookup services(scope.view->services);
  Resources out;
  for (const auto& table : route_tables(scope)) {
    const std::string name = wire_name(table.name, true);
    each_host(table, scope, services,
              [&](Host host) { out.push_back(host_of_table(name, std::move(host), memo)); });
  }
  return out;
}

}  // namespace graymesh::translate
