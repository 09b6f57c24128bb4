#include "release/verdict/answers.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <stdexcept>

#include "base/json.h"

namespace graymesh::verdict {
namespace {

using Json = nlohmann::json;

constexpr std::string_view cluster_prefix = "cluster.";

// 2^53: above it a double does not count any more.
double count_of(const Json& json) {
  const double value = json.get<double>();
  if (!std::isfinite(value) || value < 0 || value > 9007199254740992.0)
    throw std::out_of_range(fmt::format("count {} is none", value));
  return value;
}

// "cluster.NAME;.upstream_rq_2xx" in its two parts. Names have dots, so they end in `;`
// (alt_stat_name); what has another dot after it is of a part of the cluster (retry., external.).
bool split(std::string_view stat, std::string& cluster, std::string_view& name) {
  if (!stat.starts_with(cluster_prefix)) return false;
  const auto end = stat.find(";.");
  if (end == std::string_view::npos) return false;
  cluster = stat.substr(cluster_prefix.size(), end - cluster_prefix.size());
  name = stat.substr(end + 2);
  return true;
}

void read_counter(const Json& stat, std::map<std::string, ClusterCounts>& out) {
  std::string cluster;
  std::string_view name;
  if (!split(stat.at("name").get_ref<const std::string&>(), cluster, name)) return;
  const bool retry = name == "upstream_rq_retry";
  const bool answered = name.size() == 15 && name.starts_with("upstream_rq_") &&
                        name.ends_with("xx") && name[12] >= '2' && name[12] <= '5';
  if (!retry && !answered) return;
  const double value = count_of(stat.at("value"));
  ClusterCounts& counts = out[cluster];
  counts.requests += value;
  if (retry || name[12] == '5') counts.failures += value;
}

void read_histogram(const Json& detail, std::map<std::string, ClusterCounts>& out) {
  std::string cluster;
  std::string_view name;
  if (!split(detail.at("name").get_ref<const std::string&>(), cluster, name)) return;
  if (name != "upstream_rq_time") return;
  ClusterCounts& counts = out[cluster];
  for (const Json& bucket : detail.at("totals")) {
    const double upper = count_of(bucket.at("lower_bound")) + count_of(bucket.at("width"));
    counts.ms.at(bucket_of(upper)) += count_of(bucket.at("count"));
  }
}

}  // namespace

std::string envoy_stats_path(std::string_view begin) {
  std::string name;
  for (const char c : begin) {
    if (c == '.') name += "%5C";
    name += c;
  }
  return fmt::format(
      "/stats?format=json&usedonly&histogram_buckets=detailed&filter="
      "%5Ecluster%5C.outbound%5C%7C%5B%5E%3B%5D*%5C%7C{}%5B%5E%3B%5D*%3B%5C.upstream_rq_"
      "(%5B2-5%5Dxx%7Cretry%7Ctime)%24",
      name);
}

Result<std::map<std::string, ClusterCounts>> read_envoy_stats(std::string_view json) {
  try {
    std::map<std::string, ClusterCounts> out;
    const Json page = Json::parse(json);
    for (const Json& stat : page.at("stats")) {
      if (!stat.contains("histograms")) {
        read_counter(stat, out);
        continue;
      }
      const Json& histograms = stat.at("histograms");
      if (!histograms.contains("details")) continue;
      for (const Json& detail : histograms.at("details")) read_histogram(detail, out);
    }
    return out;
  } catch (const std::exception& fault) {  // nlohmann's, and count_of()'s
    return Error{Code::invalid_argument, fmt::format("Envoy's statistics: {}", fault.what())};
  }
}

ClusterCounts since(const ClusterCounts& before, const ClusterCounts& now) {
  bool anew = now.requests < before.requests || now.failures < before.failures;
  for (std::size_t i = 0; i < latency_buckets; ++i) anew = anew || now.ms[i] < before.ms[i];
  if (anew) return now;
  ClusterCounts out{now.requests - before.requests, now.failures - before.failures, now.ms};
  for (std::size_t i = 0; i < latency_buckets; ++i) out.ms[i] -= before.ms[i];
  // Statistics are read one after the other, while requests end.
  out.failures = std::min(out.failures, out.requests);
  return out;
}

Result<std::optional<double>> read_prometheus(std::string_view json) {
  try {
    const Json answer = Json::parse(json);
    if (answer.at("status") != "success")
      return Error{Code::invalid_argument,
                   fmt::format("Prometheus: {}", answer.value("error", "no success"))};
    const Json& data = answer.at("data");
    const std::string type = data.at("resultType");
    const Json* value = &data.at("result");
    if (type == "vector") {
      if (value->empty()) return std::optional<double>();
      if (value->size() > 1)
        return Error{Code::invalid_argument,
                     fmt::format("Prometheus: {} series, must be one: sum them", value->size())};
      value = &value->at(0).at("value");
    } else if (type != "scalar") {
      return Error{Code::invalid_argument,
                   fmt::format("Prometheus: a result of type {}, must be vector or scalar", type)};
    }
    const auto& text = value->at(1).get_ref<const std::string&>();
    double number = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (fault != std::errc() || end != text.data() + text.size()) {
      if (text == "NaN" || text == "+Inf" || text == "-Inf") return std::optional<double>();
      throw std::invalid_argument(fmt::format("value {} is no number", text));
    }
    return std::isfinite(number) ? std::optional(number) : std::nullopt;
  } catch (const std::exception& fault) {  // nlohmann's, and those above
    return Error{Code::invalid_argument, fmt::format("Prometheus: {}", fault.what())};
  }
}

}  // namespace graymesh::verdict
