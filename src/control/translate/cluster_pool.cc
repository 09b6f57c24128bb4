// Connections to a cluster: protocol, pool limits, keepalive (docs/translation.md 2.3 to 2.5).
#include "control/translate/cluster.h"
#include "control/translate/wire.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/common/matcher/v3/matcher.pb.h"
#include "envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h"

namespace graymesh::translate {
namespace {

using envoy::config::cluster::v3::CircuitBreakers_Thresholds;
using envoy::config::cluster::v3::Cluster;
using envoy::config::common::matcher::v3::MatchPredicate;
using envoy::extensions::upstreams::http::v3::HttpProtocolOptions;

enum class Upstream : std::uint8_t { any, http1, http2, as_downstream };

constexpr const char* options_name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

const model::ConnectionPool::Tcp* tcp_of(const Policy& policy) {
  return policy.connection_pool && policy.connection_pool->tcp ? &*policy.connection_pool->tcp
                                                               : nullptr;
}

const model::ConnectionPool::Http* http_of(const Policy& policy) {
  return policy.connection_pool && policy.connection_pool->http ? &*policy.connection_pool->http
                                                                : nullptr;
}

bool upgrades_to_http2(const ClusterInput& input) {
  if (input.inbound) return false;
  using H2Upgrade = model::ConnectionPool::H2Upgrade;
  const auto* http = http_of(input.policy);
  switch (http ? http->h2_upgrade : H2Upgrade::unspecified) {
    case H2Upgrade::upgrade:
      return true;
    case H2Upgrade::do_not_upgrade:
      return false;
    case H2Upgrade::unspecified:
      break;
  }
  return input.mesh.h2_upgrade == H2Upgrade::upgrade && snapshot::is_http(input.port.protocol);
}

Upstream upstream_of(const ClusterInput& input) {
  const auto* http = http_of(input.policy);
  if (http && http->use_client_protocol) return Upstream::as_downstream;
  if (snapshot::is_http2(input.port.protocol)) return Upstream::http2;
  const bool sidecar = input.client == Client::captured || input.client == Client::bound;
  if (sidecar && input.port.protocol == snapshot::Protocol::automatic)
    return Upstream::as_downstream;
  return upgrades_to_http2(input) ? Upstream::http2 : Upstream::any;
}

// True if anything was set.
bool set_common_options(const Policy& policy, HttpProtocolOptions& out) {
  const auto* http = http_of(policy);
  const auto* tcp = tcp_of(policy);
  auto& common = *out.mutable_common_http_protocol_options();
  if (http && http->idle_timeout) {
    set_duration(*common.mutable_idle_timeout(), *http->idle_timeout);
  } else if (tcp && tcp->idle_timeout) {
    set_duration(*common.mutable_idle_timeout(), *tcp->idle_timeout);
  }
  if (tcp && tcp->max_connection_duration) {
    set_duration(*common.mutable_max_connection_duration(), *tcp->max_connection_duration);
  }
  if (http && http->max_requests_per_connection > 0) {
    common.mutable_max_requests_per_connection()->set_value(
        static_cast<std::uint32_t>(http->max_requests_per_connection));
  }
  if (common.ByteSizeLong() > 0) return true;
  out.clear_common_http_protocol_options();
  return false;
}

void set_http2(const model::ConnectionPool::Http* http, HttpProtocolOptions& out) {
  auto& http2 = *out.mutable_explicit_http_config()->mutable_http2_protocol_options();
  if (!http) return;
  if (http->max_concurrent_streams > 0) {
    http2.mutable_max_concurrent_streams()->set_value(
        static_cast<std::uint32_t>(http->max_concurrent_streams));
  }
  if (http->http2_keep_alive && http->http2_keep_alive->interval &&
      http->http2_keep_alive->timeout) {
    auto& keepalive = *http2.mutable_connection_keepalive();
    set_duration(*keepalive.mutable_interval(), *http->http2_keep_alive->interval);
    set_duration(*keepalive.mutable_timeout(), *http->http2_keep_alive->timeout);
  }
}

void set_exact_status(std::uint32_t code, MatchPredicate& out) {
  auto& header = *out.mutable_http_response_headers_match()->add_headers();
  header.set_name(":status");
  header.mutable_string_match()->set_exact(std::to_string(code));
}

// Which answers eject an endpoint, where the rule names them.
bool set_error_codes(const ClusterInput& input, HttpProtocolOptions& out) {
  const auto* detection = input.inbound ? nullptr : input.policy.outlier_detection;
  if (!detection || detection->error_codes.empty()) return false;
  auto& matcher = *out.mutable_outlier_detection()->mutable_error_matcher();
  if (detection->error_codes.size() == 1) {
    set_exact_status(detection->error_codes.front(), matcher);
    return true;
  }
  for (const auto code : detection->error_codes)
    set_exact_status(code, *matcher.mutable_or_match()->add_rules());
  return true;
}

// SNI and the name to verify follow the request's Host where the rule gives neither.
bool set_tls_options(const ClusterInput& input, HttpProtocolOptions& out) {
  const auto* tls = input.policy.tls;
  if (!tls || !tls->sni.empty()) return false;
  if (tls->mode != model::ClientTls::Mode::simple && tls->mode != model::ClientTls::Mode::mutual)
    return false;
  auto& options = *out.mutable_upstream_http_protocol_options();
  options.set_auto_sni(true);
  const bool names_given =
      !tls->subject_alt_names.empty() || !input.service.subject_alt_names.empty();
  if (!names_given && !tls->insecure_skip_verify.value_or(false))
    options.set_auto_san_validation(true);
  return true;
}

void set_http_options(const ClusterInput& input, Cluster& out) {
  HttpProtocolOptions options;
  bool anything = set_common_options(input.policy, options);
  anything = set_tls_options(input, options) || anything;
  anything = set_error_codes(input, options) || anything;
  switch (upstream_of(input)) {
    case Upstream::http2:
      set_http2(http_of(input.policy), options);
      break;
    case Upstream::as_downstream: {
      auto& both = *options.mutable_use_downstream_protocol_config();
      both.mutable_http_protocol_options();
      both.mutable_http2_protocol_options();
      break;
    }
    case Upstream::http1:
    case Upstream::any:
      if (!anything) return;
      options.mutable_explicit_http_config()->mutable_http_protocol_options();
      break;
  }
  pack(options, (*out.mutable_typed_extension_protocol_options())[options_name]);
}

void lay_over(const std::optional<model::TcpKeepalive>& settings, Cluster& out) {
  if (!settings) return;
  auto& keepalive = *out.mutable_upstream_connection_options()->mutable_tcp_keepalive();
  const auto seconds = [](model::Duration value) {
    return static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::seconds>(value).count());
  };
  if (settings->probes > 0) keepalive.mutable_keepalive_probes()->set_value(settings->probes);
  if (settings->time) keepalive.mutable_keepalive_time()->set_value(seconds(*settings->time));
  if (settings->interval)
    keepalive.mutable_keepalive_interval()->set_value(seconds(*settings->interval));
}

void set_limits(const Policy& policy, CircuitBreakers_Thresholds& out) {
  const auto limit = [](std::int32_t value, google::protobuf::UInt32Value& field) {
    if (value > 0) field.set_value(static_cast<std::uint32_t>(value));
  };
  if (const auto* tcp = tcp_of(policy)) limit(tcp->max_connections, *out.mutable_max_connections());
  if (const auto* http = http_of(policy)) {
    limit(http->http1_max_pending_requests, *out.mutable_max_pending_requests());
    limit(http->http2_max_requests, *out.mutable_max_requests());
    limit(http->max_retries, *out.mutable_max_retries());
  }
  if (policy.retry_budget) {
    auto& budget = *out.mutable_retry_budget();
    budget.mutable_budget_percent()->set_value(policy.retry_budget->percent.value_or(20));
    const auto least = policy.retry_budget->min_retry_concurrency;
    budget.mutable_min_retry_concurrency()->set_value(least > 0 ? least : 3);
    if (policy.retry_budget->interval)
      set_duration(*budget.mutable_budget_interval(), *policy.retry_budget->interval);
  }
}

}  // namespace

void set_stat_name(std::string_view name, Cluster& out) {
  // The semicolon marks where the name ends in statistics, whatever dots it has.
  out.set_alt_stat_name(std::string(name) + ";");
}

void set_common(const model::MeshConfig& mesh, std::string_view name, Cluster& out) {
  out.set_name(std::string(name));
  set_stat_name(name, out);
  set_duration(*out.mutable_connect_timeout(), mesh.connect_timeout);
}

void set_connection_pool(const ClusterInput& input, Cluster& out) {
  auto& thresholds = *out.mutable_circuit_breakers()->add_thresholds();
  thresholds.mutable_max_connections()->set_value(no_limit);
  thresholds.mutable_max_pending_requests()->set_value(no_limit);
  thresholds.mutable_max_requests()->set_value(no_limit);
  thresholds.mutable_max_retries()->set_value(no_limit);
  set_limits(input.policy, thresholds);
  const auto* tcp = tcp_of(input.policy);
  if (tcp && tcp->connect_timeout)
    set_duration(*out.mutable_connect_timeout(), *tcp->connect_timeout);
  lay_over(input.mesh.tcp_keepalive, out);
  if (tcp) lay_over(tcp->keepalive, out);
  set_http_options(input, out);
}

}  // namespace graymesh::translate
