// Figures from a Prometheus that scrapes the sidecars as `graymesh render --monitoring` says.
#include <fmt/core.h>
#include <httplib.h>

#include <charconv>
#include <cmath>
#include <ctime>

#include "cli/client.h"
#include "cli/durations.h"
#include "cli/live.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

constexpr const char* labels =
    "source_namespace,source_workload,source_app,source_canarytag,source_stage,source_version,"
    "proxy,"
    "namespace,service,port,stage,canarytag";

// Unix seconds of "5m", so long ago, or of an RFC 3339 time; empty: now.
Result<double> moment(const std::string& text) {
  const auto now = static_cast<double>(std::time(nullptr));
  if (text.empty()) return now;
  std::tm parts{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest != nullptr) {
    double fraction = 0;
    if (*rest == '.') fraction = std::strtod(rest, const_cast<char**>(&rest));
    if (std::string_view(rest) == "Z") return static_cast<double>(::timegm(&parts)) + fraction;
  }
  const auto ago = seconds_of(text);
  if (!ago)
    return Error{
        Code::invalid_argument,
        fmt::format("--time {}, must be as 2026-11-28T19:30:00Z, or 5m (so long ago)", text)};
  return now - static_cast<double>(ago->count());
}

class Prometheus {
 public:
  Prometheus(std::string url, double time) : url_(std::move(url)), time_(time) {
    while (url_.ends_with('/')) url_.pop_back();
  }

  // The series of an instant query.
  Result<json> query(const std::string& words) const {
    constexpr std::string_view scheme = "http://";
    if (!url_.starts_with(scheme))
      return Error{Code::invalid_argument,
                   fmt::format("--prometheus {}, must begin with http://", url_)};
    const auto slash = url_.find('/', scheme.size());
    httplib::Client client(url_.substr(0, slash));
    client.set_connection_timeout(2);
    client.set_read_timeout(30);
    const auto answer = client.Get(fmt::format("{}/api/v1/query?time={:.3f}&query={}",
                                               slash == url_.npos ? "" : url_.substr(slash), time_,
                                               percent_encoded(words)));
    if (!answer)
      return Error{Code::unavailable,
                   fmt::format("Prometheus at {}: {}", url_, httplib::to_string(answer.error()))};
    const json page = json::parse(answer->body, nullptr, false);
    if (!page.is_object() || page.value("status", "") != "success")
      return Error{Code::unavailable,
                   fmt::format("Prometheus at {} answered {}: {}", url_, answer->status,
                               page.is_object() ? page.value("error", "") : "")};
    return page.value(json::json_pointer("/data/result"), json::array());
  }

 private:
  std::string url_;
  double time_;
};

live::Edge edge_of(const json& metric) {
  const auto text = [&](const char* name) { return metric.value(name, ""); };
  live::Edge out;
  out.from = {.namespace_ = text("source_namespace"),
              .workload = text("source_app").empty() ? text("source_workload") : text("source_app"),
              .tag = text("source_stage") == "gray" ? text("source_canarytag") : "",
              .version = text("source_version"),
              .gateway = text("proxy") == "router"};
  const bool foreign = text("namespace") == "service-entry";
  out.to = {.namespace_ = foreign ? "" : text("namespace"),
            .service = text("service"),
            .subset = text("stage") == "normal" ? "baseline" : text("canarytag")};
  const std::string port = text("port");
  std::from_chars(port.data(), port.data() + port.size(), out.to.port);
  return out;
}

double value_of(const json& series) {
  const double value = std::strtod(series["value"][1].get<std::string>().c_str(), nullptr);
  return std::isfinite(value) && value > 0 ? value : 0;
}

using Sums = std::map<live::Edge, live::Counts>;

void add_classes(const json& result, Sums& sums) {
  for (const json& series : result) {
    const std::string name = series["metric"].value("response_code_class", "");
    if (name.size() != 3 || name[0] < '1' || name[0] > '5') continue;
    sums[edge_of(series["metric"])].classes.at(static_cast<std::size_t>(name[0] - '1')) +=
        value_of(series);
  }
}

// Spreads what lies between two of Prometheus' bounds evenly over our finer ones.
void spread(double low, double high, double count, live::Counts& counts) {
  if (count <= 0) return;
  const std::size_t first = live::bucket_of(low);
  for (std::size_t bucket = first; bucket < live::buckets; ++bucket) {
    const double from = std::max(low, live::lower_bound(bucket));
    const double to = std::min(high, live::lower_bound(bucket + 1));
    if (from >= high) break;
    if (to > from) counts.took(live::lower_bound(bucket), count * (to - from) / (high - low));
  }
}

void add_latencies(const json& result, Sums& sums) {
  std::map<live::Edge, std::map<double, double>> cumulative;  // by upper bound
  for (const json& series : result) {
    const double bound = std::strtod(series["metric"].value("le", "").c_str(), nullptr);
    cumulative[edge_of(series["metric"])][bound] += value_of(series);
  }
  for (const auto& [edge, bounds] : cumulative) {
    double low = 0, below = 0;
    for (const auto& [bound, count] : bounds) {
      // Beyond the last bound nobody knows: as if just there.
      spread(low, std::isfinite(bound) ? bound : low * 1.1 + 1, count - below, sums[edge]);
      if (std::isfinite(bound)) low = bound;
      below = std::max(below, count);
    }
  }
}

}  // namespace

Result<live::Window> prometheus_window(const LiveAsk& ask) {
  if (!ask.lane.empty())
    return Error{Code::invalid_argument,
                 "--lane does not go with --prometheus: a proxy's statistics do not know a "
                 "request's lane; `graymesh stat` has each version's canarytag"};
  const double time = TRY(moment(ask.time));
  const Prometheus prometheus(ask.prometheus, time);
  const auto increase = [&](const char* series, const char* by) {
    return fmt::format("sum by ({}{}) (increase({}[{}s])) > 0", labels, by, series, ask.seconds);
  };
  Sums sums;
  add_classes(TRY(prometheus.query(increase("envoy_cluster_upstream_rq{response_code_class!=\"\"}",
                                            ",response_code_class"))),
              sums);
  add_latencies(TRY(prometheus.query(increase("envoy_cluster_upstream_rq_time_bucket", ",le"))),
                sums);
  for (const json& series : TRY(prometheus.query(increase("envoy_cluster_upstream_rq_retry", ""))))
    sums[edge_of(series["metric"])].retries += value_of(series);
  live::Window out;
  out.to = std::chrono::system_clock::time_point(
      std::chrono::milliseconds(static_cast<std::int64_t>(time * 1000)));
  out.from = out.to - std::chrono::seconds(ask.seconds);
  out.source = "prometheus";
  for (auto& [edge, counts] : sums) out.rows.push_back({edge, std::move(counts)});
  return out;
}

}  // namespace graymesh::cli
