#include "model/analysis.h"

#include <fmt/core.h>

#include <set>

#include "model/fields.h"

namespace graymesh::model {
namespace {

// In points: without one health could never be proven.
constexpr double margin_min = 0.01, margin_max = 50;
// A Prometheus is asked for whole seconds.
constexpr Duration window_min = std::chrono::seconds(1);

std::string_view check_http_url(std::string_view text) {
  return text.starts_with("http://") ? "" : "must be an http:// URL";
}

std::string_view check_given(std::string_view text) {
  return text.empty() ? "must not be empty" : "";
}

void read_query(Fields& f, Analysis::Query& out) {
  if (f.require("name")) f.text("name", out.name, check_given);
  f.text("total", out.total);
  f.text("bad", out.bad);
  if (out.total.empty() != out.bad.empty())
    f.error({}, "must have both total and bad, or neither for the mesh's own");
  f.real("margin", out.margin, margin_min, margin_max);
}

void check_names(Fields& f, const std::vector<Analysis::Query>& queries) {
  std::set<std::string_view> names;
  for (const auto& query : queries) {
    if (!names.insert(query.name).second)
      f.error("queries", fmt::format("must have each name once; {} is there again", query.name));
  }
}

}  // namespace

void read_analysis(Fields& f, Analysis& out) {
  f.flag("proxies", out.proxies);
  f.visit("successRate",
          [&](Fields& rate) { rate.real("margin", out.success_margin, margin_min, margin_max); });
  f.visit("latency", [&](Fields& latency) {
    latency.real("percentile", out.latency.percentile, 1, 99.9);
    latency.real("margin", out.latency.margin, margin_min, margin_max);
    latency.real("slower", out.latency.slower, 0, 1000);
  });
  f.text("prometheus", out.prometheus, check_http_url);
  f.list("queries", out.queries, read_query);
  check_names(f, out.queries);
  if (out.prometheus.empty()) {
    if (!out.proxies)
      f.error("proxies", "must be true, or prometheus be there: nothing else is asked");
    else if (!out.queries.empty())
      f.error("queries", "must have a prometheus that is asked");
  } else if (out.proxies && out.queries.empty()) {
    f.error("prometheus", "must have queries, or proxies: false to be asked instead of them");
  }
  f.duration("window", out.window);
  if (out.window && *out.window < window_min) f.error("window", "must be 1s or more");
  if (out.window && out.prometheus.empty())
    f.error("window", "must have a prometheus that is asked for it");
  f.duration("interval", out.interval);
  f.visit("duration", [&](Fields& span) {
    span.duration("minimum", out.minimum, DurationRule::zero_or_milliseconds);
    span.duration("maximum", out.maximum);
    if (out.minimum && out.maximum && *out.minimum > *out.maximum)
      span.error("minimum", "must not be more than maximum");
  });
  using Inconclusive = Analysis::Inconclusive;
  f.choice<Inconclusive>("inconclusive", out.inconclusive,
                         {{"hold", Inconclusive::hold},
                          {"advance", Inconclusive::advance},
                          {"rollback", Inconclusive::rollback}});
  f.flag("dryRun", out.dry_run);
}

}  // namespace graymesh::model
