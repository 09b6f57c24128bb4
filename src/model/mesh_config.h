// Istio's MeshConfig (mesh.istio.io/v1alpha1), as far as it has effect here; `--mesh-config FILE`.
// Accepted forms: the bare MeshConfig, or a ConfigMap whose data has a `mesh` key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/edge.h"
#include "model/policy.h"
#include "model/traffic.h"

namespace graymesh::model {

// Where proxies send spans by OTLP: the extension provider that defaultProviders.tracing names.
struct Tracing {
  struct Http {
    std::string path;
    std::optional<Duration> timeout;
    std::vector<std::pair<std::string, std::string>> headers;
    bool operator==(const Http&) const = default;
  };
  std::string host;  // the collector's service, as the registry knows it
  std::uint32_t port = 0;
  std::optional<Http> http;          // OTLP over HTTP; absent: over gRPC
  std::uint32_t max_tag_length = 0;  // bytes of a span's URL; 0: Envoy's 256
  double sampling = 1;               // percent of traces that begin here; 0 to 100
  bool operator==(const Tracing&) const = default;
};

struct MeshConfig {
  std::string root_namespace = "istio-system";
  std::uint32_t proxy_listen_port = 15001;
  std::uint32_t proxy_inbound_listen_port = 15006;
  std::uint32_t proxy_http_port = 0;  // 0: no explicit HTTP proxy listener
  Duration connect_timeout = std::chrono::seconds(10);
  std::optional<Duration> protocol_detection_timeout;  // absent: 0 s, Istio's default
  std::optional<TcpKeepalive> tcp_keepalive;
  OutboundTraffic outbound_traffic = OutboundTraffic::allow_any;
  std::string access_log_file;  // empty: no access log; "/dev/stdout"
  std::string access_log_format;
  bool access_log_json = false;  // accessLogEncoding: JSON
  std::optional<Tracing> tracing;
  ConnectionPool::H2Upgrade h2_upgrade = ConnectionPool::H2Upgrade::unspecified;
  std::optional<Retries> default_http_retry_policy;
  std::optional<LocalityLb> locality_lb;
  enum class Normalization : std::uint8_t {
    default_,
    none,
    base,
    merge_slashes,
    decode_and_merge_slashes
  };
  Normalization path_normalization = Normalization::default_;
  std::vector<std::string> default_service_export_to;
  std::vector<std::string> default_virtual_service_export_to;
  std::vector<std::string> default_destination_rule_export_to;
  // ProxyConfig defaults.
  // Worker threads of the sidecars that we start; 0: as many as there are cores. Other proxies have
  // it of their own bootstrap.
  std::optional<std::uint32_t> concurrency;
  // The request header that names a lane, in lower case: proxyMetadata.GRAYMESH_LANE_HEADER, ours.
  std::string lane_header = "canarytag";
  // Proxies log requests of lanes to us, and of the others outbound this share, in millionths:
  // proxyMetadata.GRAYMESH_LANE_LOG, ours.
  bool lane_log = true;
  std::uint32_t lane_log_others = 10'000;
  // Proxies that can count requests under Istio's names: proxyMetadata.GRAYMESH_REQUEST_METRICS,
  // ours.
  bool request_metrics = true;
  // Virtual hosts come one by one, to proxies that can take them so: proxyMetadata.GRAYMESH_VHDS,
  // ours.
  bool vhds = false;
  std::uint64_t content = 0;  // hash of what was read; 0: all defaults

  bool operator==(const MeshConfig&) const = default;
};

}  // namespace graymesh::model
