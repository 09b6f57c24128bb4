// Which statistics, and labels for the parts of Istio's cluster names.
#include "sidecar/bootstrap_stats.h"

#include <sstream>
#include <string>

#include "base/json.h"

namespace graymesh::sidecar {
namespace {

using Json = nlohmann::ordered_json;

// What dashboards, rules, release verdicts, our own probes and tests read. A match of a prefix or
// suffix is cheap; a regular expression here is run for each of 100 names of each cluster.
constexpr const char* prefixes =
    "server. cluster_manager. listener_manager. control_plane. cluster.xds-grpc. main_thread. "
    "workers. http.inbound http.outbound tcp. istio.";
// Of clusters. Control planes end a cluster's statistic name with ';' (alt_stat_name), and so
// `external.upstream_rq_time`, which repeats `upstream_rq_time`, stays out. Nothing that every
// cluster moves by itself (membership_total, update_success): 3,360 of each are 1 MB of a scrape,
// and endpoints are known to the control plane (graymesh_service_endpoints).
constexpr const char* of_clusters =
    "upstream_rq_total upstream_rq_active upstream_rq_completed upstream_rq_time "
    "upstream_rq_timeout upstream_rq_per_try_timeout upstream_rq_retry "
    "upstream_rq_retry_success upstream_rq_retry_overflow upstream_rq_pending_overflow "
    "upstream_rq_rx_reset "
    "upstream_rq_1xx upstream_rq_2xx upstream_rq_3xx upstream_rq_4xx upstream_rq_5xx "
    "upstream_cx_active upstream_cx_total upstream_cx_connect_fail upstream_cx_none_healthy "
    "upstream_cx_connect_timeout upstream_cx_overflow upstream_cx_rx_bytes_total "
    "upstream_cx_tx_bytes_total "
    "outlier_detection.ejections_active outlier_detection.ejections_enforced_total ";
constexpr const char* suffixes =
    ".downstream_cx_active .downstream_cx_total .downstream_rq_total .downstream_rq_active "
    ".downstream_rq_1xx .downstream_rq_2xx .downstream_rq_3xx .downstream_rq_4xx "
    ".downstream_rq_5xx .downstream_rq_time .no_route .no_cluster .update_rejected";
// Answers code by code: upstream_rq_503.
constexpr const char* codes = "cluster\\.[^;]*;\\.upstream_rq_[1-5][0-9][0-9]";

// Of Envoy's own tags those that its statistics above can have. Not `envoy.cluster_name`: its
// expression cuts the name at its first dot.
constexpr const char* default_tags[] = {
    "envoy.response_code",    "envoy.response_code_class", "envoy.http_conn_manager_prefix",
    "envoy.rds_route_config", "envoy.tcp_prefix",          "envoy.listener_address",
    "envoy.worker_id",
};
// Clusters that are nobody's service: `inbound|8080||;`, `xds-grpc`, `BlackHoleCluster;`.
constexpr const char* own_cluster = "^cluster\\.((inbound\\|[^;]*;?|[^.;|]+;?)\\.)";

void add_words(Json& patterns, const char* key, const std::string& before, const char* words) {
  std::istringstream stream(words);
  for (std::string word; stream >> word;) patterns.push_back({{key, before + word}});
}

Json stats_matcher() {
  Json patterns = Json::array();
  add_words(patterns, "prefix", "", prefixes);
  add_words(patterns, "suffix", ";.", of_clusters);
  add_words(patterns, "suffix", "", suffixes);
  patterns.push_back({{"safe_regex", {{"regex", codes}}}});
  return {{"inclusion_list", {{"patterns", std::move(patterns)}}}};
}

// The expression that takes the name `outbound|80|subset|service.namespace.svc.domain` out of a
// statistic (group 1) and gives one part of it as value (group 2). What follows the name must be
// the beginning of a statistic, because the name has dots of its own.
std::string part_of_cluster_name(const std::string& wanted) {
  const auto part = [&wanted](const char* name, const std::string& pattern) {
    return wanted == name ? "(" + pattern + ")" : pattern;
  };
  return "^cluster\\.(outbound\\|" + part("port", "\\d+") + "\\|" + part("subset", "[^|;]*") +
         "\\|" + part("service", "[^.|]+") + "\\." + part("namespace", "[^.|]+") +
         "\\.svc\\.[^;|]*?;?\\.)"
         "(?:upstream|membership|outlier|update|circuit|lb_|retry|external|internal|zone|default|"
         "assignment|http)";
}

// The host of `outbound|443||api.example.com;`, a ServiceEntry's: no label of it is `svc`, which
// RE2, without look-ahead, has to be told letter by letter.
std::string host_of_service_entry() {
  const std::string label =
      "(?:[^s.;|][^.;|]*|s(?:[^v.;|][^.;|]*)?|sv(?:[^c.;|][^.;|]*)?|svc[^.;|]+)";
  return R"(^cluster\.(outbound\|\d+\|[^|;]*\|()" + label + R"((?:\.)" + label + R"()*);\.))";
}

// Of bodies, for which Envoy's own bounds are too many and end at 3.6 MB.
Json bounds_of_sizes() {
  Json out = Json::array();
  for (const char* of : {"istio.request_bytes", "istio.response_bytes"}) {
    out.push_back({{"match", {{"prefix", of}}},
                   {"buckets", {1'000, 10'000, 100'000, 1'000'000, 10'000'000}}});
  }
  return out;
}

}  // namespace

Json bootstrap_stats(bool all) {
  Json tags = Json::array();
  for (const std::string part : {"port", "subset", "service", "namespace"}) {
    tags.push_back({{"tag_name", "mesh_" + part}, {"regex", part_of_cluster_name(part)}});
  }
  tags.push_back({{"tag_name", "mesh_host"}, {"regex", host_of_service_entry()}});
  tags.push_back({{"tag_name", "envoy.cluster_name"}, {"regex", own_cluster}});
  for (const char* tag : default_tags) tags.push_back({{"tag_name", tag}});
  Json config = {{"use_all_default_tags", false},
                 {"stats_tags", std::move(tags)},
                 {"histogram_bucket_settings", bounds_of_sizes()}};
  if (!all) config["stats_matcher"] = stats_matcher();
  return config;
}

}  // namespace graymesh::sidecar
