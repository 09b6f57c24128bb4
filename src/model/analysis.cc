#include "model/analysis.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <set>

#include "model/fields.h"

namespace graymesh::model {
namespace {

using Json = nlohmann::json;

// In points: without one health could never be proven.
constexpr double margin_min = 0.01, margin_max = 50;

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

Json nanos(const std::optional<Duration>& span) { return span ? Json(span->count()) : Json(); }
std::optional<Duration> nanos(const Json& json) {
  if (json.is_null()) return std::nullopt;
  return Duration(json.get<std::int64_t>());
}

Analysis from(const Json& json) {
  Analysis out;
  out.success_margin = json.at("success_margin");
  const Json& latency = json.at("latency");
  out.latency = {latency.at(0), latency.at(1), latency.at(2)};
  out.proxies = json.at("proxies");
  out.prometheus = json.at("prometheus");
  for (const Json& query : json.at("queries"))
    out.queries.push_back({query.at(0), query.at(1), query.at(2), query.at(3)});
  out.interval = nanos(json.at("interval"));
  out.minimum = nanos(json.at("minimum"));
  out.maximum = nanos(json.at("maximum"));
  const int inconclusive = json.at("inconclusive");
  if (inconclusive < 0 || inconclusive > static_cast<int>(Analysis::Inconclusive::rollback))
    throw std::out_of_range("inconclusive");
  out.inconclusive = static_cast<Analysis::Inconclusive>(inconclusive);
  out.dry_run = json.at("dry_run");
  return out;
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
  if (out.prometheus.empty() != out.queries.empty())
    f.error({}, "must have both prometheus and queries, or neither");
  if (!out.proxies && out.queries.empty())
    f.error("proxies", "must be true, or queries be there: nothing else is compared");
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

std::string to_text(const Analysis& analysis) {
  Json queries = Json::array();
  for (const auto& query : analysis.queries)
    queries.push_back({query.name, query.total, query.bad, query.margin});
  return Json{
      {"success_margin", analysis.success_margin},
      {"latency", {analysis.latency.percentile, analysis.latency.margin, analysis.latency.slower}},
      {"proxies", analysis.proxies},
      {"prometheus", analysis.prometheus},
      {"queries", std::move(queries)},
      {"interval", nanos(analysis.interval)},
      {"minimum", nanos(analysis.minimum)},
      {"maximum", nanos(analysis.maximum)},
      {"inconclusive", static_cast<int>(analysis.inconclusive)},
      {"dry_run", analysis.dry_run}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<Analysis> analysis_of(std::string_view verdict) {
  if (!is_analysis(verdict)) return std::nullopt;
  try {
    return from(Json::parse(verdict));
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace graymesh::model
