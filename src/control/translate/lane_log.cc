// docs/translation.md 13.5: what proxies tell us of requests, so that it is known which application
// carries a lane on, and by what. The filter names no lane: lanes that come and go change no
// listener, whose connections would drain.
#include "control/translate/http_connection_manager.h"
#include "control/translate/wire.h"
#include "envoy/config/accesslog/v3/accesslog.pb.h"
#include "envoy/extensions/access_loggers/grpc/v3/als.pb.h"
#include "envoy/extensions/filters/http/header_to_metadata/v3/header_to_metadata.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation.pb.h"
#include "envoy/type/v3/percent.pb.h"

namespace graymesh::translate {
namespace {

using envoy::config::accesslog::v3::AccessLogFilter;

constexpr const char* marker = "x-graymesh-lane-sent";  // never leaves the proxy

// control/traffic reads these names.
const char* log_name(const HttpHandling& handling) {
  switch (handling.side) {
    case Side::inbound:
      return "graymesh.inbound";
    case Side::gateway:
      return "graymesh.gateway";
    case Side::outbound:
      return handling.lane.empty() ? "graymesh.outbound" : "graymesh.outbound.stamped";
  }
  return "";
}

void add_share(const char* key, std::uint32_t per_million, AccessLogFilter& any) {
  auto& share = *any.mutable_or_filter()->add_filters()->mutable_runtime_filter();
  share.set_runtime_key(key);
  share.mutable_percent_sampled()->set_numerator(per_million);
  share.mutable_percent_sampled()->set_denominator(envoy::type::v3::FractionalPercent::MILLION);
}

void set_filter(const model::MeshConfig& mesh, const HttpHandling& handling, AccessLogFilter& out) {
  auto& any = *out.mutable_or_filter();
  auto& header = *any.add_filters()->mutable_header_filter()->mutable_header();
  header.set_name(mesh.lane_header);
  header.set_present_match(true);
  auto& baggage = *any.add_filters()->mutable_header_filter()->mutable_header();
  baggage.set_name("baggage");
  baggage.mutable_string_match()->set_contains("canarytag");
  // A stamped call always has a lane; who is called tells nothing more than who calls.
  if (handling.side == Side::inbound || !handling.lane.empty()) return;
  // Calls without a lane tell who loses it.
  if (handling.side == Side::outbound && mesh.lane_log_others != 0)
    add_share("graymesh.lane_log_others", mesh.lane_log_others, out);
  // None, until somebody taps (control/gather/taps.cc).
  add_share("graymesh.tap", 0, out);
}

}  // namespace

void set_lane_log(const model::MeshConfig& mesh, const HttpHandling& handling,
                  envoy::config::accesslog::v3::AccessLog& out) {
  set_filter(mesh, handling, *out.mutable_filter());
  envoy::extensions::access_loggers::grpc::v3::HttpGrpcAccessLogConfig log;
  auto& common = *log.mutable_common_config();
  common.set_log_name(log_name(handling));
  common.mutable_grpc_service()->mutable_envoy_grpc()->set_cluster_name("xds-grpc");
  common.set_transport_api_version(envoy::config::core::v3::V3);
  log.add_additional_request_headers_to_log(mesh.lane_header);
  log.add_additional_request_headers_to_log("baggage");
  log.add_additional_request_headers_to_log("traceparent");  // leads from a slow call to its trace
  out.set_name("envoy.access_loggers.http_grpc");
  pack(log, *out.mutable_typed_config());
}

void mark_lane_sent(
    const model::MeshConfig& mesh,
    envoy::extensions::http::early_header_mutation::header_mutation::v3::HeaderMutation& out) {
  out.add_mutations()->set_remove(marker);
  auto& append = *out.add_mutations()->mutable_append();
  append.set_append_action(envoy::config::core::v3::HeaderValueOption::OVERWRITE_IF_EXISTS_OR_ADD);
  append.mutable_header()->set_key(marker);
  append.mutable_header()->set_value("%REQ(" + mesh.lane_header + ")%");
}

void set_lane_witness(
    const model::MeshConfig& mesh, bool stamped,
    envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter& out) {
  envoy::extensions::filters::http::header_to_metadata::v3::Config config;
  auto& rule = *config.add_request_rules();
  rule.set_header(stamped ? marker : mesh.lane_header);
  rule.set_remove(stamped);
  rule.mutable_on_header_present()->set_metadata_namespace("graymesh");
  rule.mutable_on_header_present()->set_key("lane_sent");
  out.set_name("envoy.filters.http.header_to_metadata");
  pack(config, *out.mutable_typed_config());
}

}  // namespace graymesh::translate
