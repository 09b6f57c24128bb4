#include <charconv>
#include <cmath>
#include <stdexcept>

#include "base/json.h"
#include "control/gather/gather.h"

namespace graymesh::gather {
namespace {

using Json = nlohmann::json;

// A century, so that it can be counted in nanoseconds.
constexpr double uptime_max = 3.2e9;

// 2^53: above it a double does not count any more.
double count_of(const Json& json) {
  const double value = json.get<double>();
  if (!std::isfinite(value) || value < 0 || value > 9007199254740992.0)
    throw std::out_of_range("a count is out of range");
  return value;
}

// Where a statistic belongs, and its name: "cluster.NAME;.upstream_rq_200" and
// "http.inbound_...;.downstream_rq_2xx". Null: neither.
live::Counts* counts_for(std::string_view stat, std::string_view& name, Page& page) {
  const auto end = stat.find(";.");
  if (end == std::string_view::npos) return nullptr;
  name = stat.substr(end + 2);
  constexpr std::string_view of_cluster = "cluster.", of_upstream = "upstream_rq_";
  constexpr std::string_view of_instance = "http.inbound_", of_downstream = "downstream_rq_";
  if (stat.starts_with(of_cluster) && name.starts_with(of_upstream)) {
    name.remove_prefix(of_upstream.size());
    return &page.clusters[std::string(stat.substr(of_cluster.size(), end - of_cluster.size()))];
  }
  if (stat.starts_with(of_instance) && name.starts_with(of_downstream)) {
    name.remove_prefix(of_downstream.size());
    return &page.received;
  }
  return nullptr;
}

void read_counter(const Json& stat, Page& page) {
  const auto& full = stat.at("name").get_ref<const std::string&>();
  const double value = count_of(stat.at("value"));
  if (full == "server.uptime") {
    if (value > uptime_max) throw std::out_of_range("the uptime is out of range");
    page.uptime = std::chrono::seconds(static_cast<long>(value));
  }
  std::string_view name;
  live::Counts* counts = counts_for(full, name, page);
  if (counts == nullptr) return;
  if (name == "retry") counts->retries += value;
  if (name.size() != 3 || name[0] < '1' || name[0] > '5') return;
  if (name.ends_with("xx")) {
    counts->classes.at(static_cast<std::size_t>(name[0] - '1')) += value;
    return;
  }
  std::uint16_t code = 0;
  const auto [end, fault] = std::from_chars(name.data(), name.data() + name.size(), code);
  if (fault != std::errc() || end != name.data() + name.size()) return;
  // The classes have these answers already.
  live::Counts one;
  one.codes.emplace_back(code, value);
  *counts += one;
}

void read_histogram(const Json& detail, Page& page) {
  std::string_view name;
  live::Counts* counts = counts_for(detail.at("name").get_ref<const std::string&>(), name, page);
  if (counts == nullptr || name != "time") return;
  for (const Json& bucket : detail.at("totals"))
    counts->took(count_of(bucket.at("lower_bound")), count_of(bucket.at("count")));
}

}  // namespace

Result<Page> read_page(std::string_view json) {
  try {
    Page page;
    const Json all = Json::parse(json);
    for (const Json& stat : all.at("stats")) {
      if (!stat.contains("histograms")) {
        read_counter(stat, page);
        continue;
      }
      const Json& histograms = stat.at("histograms");
      if (!histograms.contains("details")) continue;
      for (const Json& detail : histograms.at("details")) read_histogram(detail, page);
    }
    return page;
  } catch (const std::exception& fault) {  // nlohmann's, and count_of()'s
    return Error{Code::invalid_argument, std::string("Envoy's statistics: ") + fault.what()};
  }
}

}  // namespace graymesh::gather
