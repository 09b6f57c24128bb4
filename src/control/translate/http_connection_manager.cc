// docs/translation.md 5.8: how a connection is read as HTTP, and what each request passes on its
// way.
#include "control/translate/http_connection_manager.h"

#include "control/translate/site.h"
#include "control/translate/wire.h"
#include "envoy/config/accesslog/v3/accesslog.pb.h"
#include "envoy/config/common/mutation_rules/v3/mutation_rules.pb.h"
#include "envoy/config/listener/v3/listener_components.pb.h"
#include "envoy/config/route/v3/route.pb.h"
#include "envoy/extensions/filters/http/cors/v3/cors.pb.h"
#include "envoy/extensions/filters/http/fault/v3/fault.pb.h"
#include "envoy/extensions/filters/http/grpc_stats/v3/config.pb.h"
#include "envoy/extensions/filters/http/grpc_web/v3/grpc_web.pb.h"
#include "envoy/extensions/filters/http/router/v3/router.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h"
#include "envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation.pb.h"

namespace graymesh::translate {
namespace {

using envoy::config::listener::v3::Filter;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;

void add_filter(const char* name, const google::protobuf::Message& config,
                HttpConnectionManager& out) {
  auto& filter = *out.add_http_filters();
  filter.set_name(name);
  pack(config, *filter.mutable_typed_config());
}

// In istiod's order, without the filters that only Istio's own Envoy has.
void add_filters(const model::MeshConfig& mesh, const HttpHandling& handling,
                 HttpConnectionManager& out) {
  if (handling.manner.tells_lanes && handling.side == Side::outbound)
    set_lane_witness(mesh, !handling.lane.empty(), *out.add_http_filters());
  if (handling.side == Side::gateway) set_site_filter(*out.add_http_filters());
  if (handling.protocol == snapshot::Protocol::grpc_web) {
    add_filter("envoy.filters.http.grpc_web",
               envoy::extensions::filters::http::grpc_web::v3::GrpcWeb(), out);
  }
  if (snapshot::is_http2(handling.protocol)) {
    envoy::extensions::filters::http::grpc_stats::v3::FilterConfig stats;
    stats.set_emit_filter_state(true);
    stats.mutable_stats_for_all_methods()->set_value(false);
    add_filter("envoy.filters.http.grpc_stats", stats, out);
  }
  add_filter("envoy.filters.http.fault", envoy::extensions::filters::http::fault::v3::HTTPFault(),
             out);
  add_filter("envoy.filters.http.cors", envoy::extensions::filters::http::cors::v3::Cors(), out);
  add_filter("envoy.filters.http.router", envoy::extensions::filters::http::router::v3::Router(),
             out);
}

void set_path_normalization(model::MeshConfig::Normalization normalization,
                            HttpConnectionManager& out) {
  using Normalization = model::MeshConfig::Normalization;
  out.mutable_normalize_path()->set_value(normalization != Normalization::none);
  if (normalization == Normalization::merge_slashes ||
      normalization == Normalization::decode_and_merge_slashes) {
    out.set_merge_slashes(true);
  }
  out.set_path_with_escaped_slashes_action(normalization == Normalization::decode_and_merge_slashes
                                               ? HttpConnectionManager::UNESCAPE_AND_FORWARD
                                               : HttpConnectionManager::KEEP_UNCHANGED);
}

// Which certificate the client showed, told to whoever comes next.
void forward_client_certificate(Side side, HttpConnectionManager& out) {
  if (side == Side::outbound) return;
  auto& details = *out.mutable_set_current_client_cert_details();
  details.mutable_subject()->set_value(true);
  details.set_dns(true);
  details.set_uri(true);
  if (side == Side::gateway) details.set_cert(true);
  out.set_forward_client_cert_details(side == Side::gateway
                                          ? HttpConnectionManager::SANITIZE_SET
                                          : HttpConnectionManager::APPEND_FORWARD);
}

// Before the route is chosen: what a route adds to a request has no influence on its own match.
void stamp_lane(const model::MeshConfig& mesh, const HttpHandling& handling,
                HttpConnectionManager& out) {
  envoy::extensions::http::early_header_mutation::header_mutation::v3::HeaderMutation config;
  if (handling.manner.tells_lanes) mark_lane_sent(mesh, config);
  auto& stamp = *config.add_mutations()->mutable_append();
  stamp.set_append_action(envoy::config::core::v3::HeaderValueOption::ADD_IF_ABSENT);
  stamp.mutable_header()->set_key(mesh.lane_header);
  stamp.mutable_header()->set_value(std::string(handling.lane));
  auto& extension = *out.add_early_header_mutation_extensions();
  extension.set_name("envoy.http.early_header_mutation.header_mutation");
  pack(config, *extension.mutable_typed_config());
}

}  // namespace

void set_http(const model::MeshConfig& mesh, const HttpHandling& handling, Filter& out) {
  HttpConnectionManager http;
  http.set_codec_type(HttpConnectionManager::AUTO);
  http.set_stat_prefix(handling.stat_prefix);
  if (handling.routes) {
    *http.mutable_route_config() = *handling.routes;
  } else {
    http.mutable_rds()->set_route_config_name(handling.table);
    set_ads(*http.mutable_rds()->mutable_config_source());
  }
  add_filters(mesh, handling, http);
  set_path_normalization(mesh.path_normalization, http);
  http.add_upgrade_configs()->set_upgrade_type("websocket");
  http.mutable_stream_idle_timeout();  // 0 s: none; a route's own timeout decides
  http.set_proxy_100_continue(true);
  http.mutable_use_remote_address()->set_value(handling.side == Side::gateway);
  if (handling.side != Side::outbound) http.set_server_name("istio-envoy");
  forward_client_certificate(handling.side, http);
  if (handling.side == Side::inbound && snapshot::is_http2(handling.protocol))
    http.mutable_http2_protocol_options();
  if (handling.explicit_proxy)
    http.mutable_http_protocol_options()->mutable_allow_absolute_url()->set_value(true);
  if (handling.manner.http10) http.mutable_http_protocol_options()->set_accept_http_10(true);
  if (handling.manner.idle_timeout) {
    set_duration(*http.mutable_common_http_protocol_options()->mutable_idle_timeout(),
                 *handling.manner.idle_timeout);
  }
  if (!handling.lane.empty()) stamp_lane(mesh, handling, http);
  if (mesh.tracing) set_tracing(mesh, http);
  if (logs_access(mesh)) set_access_log(mesh, *http.add_access_log());
  if (handling.manner.tells_lanes) set_lane_log(mesh, handling, *http.add_access_log());
  if (handling.manner.counts_requests) set_request_metrics(handling, *http.add_access_log());
  out.set_name("envoy.filters.network.http_connection_manager");
  pack(http, *out.mutable_typed_config());
}

void set_tcp(const model::MeshConfig& mesh, const TcpHandling& handling, Filter& out) {
  TcpProxy tcp;
  tcp.set_stat_prefix(handling.stat_prefix);
  if (handling.clusters.size() == 1) {
    tcp.set_cluster(handling.clusters.front().name);
  } else {
    for (const auto& cluster : handling.clusters) {
      auto& weighted = *tcp.mutable_weighted_clusters()->add_clusters();
      weighted.set_name(cluster.name);
      weighted.set_weight(cluster.weight);
    }
  }
  std::optional<model::Duration> idle = handling.idle_timeout;
  if (handling.pool && handling.pool->tcp) {
    const auto& settings = *handling.pool->tcp;
    if (settings.idle_timeout) idle = settings.idle_timeout;
    if (settings.max_connection_duration) {
      set_duration(*tcp.mutable_max_downstream_connection_duration(),
                   *settings.max_connection_duration);
    }
  }
  if (idle) set_duration(*tcp.mutable_idle_timeout(), *idle);
  if (handling.hash_source_ip) tcp.add_hash_policy()->mutable_source_ip();
  if (logs_access(mesh)) set_access_log(mesh, *tcp.add_access_log());
  out.set_name("envoy.filters.network.tcp_proxy");
  pack(tcp, *out.mutable_typed_config());
}

}  // namespace graymesh::translate
