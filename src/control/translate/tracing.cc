// Spans by OTLP, to where MeshConfig says (docs/translation.md 7.5).
#include <fmt/core.h>

#include <chrono>

#include "control/translate/http_connection_manager.h"
#include "control/translate/parts.h"
#include "control/translate/wire.h"
#include "envoy/config/trace/v3/http_tracer.pb.h"
#include "envoy/config/trace/v3/opentelemetry.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/extensions/tracers/opentelemetry/resource_detectors/v3/environment_resource_detector.pb.h"
#include "envoy/type/tracing/v3/custom_tag.pb.h"
#include "envoy/type/v3/percent.pb.h"

namespace graymesh::translate {
namespace {

using envoy::config::trace::v3::OpenTelemetryConfig;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using envoy::extensions::tracers::opentelemetry::resource_detectors::v3::
    EnvironmentResourceDetectorConfig;

constexpr std::chrono::seconds export_timeout{5};

void set_exporter(const model::Tracing& tracing, OpenTelemetryConfig& out) {
  const auto cluster = outbound_cluster_name(tracing.port, "", tracing.host);
  if (!tracing.http) {
    auto& envoy = *out.mutable_grpc_service()->mutable_envoy_grpc();
    envoy.set_cluster_name(cluster);
    envoy.set_authority(tracing.host);
    return;
  }
  auto& http = *out.mutable_http_service();
  auto& uri = *http.mutable_http_uri();
  uri.set_uri(fmt::format("http://{}:{}{}", tracing.host, tracing.port, tracing.http->path));
  uri.set_cluster(cluster);
  set_duration(*uri.mutable_timeout(), tracing.http->timeout.value_or(export_timeout));
  for (const auto& [name, value] : tracing.http->headers) {
    auto& header = *http.add_request_headers_to_add()->mutable_header();
    header.set_key(name);
    header.set_value(value);
  }
}

// What decided, and which lane the request was in; left out of spans that have none.
void add_tags(const model::MeshConfig& mesh, HttpConnectionManager::Tracing& out) {
  auto& lane = *out.add_custom_tags();
  lane.set_tag("lane");
  lane.mutable_request_header()->set_name(mesh.lane_header);
  auto& rule = *out.add_custom_tags();
  rule.set_tag("rule");
  rule.mutable_metadata()->mutable_kind()->mutable_route();
  rule.mutable_metadata()->mutable_metadata_key()->set_key("istio");
  rule.mutable_metadata()->mutable_metadata_key()->add_path()->set_key("config");
}

}  // namespace

void set_tracing(const model::MeshConfig& mesh, HttpConnectionManager& out) {
  const model::Tracing& tracing = *mesh.tracing;
  auto& to = *out.mutable_tracing();
  to.mutable_client_sampling()->set_value(100);
  to.mutable_random_sampling()->set_value(tracing.sampling);
  to.mutable_overall_sampling()->set_value(100);
  if (tracing.max_tag_length != 0)
    to.mutable_max_path_tag_length()->set_value(tracing.max_tag_length);
  add_tags(mesh, to);

  OpenTelemetryConfig config;
  set_exporter(tracing, config);
  // OTEL_RESOURCE_ATTRIBUTES, which `graymesh sidecar run` sets: one listener serves many
  // workloads, so its bytes cannot say whose spans they are.
  auto& detector = *config.add_resource_detectors();
  detector.set_name("envoy.tracers.opentelemetry.resource_detectors.environment");
  pack(EnvironmentResourceDetectorConfig(), *detector.mutable_typed_config());
  auto& provider = *to.mutable_provider();
  provider.set_name("envoy.tracers.opentelemetry");
  pack(config, *provider.mutable_typed_config());
}

}  // namespace graymesh::translate
