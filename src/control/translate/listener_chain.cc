#include <algorithm>
#include <charconv>

#include "control/translate/listener.h"
#include "control/translate/wire.h"
#include "envoy/config/accesslog/v3/accesslog.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/extensions/filters/listener/http_inspector/v3/http_inspector.pb.h"
#include "envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.pb.h"

namespace graymesh::translate {

using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::FilterChainMatch;
using envoy::config::listener::v3::Listener;

void set_listener(std::string name, Direction direction, Listener& out) {
  out.set_name(std::move(name));
  out.set_traffic_direction(direction == Direction::inbound ? envoy::config::core::v3::INBOUND
                                                            : envoy::config::core::v3::OUTBOUND);
  out.set_continue_on_listener_filters_timeout(true);
  out.mutable_listener_filters_timeout();  // 0 s: as long as it takes
}

void set_chain_match(const TcpChain& chain, FilterChainMatch& out) {
  for (const auto& name : chain.server_names) out.add_server_names(name);
  for (const auto& range : chain.prefix_ranges) {
    const auto slash = range.find('/');
    std::uint32_t length = 0;
    std::from_chars(range.data() + slash + 1, range.data() + range.size(), length);
    auto& to = *out.add_prefix_ranges();
    to.set_address_prefix(range.substr(0, slash));
    to.mutable_prefix_len()->set_value(length);
  }
}

bool Claims::claim(TcpChain& chain) {
  const auto names = chain.server_names.empty() ? std::vector<std::string>{""} : chain.server_names;
  const auto ranges =
      chain.prefix_ranges.empty() ? std::vector<std::string>{""} : chain.prefix_ranges;
  std::vector<std::string> free;
  for (const auto& name : names) {
    const bool taken = std::any_of(ranges.begin(), ranges.end(), [&](const std::string& range) {
      return taken_.contains({range, name});
    });
    if (taken) continue;
    for (const auto& range : ranges) taken_.emplace(range, name);
    free.push_back(name);
  }
  if (free.empty()) return false;
  if (!chain.server_names.empty()) chain.server_names = std::move(free);
  return true;
}

void match_http(FilterChainMatch& out) {
  out.set_transport_protocol("raw_buffer");
  out.add_application_protocols("http/1.1");
  out.add_application_protocols("h2c");
}

void add_http_inspector(const model::MeshConfig& mesh, Listener& out) {
  auto& filter = *out.add_listener_filters();
  filter.set_name("envoy.filters.listener.http_inspector");
  pack(envoy::extensions::filters::listener::http_inspector::v3::HttpInspector(),
       *filter.mutable_typed_config());
  set_duration(*out.mutable_listener_filters_timeout(),
               mesh.protocol_detection_timeout.value_or(model::Duration{}));
}

void add_tls_inspector(Listener& out) {
  auto& filter = *out.add_listener_filters();
  filter.set_name("envoy.filters.listener.tls_inspector");
  envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector config;
  config.mutable_initial_read_buffer_size()->set_value(512);
  pack(config, *filter.mutable_typed_config());
}

void set_tcp_to(const model::MeshConfig& mesh, const Manner& manner, const std::string& cluster,
                FilterChain& out) {
  set_tcp(mesh,
          {.stat_prefix = cluster,
           .clusters = {{.name = cluster, .weight = 0}},
           .idle_timeout = manner.idle_timeout},
          *out.add_filters());
}

resource::ResourcePtr to_resource(const Listener& listener, std::vector<std::string> origins) {
  return std::make_shared<const resource::Resource>(resource::Type::listener, listener.name(),
                                                    serialize(listener), std::move(origins));
}

}  // namespace graymesh::translate
