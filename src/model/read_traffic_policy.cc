// The settings of a DestinationRule that can stand at the host, a port, a subset, or a subset's
// port.
#include <fmt/core.h>

#include <limits>

#include "model/kinds.h"
#include "model/rules.h"

namespace graymesh::model {
namespace {

constexpr Range counts{0, std::numeric_limits<std::int32_t>::max()};

void read_keep_alive(Fields& f, ConnectionPool::Http2KeepAlive& out) {
  if (f.require("interval")) f.duration("interval", out.interval);
  if (f.require("timeout")) f.duration("timeout", out.timeout);
}

void read_pool_http(Fields& f, ConnectionPool::Http& out) {
  using Upgrade = ConnectionPool::H2Upgrade;
  f.number("http1MaxPendingRequests", out.http1_max_pending_requests, counts);
  f.number("http2MaxRequests", out.http2_max_requests, counts);
  f.number("maxRequestsPerConnection", out.max_requests_per_connection, counts);
  f.number("maxRetries", out.max_retries, counts);
  f.duration("idleTimeout", out.idle_timeout, DurationRule::zero_or_milliseconds);
  f.choice<Upgrade>("h2UpgradePolicy", out.h2_upgrade,
                    {{"DEFAULT", Upgrade::unspecified},
                     {"DO_NOT_UPGRADE", Upgrade::do_not_upgrade},
                     {"UPGRADE", Upgrade::upgrade}});
  f.flag("useClientProtocol", out.use_client_protocol);
  f.number("maxConcurrentStreams", out.max_concurrent_streams, counts);
  f.object("http2KeepAlive", out.http2_keep_alive, read_keep_alive);
  if (out.h2_upgrade == Upgrade::upgrade && out.use_client_protocol)
    f.error("useClientProtocol", "must not be true beside h2UpgradePolicy UPGRADE");
}

void read_pool_tcp(Fields& f, ConnectionPool::Tcp& out) {
  f.number("maxConnections", out.max_connections, counts);
  f.duration("connectTimeout", out.connect_timeout);
  f.object("tcpKeepalive", out.keepalive, read_tcp_keepalive);
  f.duration("maxConnectionDuration", out.max_connection_duration);
  f.duration("idleTimeout", out.idle_timeout, DurationRule::zero_or_milliseconds);
}

void read_outlier_detection(Fields& f, OutlierDetection& out) {
  f.flag("splitExternalLocalOriginErrors", out.split_external_local_origin_errors);
  f.number("consecutiveLocalOriginFailures", out.consecutive_local_origin_failures);
  f.number("consecutiveGatewayErrors", out.consecutive_gateway_errors);
  f.number("consecutive5xxErrors", out.consecutive_5xx_errors);
  if (f.has("consecutiveErrors")) {
    std::uint32_t errors = 0;
    f.number("consecutiveErrors", errors, counts);
    f.warn("consecutiveErrors",
           "is deprecated and has no effect, use consecutive5xxErrors or consecutiveGatewayErrors");
  }
  f.duration("interval", out.interval);
  f.duration("baseEjectionTime", out.base_ejection_time);
  f.number("maxEjectionPercent", out.max_ejection_percent, {0, 100});
  f.number("minHealthPercent", out.min_health_percent, {0, 100});
  f.numbers("outlierDetectionHttpErrorCodes", out.error_codes, {100, 599});
  f.without_effect({"failurePercentageThreshold"});
  if (!out.split_external_local_origin_errors &&
      out.consecutive_local_origin_failures.value_or(0) > 0) {
    f.error("consecutiveLocalOriginFailures",
            "must be beside splitExternalLocalOriginErrors: true");
  }
}

void check_client_tls(Fields& f, const ClientTls& tls) {
  using Mode = ClientTls::Mode;
  const bool encrypts = tls.mode == Mode::simple || tls.mode == Mode::mutual;
  const bool sans = f.has("subjectAltNames");
  if (tls.insecure_skip_verify.value_or(false) && encrypts) {
    const bool named = tls.mode == Mode::simple && !tls.credential_name.empty();
    if (!tls.ca_certificates.empty() || named || sans)
      f.error("insecureSkipVerify",
              "must not be true beside caCertificates, credentialName or subjectAltNames");
  }
  if (encrypts && !tls.credential_name.empty()) {
    for (const std::string_view name :
         {"clientCertificate", "privateKey", "caCertificates", "caCrl"}) {
      if (f.has(name)) f.error(name, "must not stand beside credentialName");
    }
    return;
  }
  if (tls.mode != Mode::mutual) return;
  if (tls.client_certificate.empty()) f.error("clientCertificate", "is required by mode MUTUAL");
  if (tls.private_key.empty()) f.error("privateKey", "is required by mode MUTUAL");
}

void read_client_tls(Fields& f, ClientTls& out) {
  using Mode = ClientTls::Mode;
  f.choice<Mode>("mode", out.mode,
                 {{"DISABLE", Mode::disable},
                  {"SIMPLE", Mode::simple},
                  {"MUTUAL", Mode::mutual},
                  {"ISTIO_MUTUAL", Mode::istio_mutual}});
  f.text("clientCertificate", out.client_certificate);
  f.text("privateKey", out.private_key);
  f.text("caCertificates", out.ca_certificates);
  f.text("caCrl", out.ca_crl);
  f.text("credentialName", out.credential_name);
  f.texts("subjectAltNames", out.subject_alt_names);
  f.text("sni", out.sni);
  f.flag("insecureSkipVerify", out.insecure_skip_verify);
  if (out.mode == Mode::istio_mutual)
    f.warn("mode", "is accepted but not supported yet: no effect");
  if (!out.credential_name.empty()) {
    f.warn("credentialName",
           "is accepted but not supported yet: no effect; gateways present no certificate, and "
           "sidecars use no TLS");
  }
  check_client_tls(f, out);
}

void read_port_policy(Fields& f, PortPolicy& out) {
  f.object("outlierDetection", out.outlier_detection, read_outlier_detection);
  f.object("connectionPool", out.connection_pool, read_connection_pool);
  f.object("loadBalancer", out.load_balancer, [&](Fields& fields, LoadBalancer& balancer) {
    read_load_balancer(fields, out.outlier_detection.has_value(), balancer);
  });
  f.object("tls", out.tls, read_client_tls);
}

bool has_port_policy(Fields& f) {
  return f.has("outlierDetection") || f.has("connectionPool") || f.has("loadBalancer") ||
         f.has("tls");
}

void read_tunnel(Fields& f) {
  std::string protocol, host;
  std::uint32_t port = 0;
  f.text("protocol", protocol, [](std::string_view text) -> std::string_view {
    return text.empty() || text == "CONNECT" || text == "POST" ? "" : "must be CONNECT or POST";
  });
  if (f.require("targetHost")) f.text("targetHost", host, check_host_or_ip);
  if (f.require("targetPort")) f.number("targetPort", port, port_range);
}

void read_retry_budget(Fields& f, RetryBudget& out) {
  f.real("percent", out.percent, 0, 100);
  f.number("minRetryConcurrency", out.min_retry_concurrency);
  f.duration("budgetInterval", out.interval, DurationRule::any);
}

}  // namespace

void read_tcp_keepalive(Fields& f, TcpKeepalive& out) {
  f.number("probes", out.probes);
  f.duration("time", out.time);
  f.duration("interval", out.interval);
}

void read_connection_pool(Fields& f, ConnectionPool& out) {
  f.object("tcp", out.tcp, read_pool_tcp);
  f.object("http", out.http, read_pool_http);
  if (!f.has("tcp") && !f.has("http")) f.error({}, "must have tcp or http");
}

void read_traffic_policy(Fields& f, TrafficPolicy& out) {
  read_port_policy(f, out);
  f.list("portLevelSettings", out.port_level,
         [](Fields& fields, std::pair<std::uint32_t, PortPolicy>& port) {
           fields.require("port");
           fields.object("port", port.first, read_port_selector);
           read_port_policy(fields, port.second);
           if (!has_port_policy(fields))
             fields.error({}, "must have at least one setting beside port");
         });
  f.visit("tunnel", read_tunnel);
  f.without_effect({"tunnel"});
  f.object("proxyProtocol", out.proxy_protocol, [](Fields& fields, ProxyProtocol& proxy) {
    fields.choice<std::uint8_t>("version", proxy.version,
                                {{"V1", std::uint8_t{1}}, {"V2", std::uint8_t{2}}});
  });
  f.object("retryBudget", out.retry_budget, read_retry_budget);
  f.at_most_one({"tunnel", "proxyProtocol"});
  if (!has_port_policy(f) && !f.has("portLevelSettings") && !f.has("tunnel") &&
      !f.has("proxyProtocol") && !f.has("retryBudget")) {
    f.error({}, "must have at least one setting");
  }
}

}  // namespace graymesh::model
