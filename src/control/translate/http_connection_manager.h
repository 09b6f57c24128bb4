// Inside the room: what a filter chain does with HTTP, and with plain TCP.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/translate/scope.h"

namespace envoy::config::accesslog::v3 {
class AccessLog;
}  // namespace envoy::config::accesslog::v3
namespace envoy::config::listener::v3 {
class Filter;
}  // namespace envoy::config::listener::v3
namespace envoy::extensions::filters::network::http_connection_manager::v3 {
class HttpConnectionManager;
class HttpFilter;
}  // namespace envoy::extensions::filters::network::http_connection_manager::v3
namespace envoy::extensions::http::early_header_mutation::header_mutation::v3 {
class HeaderMutation;
}  // namespace envoy::extensions::http::early_header_mutation::header_mutation::v3
namespace envoy::config::route::v3 {
class RouteConfiguration;
}  // namespace envoy::config::route::v3

namespace graymesh::translate {

enum class Side : std::uint8_t { outbound, inbound, gateway };

struct HttpHandling {
  Side side = Side::outbound;
  std::string stat_prefix;
  std::string table;  // the route configuration's name, by RDS; empty: `routes`, inline
  const envoy::config::route::v3::RouteConfiguration* routes = nullptr;
  snapshot::Protocol protocol = snapshot::Protocol::http;
  bool explicit_proxy = false;  // requests may name the whole URL
  std::string_view lane = {};   // stamped on requests that name none; empty: nothing
  Manner manner = {};
  std::string host = {};  // inbound: of the service that requests are for; may be empty
};
void set_http(const model::MeshConfig& mesh, const HttpHandling& handling,
              envoy::config::listener::v3::Filter& out);

struct TcpHandling {
  std::string stat_prefix;
  struct Cluster {
    std::string name;
    std::uint32_t weight = 0;
  };
  std::vector<Cluster> clusters;                // at least one; weights count if there are several
  const model::ConnectionPool* pool = nullptr;  // its idle and maximum durations; may be null
  snapshot::DestinationRulePtr rule = nullptr;  // which `pool` is in
  bool hash_source_ip = false;
  std::optional<model::Duration> idle_timeout = {};  // the proxy's, where `pool` says none
};
void set_tcp(const model::MeshConfig& mesh, const TcpHandling& handling,
             envoy::config::listener::v3::Filter& out);

// MeshConfig's access log (docs/translation.md 7.4), in access_log.cc.
bool logs_access(const model::MeshConfig& mesh);
void set_access_log(const model::MeshConfig& mesh, envoy::config::accesslog::v3::AccessLog& out);
// Only connections that found no filter chain: what no other log tells.
void set_listener_log(const model::MeshConfig& mesh, envoy::config::accesslog::v3::AccessLog& out);

// Spans; to be called if MeshConfig's `tracing` is set. In tracing.cc.
void set_tracing(
    const model::MeshConfig& mesh,
    envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager& out);

// Requests counted under Istio's names, in request_metrics.cc.
void set_request_metrics(const HttpHandling& handling,
                         envoy::config::accesslog::v3::AccessLog& out);

// How requests carry lanes, told to us (docs/translation.md 13.5), in lane_log.cc.
void set_lane_log(const model::MeshConfig& mesh, const HttpHandling& handling,
                  envoy::config::accesslog::v3::AccessLog& out);
// The mutation that lets the log tell the application's header from the stamp, where there is one:
// it goes before the stamp.
void mark_lane_sent(
    const model::MeshConfig& mesh,
    envoy::extensions::http::early_header_mutation::header_mutation::v3::HeaderMutation& out);
// The filter that writes down that the application sent a header, before routes set one.
void set_lane_witness(
    const model::MeshConfig& mesh, bool stamped,
    envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter& out);

}  // namespace graymesh::translate
