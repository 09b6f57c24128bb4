// How a destination is called: Istio's DestinationRule and the settings inside it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "model/meta.h"

namespace graymesh::model {

struct Percentage {  // 0 to 100
  double value = 0;
  bool operator==(const Percentage&) const = default;
};

struct TcpKeepalive {
  std::uint32_t probes = 0;
  std::optional<Duration> time;
  std::optional<Duration> interval;

  bool operator==(const TcpKeepalive&) const = default;
};

struct HttpCookie {
  std::string name;
  std::string path;
  std::optional<Duration> ttl;
  std::vector<std::pair<std::string, std::string>> attributes;

  bool operator==(const HttpCookie&) const = default;
};

struct ConsistentHash {
  struct Header {
    std::string name;
    bool operator==(const Header&) const = default;
  };
  struct SourceIp {
    bool operator==(const SourceIp&) const = default;
  };
  struct QueryParameter {
    std::string name;
    bool operator==(const QueryParameter&) const = default;
  };
  std::variant<SourceIp, Header, HttpCookie, QueryParameter> key;
  // Ring hash unless `maglev_table_size` is set (0: Envoy's default size).
  std::optional<std::uint64_t> minimum_ring_size;
  std::optional<std::uint64_t> maglev_table_size;

  bool operator==(const ConsistentHash&) const = default;
};

struct Warmup {
  Duration duration{};
  std::optional<double> minimum_percent;
  std::optional<double> aggression;

  bool operator==(const Warmup&) const = default;
};

struct LocalityLb {
  struct Distribute {
    std::string from;
    std::map<std::string, std::uint32_t> to;
    bool operator==(const Distribute&) const = default;
  };
  struct Failover {
    std::string from;
    std::string to;
    bool operator==(const Failover&) const = default;
  };
  std::vector<Distribute> distribute;
  std::vector<Failover> failover;
  std::vector<std::string> failover_priority;
  std::optional<bool> enabled;

  bool operator==(const LocalityLb&) const = default;
};

struct LoadBalancer {
  enum class Simple : std::uint8_t { unspecified, random, passthrough, round_robin, least_request };
  Simple simple = Simple::unspecified;  // LEAST_CONN is read as least_request
  std::optional<ConsistentHash> consistent_hash;
  std::optional<LocalityLb> locality;
  std::optional<Warmup> warmup;  // also the deprecated warmupDurationSecs

  bool operator==(const LoadBalancer&) const = default;
};

struct ConnectionPool {
  enum class H2Upgrade : std::uint8_t { unspecified, do_not_upgrade, upgrade };
  struct Tcp {
    std::int32_t max_connections = 0;  // 0: no limit
    std::optional<Duration> connect_timeout;
    std::optional<TcpKeepalive> keepalive;
    std::optional<Duration> max_connection_duration;
    std::optional<Duration> idle_timeout;
    bool operator==(const Tcp&) const = default;
  };
  struct Http2KeepAlive {
    std::optional<Duration> interval;
    std::optional<Duration> timeout;
    bool operator==(const Http2KeepAlive&) const = default;
  };
  struct Http {
    std::int32_t http1_max_pending_requests = 0;
    std::int32_t http2_max_requests = 0;
    std::int32_t max_requests_per_connection = 0;
    std::int32_t max_retries = 0;
    std::optional<Duration> idle_timeout;
    H2Upgrade h2_upgrade = H2Upgrade::unspecified;
    bool use_client_protocol = false;
    std::int32_t max_concurrent_streams = 0;
    std::optional<Http2KeepAlive> http2_keep_alive;
    bool operator==(const Http&) const = default;
  };
  std::optional<Tcp> tcp;
  std::optional<Http> http;

  bool operator==(const ConnectionPool&) const = default;
};

struct OutlierDetection {
  bool split_external_local_origin_errors = false;
  std::optional<std::uint32_t> consecutive_local_origin_failures;
  std::optional<std::uint32_t> consecutive_gateway_errors;
  std::optional<std::uint32_t> consecutive_5xx_errors;
  std::optional<Duration> interval;
  std::optional<Duration> base_ejection_time;
  std::int32_t max_ejection_percent = 0;  // 0: not given
  std::int32_t min_health_percent = 0;
  std::vector<std::uint32_t> error_codes;  // answers that are errors; empty: all 5xx

  bool operator==(const OutlierDetection&) const = default;
};

struct ClientTls {
  enum class Mode : std::uint8_t { disable, simple, mutual, istio_mutual };
  Mode mode = Mode::disable;
  std::string client_certificate;
  std::string private_key;
  std::string ca_certificates;
  std::string ca_crl;
  std::string credential_name;
  std::vector<std::string> subject_alt_names;
  std::string sni;
  std::optional<bool> insecure_skip_verify;

  bool operator==(const ClientTls&) const = default;
};

struct RetryBudget {
  std::optional<double> percent;
  std::uint32_t min_retry_concurrency = 0;
  std::optional<Duration> interval;  // how long a request counts; none: while it is active

  bool operator==(const RetryBudget&) const = default;
};

struct ProxyProtocol {
  std::uint8_t version = 1;  // 1 or 2
  bool operator==(const ProxyProtocol&) const = default;
};

// The settings that can stand at the whole host, a port, a subset, or a subset's port.
struct PortPolicy {
  std::optional<LoadBalancer> load_balancer;
  std::optional<ConnectionPool> connection_pool;
  std::optional<OutlierDetection> outlier_detection;
  std::optional<ClientTls> tls;

  bool operator==(const PortPolicy&) const = default;
};

struct TrafficPolicy : PortPolicy {
  std::vector<std::pair<std::uint32_t, PortPolicy>> port_level;  // (port number, its policy)
  std::optional<ProxyProtocol> proxy_protocol;
  std::optional<RetryBudget> retry_budget;

  bool operator==(const TrafficPolicy&) const = default;
};

struct Subset {
  std::string name;
  Labels labels;
  std::optional<TrafficPolicy> policy;
  // The subset that answers while this one cannot; empty: none. Ours, of the annotation
  // graymesh.io/fallback.
  std::string fallback;
  Position position;

  bool operator==(const Subset&) const = default;
};

struct DestinationRule {
  std::string host;  // as written: short, FQDN or wildcard
  std::optional<TrafficPolicy> policy;
  std::vector<Subset> subsets;
  std::vector<std::string> export_to;
  Labels workload_selector;  // matchLabels; empty: every client

  bool operator==(const DestinationRule&) const = default;
};

}  // namespace graymesh::model
