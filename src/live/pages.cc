#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <set>

#include "base/json.h"
#include "live/live.h"

namespace graymesh::live {
namespace {

using nlohmann::json;

std::string text_of(std::chrono::system_clock::time_point time) {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
  const auto seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     ms % 1000);
}

// Counts are whole, unless a Prometheus extrapolated them.
json number(double value) {
  if (value == std::floor(value)) return static_cast<std::int64_t>(value);
  return std::round(value * 1000) / 1000;
}

void add_counts(const Counts& counts, double seconds, json& out) {
  const double requests = counts.requests();
  out["requests"] = number(requests);
  out["perSecond"] = seconds > 0 ? json(std::round(requests / seconds * 1000) / 1000) : json();
  out["success"] = requests > 0 ? json(1 - counts.failures() / requests) : json();
  out["failures"] = number(counts.failures());
  out["retries"] = number(counts.retries);
  json& classes = out["classes"] = json::object();
  for (std::size_t i = 0; i < counts.classes.size(); ++i) {
    if (counts.classes[i] > 0) classes[fmt::format("{}xx", i + 1)] = number(counts.classes[i]);
  }
  json& codes = out["codes"] = json::object();
  for (const auto& [code, count] : counts.codes) codes[std::to_string(code)] = number(count);
  for (const auto& [name, q] : {std::pair{"p50Ms", 0.5}, {"p95Ms", 0.95}, {"p99Ms", 0.99}}) {
    const auto ms = counts.quantile(q);
    out[name] = ms ? json(std::round(*ms * 100) / 100) : json();
  }
}

json page_of(const Window& window) {
  json others;
  if (!window.others.empty()) add_counts(window.others, window.seconds(), others);
  return {{"from", text_of(window.from)},
          {"to", text_of(window.to)},
          {"seconds", std::round(window.seconds() * 1000) / 1000},
          {"source", window.source},
          {"proxies",
           {{"read", window.proxies}, {"silent", window.silent}, {"leftOut", window.left_out}}},
          {"others", std::move(others)},
          {"items", json::array()}};
}

json party_json(const Party& party) {
  return {{"namespace", party.namespace_},
          {"workload", party.workload},
          {"canarytag", party.tag},
          {"version", party.version},
          {"stage", party.gateway       ? ""
                    : party.tag.empty() ? "normal"
                                        : "gray"},
          {"gateway", party.gateway}};
}

json target_json(const Window& window, const Target& target) {
  const std::string tag = tag_of(target);
  const auto version = window.versions.find({target.namespace_, target.service, tag});
  const bool known = version != window.versions.end() && !stage_of(target).empty();
  return {{"namespace", target.namespace_},
          {"service", target.service},
          {"port", target.port},
          {"subset", target.subset},
          {"canarytag", tag},
          {"stage", stage_of(target)},
          {"version", known ? version->second : ""}};
}

// A gray version is its lane's; so is what a gray version calls.
std::string lane_of(const Edge& edge) {
  if (!edge.lane.empty()) return edge.lane;
  const std::string tag = tag_of(edge.to);
  return tag.empty() ? edge.from.tag : tag;
}

// "cart" and "cart.fe-pre" of one and the same.
bool is_named(const std::string& wanted, const std::string& name, const std::string& namespace_) {
  return wanted == name || wanted == name + "." + namespace_;
}

bool is_from(const std::string& wanted, const Party& party) {
  const auto slash = wanted.find('/');
  if (!is_named(wanted.substr(0, slash), party.workload, party.namespace_)) return false;
  if (slash == std::string::npos) return true;
  const std::string tag = wanted.substr(slash + 1);
  return tag == party.tag || (tag == "baseline" && party.tag.empty());
}

}  // namespace

bool is_wanted(const Wanted& wanted, const Edge& edge) {
  const Target& to = edge.to;
  return (wanted.namespace_.empty() || wanted.namespace_ == to.namespace_) &&
         (wanted.service.empty() || is_named(wanted.service, to.service, to.namespace_)) &&
         (wanted.from.empty() || is_from(wanted.from, edge.from));
}

json edges_page(const Window& window, const Wanted& wanted) {
  std::map<Edge, Counts> sums;
  for (const Row& row : window.rows) {
    if (!row.edge.received() && is_wanted(wanted, row.edge)) sums[row.edge] += row.counts;
  }
  json page = page_of(window);
  for (const auto& [edge, counts] : sums) {
    json item = {{"from", party_json(edge.from)},
                 {"to", target_json(window, edge.to)},
                 {"lane", lane_of(edge)}};
    add_counts(counts, window.seconds(), item);
    page["items"].push_back(std::move(item));
  }
  return page;
}

json services_page(const Window& window, const Wanted& wanted) {
  struct Sum {
    Counts counts = {};
    std::set<Party> callers = {};
  };
  std::map<std::pair<Target, std::string>, Sum> sums;  // by lane as well, where it is told
  for (const Row& row : window.rows) {
    if (row.edge.received() || !is_wanted(wanted, row.edge)) continue;
    Sum& sum = sums[{row.edge.to, row.edge.lane}];
    sum.counts += row.counts;
    sum.callers.insert(row.edge.from);
  }
  json page = page_of(window);
  for (const auto& [key, sum] : sums) {
    json item = target_json(window, key.first);
    item["lane"] = key.second.empty() ? tag_of(key.first) : key.second;
    item["callers"] = sum.callers.size();
    add_counts(sum.counts, window.seconds(), item);
    page["items"].push_back(std::move(item));
  }
  return page;
}

json workloads_page(const Window& window, const Wanted& wanted) {
  struct Sum {
    Counts received = {}, sent = {};
  };
  std::map<Party, Sum> sums;
  for (const Row& row : window.rows) {
    const Party& party = row.edge.from;
    if (!wanted.namespace_.empty() && wanted.namespace_ != party.namespace_) continue;
    if (!wanted.service.empty() && !is_from(wanted.service, party)) continue;
    (row.edge.received() ? sums[party].received : sums[party].sent) += row.counts;
  }
  json page = page_of(window);
  for (const auto& [party, sum] : sums) {
    json item = party_json(party);
    add_counts(sum.received, window.seconds(), item["received"]);
    add_counts(sum.sent, window.seconds(), item["sent"]);
    page["items"].push_back(std::move(item));
  }
  return page;
}

}  // namespace graymesh::live
