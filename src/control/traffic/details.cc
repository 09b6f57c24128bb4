#include "control/traffic/details.h"

#include "envoy/data/accesslog/v3/accesslog.pb.h"

namespace graymesh::traffic {
namespace {

using envoy::data::accesslog::v3::AccessLogCommon;
using envoy::data::accesslog::v3::HTTPAccessLogEntry;
using envoy::data::accesslog::v3::ResponseFlags;

constexpr std::size_t path_bytes_max = 2048;
constexpr std::size_t name_bytes_max = 253;

// In the words of Envoy's %RESPONSE_FLAGS%.
std::string flags_of(const ResponseFlags& flags) {
  const std::pair<bool, const char*> all[] = {
      {flags.failed_local_healthcheck(), "LH"},
      {flags.no_healthy_upstream(), "UH"},
      {flags.upstream_request_timeout(), "UT"},
      {flags.local_reset(), "LR"},
      {flags.upstream_remote_reset(), "UR"},
      {flags.upstream_connection_failure(), "UF"},
      {flags.upstream_connection_termination(), "UC"},
      {flags.upstream_overflow(), "UO"},
      {flags.no_route_found(), "NR"},
      {flags.delay_injected(), "DI"},
      {flags.fault_injected(), "FI"},
      {flags.rate_limited(), "RL"},
      {flags.has_unauthorized_details(), "UAEX"},
      {flags.rate_limit_service_error(), "RLSE"},
      {flags.downstream_connection_termination(), "DC"},
      {flags.upstream_retry_limit_exceeded(), "URX"},
      {flags.stream_idle_timeout(), "SI"},
      {flags.invalid_envoy_request_headers(), "IH"},
      {flags.downstream_protocol_error(), "DPE"},
      {flags.upstream_max_stream_duration_reached(), "UMSDR"},
      {flags.no_filter_config_found(), "NFCF"},
      {flags.duration_timeout(), "DT"},
      {flags.upstream_protocol_error(), "UPE"},
      {flags.no_cluster_found(), "NC"},
      {flags.overload_manager(), "OM"},
      {flags.dns_resolution_failure(), "DF"},
  };
  std::string out;
  for (const auto& [set, name] : all) {
    if (set) out += (out.empty() ? "" : ",") + std::string(name);
  }
  return out;
}

std::string address_of(const AccessLogCommon& common) {
  if (!common.has_upstream_remote_address()) return {};
  const auto& address = common.upstream_remote_address().socket_address();
  return address.address() + ":" + std::to_string(address.port_value());
}

}  // namespace

Details details_of(const HTTPAccessLogEntry& entry) {
  const AccessLogCommon& common = entry.common_properties();
  const auto& begun = common.start_time();
  Details out;
  out.at = Clock::Wall(std::chrono::duration_cast<Clock::Wall::duration>(
      std::chrono::seconds(begun.seconds()) + std::chrono::nanoseconds(begun.nanos())));
  out.method = envoy::config::core::v3::RequestMethod_Name(entry.request().request_method());
  out.authority = entry.request().authority().substr(0, name_bytes_max);
  out.path = entry.request().path().substr(0, path_bytes_max);
  out.upstream = address_of(common);
  out.flags = flags_of(common.response_flags());
  out.received = entry.request().request_body_bytes();
  out.sent = entry.response().response_body_bytes();
  return out;
}

}  // namespace graymesh::traffic
