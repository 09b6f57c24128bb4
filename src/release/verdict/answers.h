// What others answer: an Envoy's statistics, a Prometheus' value. Foreign bytes, read to plain
// counts; what is not a finite number is no evidence, never a zero.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "release/verdict/verdict.h"

namespace graymesh::verdict {

// Of one cluster, since its Envoy started. A try that was repeated is a request that failed: else a
// version whose failures somebody else makes good would look well.
struct ClusterCounts {
  double requests = 0, failures = 0;
  Latencies ms = {};
  bool operator==(const ClusterCounts&) const = default;
};

// The path to ask an Envoy's admin for; it answers with used statistics of clusters towards hosts
// that begin so ("web.fe-pre.svc.") and nothing else, a few hundred bytes each.
std::string envoy_stats_path(std::string_view begin);

// Its answer, by cluster ("outbound|8080|feature-a|web.fe-pre.svc.cluster.local").
// invalid_argument if it is no such answer.
Result<std::map<std::string, ClusterCounts>> read_envoy_stats(std::string_view json);

// What came between two answers of one Envoy. One that began anew counts from nothing.
ClusterCounts since(const ClusterCounts& before, const ClusterCounts& now);

// The one number of an instant query. None: no series, NaN or infinite. invalid_argument: an error
// in Prometheus' words, several series, or no such answer.
Result<std::optional<double>> read_prometheus(std::string_view json);

}  // namespace graymesh::verdict
