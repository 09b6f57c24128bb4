// Outbound listeners, written down from their plans (docs/translation.md 5.3 to 5.5).
#include "control/translate/listener.h"

#include <algorithm>

#include "control/translate/parts.h"
#include "control/translate/wire.h"
#include "envoy/config/accesslog/v3/accesslog.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"

namespace graymesh::translate {
namespace {

using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;

// What nobody knows goes where it was meant to go, or nowhere.
std::string unknown_cluster(const OutboundScope& scope) {
  const bool pass =
      scope.captured && scope.view->outbound_traffic == model::OutboundTraffic::allow_any;
  return pass ? "PassthroughCluster" : "BlackHoleCluster";
}

void set_http_chain(const OutboundScope& scope, const ListenerPlan& plan, FilterChain& out) {
  set_http(scope.snapshot->mesh(),
           {.side = Side::outbound,
            .stat_prefix = "outbound_" + plan.name() + ";",
            .table = wire_name(plan.table, scope.vhds),
            .protocol = plan.protocol,
            .explicit_proxy = plan.explicit_proxy,
            .lane = scope.lane,
            .manner = scope.manner},
           *out.add_filters());
}

// TCP chains; the one that takes all the rest is the default, if there is another.
void set_tcp_chains(const OutboundScope& scope, const ListenerPlan& plan, Listener& out) {
  const auto& mesh = scope.snapshot->mesh();
  const bool alone = plan.tcp.size() == 1 && out.filter_chains().empty();
  bool any_name = false;
  for (const TcpChain& chain : plan.tcp) {
    FilterChain& to = chain.takes_all() && !alone ? *out.mutable_default_filter_chain()
                                                  : *out.add_filter_chains();
    if (!chain.takes_all()) set_chain_match(chain, *to.mutable_filter_chain_match());
    TcpHandling handling = chain.handling;
    handling.idle_timeout = scope.manner.idle_timeout;
    set_tcp(mesh, handling, *to.add_filters());
    any_name = any_name || !chain.server_names.empty();
  }
  if (any_name) add_tls_inspector(out);
}

// Chains that only some connections match, and the chain of the others.
void set_default_chain(const OutboundScope& scope, Listener& out) {
  const auto& chains = out.filter_chains();
  const bool all_matched = std::all_of(chains.begin(), chains.end(), [](const FilterChain& c) {
    return c.has_filter_chain_match();
  });
  if (!all_matched || out.has_default_filter_chain()) return;
  auto& chain = *out.mutable_default_filter_chain();
  chain.set_name("PassthroughFilterChain");
  set_tcp_to(scope.snapshot->mesh(), scope.manner, unknown_cluster(scope), chain);
}

// All that `write` looks at.
MemoKey key_of(const OutboundScope& scope, const ListenerPlan& plan) {
  MemoKey key("listener");
  key.add(scope.snapshot->mesh_ptr())
      .add(unknown_cluster(scope))
      .add(plan.bind)
      .add(plan.port)
      .add(plan.table)
      .add(std::uint64_t{scope.vhds});
  key.add(static_cast<std::uint64_t>(plan.protocol))
      .add(std::uint64_t{plan.bound})
      .add(std::uint64_t{plan.explicit_proxy})
      .add(plan.table.empty() ? std::string_view() : scope.lane)
      .add(text_of(scope.manner));
  for (const auto& chain : plan.tcp) {
    for (const auto& name : chain.server_names) key.add(name);
    for (const auto& range : chain.prefix_ranges) key.add(range);
    key.add(chain.handling.stat_prefix)
        .add(std::uint64_t{chain.handling.hash_source_ip})
        .add(chain.handling.rule);
    for (const auto& cluster : chain.handling.clusters) key.add(cluster.name).add(cluster.weight);
  }
  return key;
}

resource::ResourcePtr write(const OutboundScope& scope, const ListenerPlan& plan) {
  const auto& mesh = scope.snapshot->mesh();
  Listener out;
  set_listener(plan.name(), Direction::outbound, out);
  set_address(*out.mutable_address(), plan.bind, plan.port);
  if (plan.bound) {
    out.mutable_max_connections_to_accept_per_socket_event()->set_value(1);
  } else {
    out.mutable_bind_to_port()->set_value(false);
  }
  // HTTP must be told from the rest.
  const bool shared = !plan.tcp.empty() || is_any_address(plan.bind);
  if (!plan.table.empty()) {
    auto& chain = *out.add_filter_chains();
    set_http_chain(scope, plan, chain);
    if (!plan.bound && shared) {
      match_http(*chain.mutable_filter_chain_match());
      add_http_inspector(mesh, out);
    }
  }
  // Where sockets are scarce, HTTP has the port to itself: recognising it would make a client wait
  // whose server speaks first.
  if (plan.table.empty() || !plan.bound) set_tcp_chains(scope, plan, out);
  set_default_chain(scope, out);
  if (logs_access(mesh)) set_listener_log(mesh, *out.add_access_log());
  return to_resource(out, plan.origins);
}

// Every redirected connection arrives here and is handed to the listener of the address it was
// meant for, or, if there is none, taken by the last chain.
resource::ResourcePtr virtual_outbound(const OutboundScope& scope) {
  const auto& mesh = scope.snapshot->mesh();
  Listener out;
  set_listener("virtualOutbound", Direction::outbound, out);
  set_address(*out.mutable_address(), any_address(scope.family), mesh.proxy_listen_port);
  out.mutable_use_original_dst()->set_value(true);
  if (scope.transparent) out.mutable_transparent()->set_value(true);
  out.mutable_max_connections_to_accept_per_socket_event()->set_value(1);
  // A connection meant for this very port would come back for ever.
  auto& loop = *out.add_filter_chains();
  loop.set_name("virtualOutbound-blackhole");
  loop.mutable_filter_chain_match()->mutable_destination_port()->set_value(mesh.proxy_listen_port);
  set_tcp_to(mesh, scope.manner, "BlackHoleCluster", loop);
  auto& rest = *out.add_filter_chains();
  rest.set_name("virtualOutbound-catchall-tcp");
  set_tcp_to(mesh, scope.manner, unknown_cluster(scope), rest);
  if (logs_access(mesh)) set_listener_log(mesh, *out.add_access_log());
  return to_resource(out);
}

}  // namespace

Resources outbound_listeners(const OutboundScope& scope, Memo& memo) {
  Resources out;
  if (scope.snapshot->mesh().proxy_listen_port == 0) return out;
  for (const auto& plan : plan_outbound(scope)) {
    out.push_back(memo.resource(key_of(scope, plan), [&] { return write(scope, plan); }));
  }
  if (!scope.captured) return out;
  MemoKey key("virtualOutbound");
  key.add(scope.snapshot->mesh_ptr())
      .add(unknown_cluster(scope))
      .add(any_address(scope.family))
      .add(text_of(scope.manner))
      .add(std::uint64_t{scope.transparent});
  out.push_back(memo.resource(std::move(key), [&] { return virtual_outbound(scope); }));
  return out;
}

}  // namespace graymesh::translate
