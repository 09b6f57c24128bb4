// How long logged calls took, and which traces show it: a histogram by who was called, where each
// bucket remembers the newest sampled call that fell into it. Prometheus keeps its trace id as an
// exemplar, and Grafana draws it into the panel as a link.
//
// A stock Envoy's own page has no exemplars, but it logs calls to us anyway: all of lanes, a share
// of the others. That is enough to find a slow one; how many there were, its own series say.
#include <fmt/core.h>

#include <algorithm>

#include "control/traffic/traffic.h"

namespace graymesh::traffic {
namespace {

constexpr const char* name = "graymesh_logged_call_duration_seconds";

}  // namespace

void Latencies::record(const Called& called, const Request& request, Clock::Wall now) {
  Row* to = row(called, now);
  if (to == nullptr) return;
  const double seconds = request.ms / 1000;
  const auto at =
      static_cast<std::size_t>(std::ranges::lower_bound(bounds, seconds) - bounds.begin());
  ++to->counts.at(at);
  to->sum += seconds;
  to->last = now;
  if (!request.trace.empty())
    to->traces.at(at) = {.id = request.trace, .seconds = seconds, .at = now};
}

// Null if there is no room for another.
Latencies::Row* Latencies::row(const Called& called, Clock::Wall now) {
  const auto found = rows_.find(called);
  if (found != rows_.end()) return &found->second;
  if (rows_.size() >= rows_max) {
    if (now < looked_ + look_again) return nullptr;  // there is a look at all rows in it
    looked_ = now;
    std::erase_if(rows_, [&](const auto& row) { return row.second.last + kept < now; });
    if (rows_.size() >= rows_max) return nullptr;
  }
  return &rows_[called];
}

std::string Latencies::page(bool exemplars, Clock::Wall now) const {
  std::string out = fmt::format(
      "# HELP {} Calls that proxies logged, all of lanes and a share of the others.\n"
      "# TYPE {} histogram\n",
      name, name);
  for (const auto& [called, row] : rows_) {
    if (row.last + kept < now) continue;
    // All three are names of Kubernetes, with nothing to escape.
    const std::string labels =
        fmt::format("namespace=\"{}\",service=\"{}\"{}", called.namespace_, called.service,
                    called.lane.empty() ? std::string() : fmt::format(",lane=\"{}\"", called.lane));
    std::uint64_t count = 0;
    for (std::size_t at = 0; at < row.counts.size(); ++at) {
      count += row.counts.at(at);
      out += fmt::format("{}_bucket{{{},le=\"{}\"}} {}", name, labels,
                         at < bounds.size() ? fmt::format("{}", bounds.at(at)) : "+Inf", count);
      const Trace& trace = row.traces.at(at);
      if (exemplars && !trace.id.empty()) {
        const std::chrono::duration<double> since_1970 = trace.at.time_since_epoch();
        out += fmt::format(" # {{trace_id=\"{}\"}} {} {:.3f}", trace.id, trace.seconds,
                           since_1970.count());
      }
      out += '\n';
    }
    out += fmt::format("{}_sum{{{}}} {}\n{}_count{{{}}} {}\n", name, labels, row.sum, name, labels,
                       count);
  }
  return out;
}

}  // namespace graymesh::traffic
