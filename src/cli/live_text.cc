#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "cli/live.h"
#include "cli/platform.h"
#include "cli/table.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

double number_at(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

std::string rate_text(double rate) {
  return rate >= 100 ? fmt::format("{:.0f}", rate) : fmt::format("{:.1f}", rate);
}

std::string share_text(const json& item, const char* name) {
  const auto found = item.find(name);
  if (found == item.end() || !found->is_number()) return "-";
  const double percent = found->get<double>() * 100;
  // One failure of a million is not all well.
  return percent < 100 && percent > 99.99 ? ">99.99%" : fmt::format("{:.2f}%", percent);
}

std::string ms_text(const json& item, const char* name) {
  const auto found = item.find(name);
  if (found == item.end() || !found->is_number()) return "-";
  const double ms = found->get<double>();
  return ms >= 10'000 ? fmt::format("{:.1f}s", ms / 1000)
                      : fmt::format("{:.{}f}ms", ms, ms < 100 ? 1 : 0);
}

double failures_each_second(const json& page, const json& item) {
  const double seconds = number_at(page, "seconds");
  return seconds > 0 ? number_at(item, "failures") / seconds : 0;
}

// "web.fe-pre", "web.fe-pre[feature-a]", "gateway.ingress".
std::string party_text(const json& party) {
  const std::string tag = text_at(party, "/canarytag");
  return fmt::format("{}.{}{}", text_at(party, "/workload"), text_at(party, "/namespace"),
                     tag.empty() ? "" : "[" + tag + "]");
}

std::string target_text(const json& target) {
  const std::string space = text_at(target, "/namespace"), subset = text_at(target, "/subset");
  const bool baseline = text_at(target, "/stage") == "normal";
  return fmt::format("{}{}{}", text_at(target, "/service"), space.empty() ? "" : "." + space,
                     subset.empty() ? "[any]"
                     : baseline     ? ""
                                    : "[" + subset + "]");
}

// Quoted for DOT: names may be anything.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + "\"";
}

// Each line by itself: lines are cut and left out one by one.
std::string painted_lines(const Style& style, Paint paint, const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    out += painted(style, paint, text.substr(at, end - at)) + "\n";
    at = end + 1;
  }
  return out;
}

Row figures_of(const json& page, const json& item) {
  return {rate_text(number_at(item, "perSecond")),
          rate_text(failures_each_second(page, item)),
          share_text(item, "success"),
          ms_text(item, "p50Ms"),
          ms_text(item, "p95Ms"),
          ms_text(item, "p99Ms")};
}

}  // namespace

void sort_edges(json& items, LiveSort by) {
  const auto weight = [by](const json& item) {
    switch (by) {
      case LiveSort::errors:
        return number_at(item, "failures");
      case LiveSort::latency:
        return number_at(item, "p99Ms");
      case LiveSort::rate:
        break;
    }
    return number_at(item, "requests");
  };
  std::stable_sort(items.begin(), items.end(), [&](const json& left, const json& right) {
    return weight(left) > weight(right);
  });
}

std::string stat_table(const json& page) {
  std::vector<Row> rows;
  for (const json& item : page["items"]) {
    const bool any = text_at(item, "/subset").empty();
    rows.push_back({or_dash(text_at(item, "/namespace")), text_at(item, "/service"),
                    any ? "any" : or_dash(text_at(item, "/version")),
                    or_dash(text_at(item, "/canarytag")), or_dash(text_at(item, "/lane")),
                    rate_text(number_at(item, "perSecond")), share_text(item, "success"),
                    ms_text(item, "p50Ms"), ms_text(item, "p95Ms"), ms_text(item, "p99Ms")});
  }
  return table({"NAMESPACE", "SERVICE", "VERSION", "CANARYTAG", "LANE", "RPS", "SUCCESS", "P50",
                "P95", "P99"},
               rows);
}

std::string edges_table(const json& page) {
  std::vector<Row> rows;
  for (const json& item : page["items"]) {
    Row row = {party_text(item["from"]), target_text(item["to"]), or_dash(text_at(item, "/lane"))};
    const Row figures = figures_of(page, item);
    row.insert(row.end(), figures.begin(), figures.end());
    rows.push_back(std::move(row));
  }
  return table({"FROM", "TO", "LANE", "RPS", "ERRORS/S", "SUCCESS", "P50", "P95", "P99"}, rows);
}

std::string graph_text(const json& page) {
  std::map<std::string, std::string> by_caller;
  for (const json& item : page["items"])
    by_caller[party_text(item["from"])] +=
        fmt::format("  -> {}  {}/s, {} success, p99 {}\n", target_text(item["to"]),
                    rate_text(number_at(item, "perSecond")), share_text(item, "success"),
                    ms_text(item, "p99Ms"));
  std::string out;
  for (const auto& [caller, calls] : by_caller) out.append(caller).append("\n").append(calls);
  return out;
}

std::string graph_dot(const json& page) {
  std::string out = "digraph mesh {\n  rankdir=LR;\n  node [shape=box];\n";
  for (const json& item : page["items"]) {
    const bool bad = number_at(item, "failures") > 0;
    out += fmt::format("  {} -> {} [label={}{}];\n", quoted(party_text(item["from"])),
                       quoted(target_text(item["to"])),
                       quoted(fmt::format("{}/s {}", rate_text(number_at(item, "perSecond")),
                                          share_text(item, "success"))),
                       bad ? ", color=red" : "");
  }
  return out + "}\n";
}

std::string live_notes(const json& page) {
  const json proxies = page.value("proxies", json::object());
  const std::string source = text_at(page, "/source");
  std::string out =
      fmt::format("over {:.0f} s up to {}", number_at(page, "seconds"), text_at(page, "/to"));
  if (source == "statistics")
    out += fmt::format(", from {:.0f} proxies", number_at(proxies, "read"));
  if (source == "requests") out += ", of requests that were logged";
  if (source == "prometheus") out += ", from Prometheus";
  out += "\n";
  if (page.contains("items") && page["items"].empty()) {
    out += source == "requests"
               ? "no requests seen; of lanes that are declared only: `graymesh lane "
                 "list`\n"
               : "no requests seen\n";
  }
  if (const double silent = number_at(proxies, "silent"); silent > 0)
    out += fmt::format("{:.0f} proxies do not answer: what they call is missing\n", silent);
  if (const double left = number_at(proxies, "leftOut"); left > 0)
    out += fmt::format("{:.0f} proxies are left out: more than graymeshd keeps\n", left);
  if (page.contains("others") && page["others"].is_object())
    out += fmt::format("{:.0f} requests of edges that had no room\n",
                       number_at(page["others"], "requests"));
  return out;
}

std::string top_screen(const json& page, LiveSort by, const Style& style,
                       const std::string& fault) {
  static constexpr const char* names[] = {"rate", "errors", "latency"};
  double rate = 0, failures = 0;
  for (const json& item : page["items"]) {
    rate += number_at(item, "perSecond");
    failures += failures_each_second(page, item);
  }
  std::string notes = live_notes(page);
  std::string out = painted(style, Paint::bold, fmt::format("{} requests/s", rate_text(rate))) +
                    ", " +
                    painted(style, failures > 0 ? Paint::red : Paint::green,
                            fmt::format("{} errors/s", rate_text(failures))) +
                    ", " + notes.substr(0, notes.find('\n')) + "\n" +
                    painted_lines(style, Paint::yellow, notes.substr(notes.find('\n') + 1)) +
                    (fault.empty() ? "" : painted(style, Paint::red, fault) + "\n") +
                    painted(style, Paint::faint,
                            fmt::format("sorted by {}; r, e, l: by rate, errors, latency; q: end",
                                        names[static_cast<std::size_t>(by)])) +
                    "\n\n";
  std::string rows = edges_table(page);
  // Lines of edges with failures stand out.
  std::size_t at = 0;
  for (std::size_t line = 0; at < rows.size(); ++line) {
    const auto end = std::min(rows.find('\n', at), rows.size());
    const std::string text = rows.substr(at, end - at);
    const bool bad = line > 0 && line - 1 < page["items"].size() &&
                     number_at(page["items"][line - 1], "failures") > 0;
    out += line == 0 ? painted(style, Paint::faint, text)
           : bad     ? painted(style, Paint::red, text)
                     : text;
    out += "\n";
    at = end + 1;
  }
  return fitted(style, out);
}

}  // namespace graymesh::cli
