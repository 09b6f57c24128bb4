// Which statistics, and labels for the parts of Istio's cluster names.
#include "sidecar/bootstrap_stats.h"

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

namespace graymesh::sidecar {
namespace {

using Json = nlohmann::ordered_json;

// What dashboards, release verdicts, our own probes and tests read. A match of a prefix or suffix
// is cheap; a regular expression here is run for each of 100 names of each cluster.
constexpr const char* prefixes =
    "server. cluster_manager. listener_manager. control_plane. cluster.xds-grpc. main_thread. "
    "workers. http.inbound http.outbound tcp.";
constexpr const char* suffixes =
    ".upstream_rq_total .upstream_rq_active .upstream_rq_completed .upstream_rq_time "
    ".upstream_rq_timeout .upstream_rq_per_try_timeout .upstream_rq_retry "
    ".upstream_rq_retry_success .upstream_rq_retry_overflow .upstream_rq_pending_overflow "
    ".upstream_rq_rx_reset "
    ".upstream_rq_1xx .upstream_rq_2xx .upstream_rq_3xx .upstream_rq_4xx .upstream_rq_5xx "
    ".upstream_cx_active .upstream_cx_total .upstream_cx_connect_fail "
    ".upstream_cx_connect_timeout .upstream_cx_overflow .upstream_cx_rx_bytes_total "
    ".upstream_cx_tx_bytes_total "
    ".downstream_cx_active .downstream_cx_total .downstream_rq_total .downstream_rq_active "
    ".downstream_rq_1xx .downstream_rq_2xx .downstream_rq_3xx .downstream_rq_4xx "
    ".downstream_rq_5xx .downstream_rq_time .no_route .no_cluster "
    ".membership_healthy .membership_total "
    ".outlier_detection.ejections_active .outlier_detection.ejections_enforced_total "
    ".update_success .update_rejected .update_failure .config_reload";
// Answers code by code: upstream_rq_503.
constexpr const char* codes = "cluster\\..*\\.upstream_rq_[1-5][0-9][0-9]";

void add_words(Json& patterns, const char* key, const char* words) {
  std::istringstream stream(words);
  for (std::string word; stream >> word;) patterns.push_back({{key, word}});
}

Json stats_matcher() {
  Json patterns = Json::array();
  add_words(patterns, "prefix", prefixes);
  add_words(patterns, "suffix", suffixes);
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
  return "^cluster\\.(outbound\\|" + part("port", "\\d+") + "\\|" + part("subset", "[^|.]*") +
         "\\|" + part("service", "[^.|]+") + "\\." + part("namespace", "[^.|]+") +
         "\\.svc\\.[^;|]*?;?\\.)"
         "(?:upstream|membership|outlier|update|circuit|lb_|retry|external|internal|zone|default|"
         "assignment|http)";
}

}  // namespace

// Envoy's own tag cuts the cluster's name at its first dot, hence labels of ours.
Json bootstrap_stats(bool all) {
  Json tags = Json::array();
  for (const std::string part : {"port", "subset", "service", "namespace"}) {
    tags.push_back({{"tag_name", "mesh_" + part}, {"regex", part_of_cluster_name(part)}});
  }
  Json config = {{"use_all_default_tags", true}, {"stats_tags", std::move(tags)}};
  if (!all) config["stats_matcher"] = stats_matcher();
  return config;
}

}  // namespace graymesh::sidecar
