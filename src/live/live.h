// Who calls whom, how often, how well and how fast: counts as values, their sums, and the pages
// that show them. Pure; counts come from control/gather, or from a Prometheus.
//
//   Edge + Counts = Row;  rows of some seconds = Window ─> edges_page, services_page,
//   workloads_page
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace graymesh::live {

// target.cc --------------------------------------------------------------------------------------

// One version of a workload.
struct Party {
  std::string namespace_ = {}, workload = {};
  std::string tag = {};  // canarytag of a gray version; empty: the baseline
  std::string version = {};
  bool gateway = false;

  auto operator<=>(const Party&) const = default;
};

// A version of a service, as a route chose it.
struct Target {
  std::string namespace_ = {}, service = {};  // of a ServiceEntry's host: no namespace
  std::string subset = {};                    // empty: whichever version
  std::uint32_t port = 0;

  auto operator<=>(const Target&) const = default;
};

// Of "outbound|8080|feature-a|web.fe-pre.svc.cluster.local"; none: it is no such name.
std::optional<Target> target_of(std::string_view cluster);

// "normal", "gray", or "" where any version may answer. Subsets named baseline, base, stable,
// normal, prod and default are baselines; any other is named after its canarytag.
std::string_view stage_of(const Target& target);
std::string tag_of(const Target& target);  // empty unless gray

struct Edge {
  Party from = {};
  Target to = {};         // without a service: what `from` received itself
  std::string lane = {};  // that the requests carried; empty where it is not told

  bool received() const { return to.service.empty(); }
  auto operator<=>(const Edge&) const = default;
};

// counts.cc --------------------------------------------------------------------------------------

// Bounds of latencies: whole milliseconds up to 10, then each a tenth more than the one before, up
// to 48 s. A quantile is off by a tenth at most.
inline constexpr std::size_t buckets = 100;
std::size_t bucket_of(double ms);
double lower_bound(std::size_t bucket);  // of `buckets`: the upper bound of the last one

struct Counts {
  std::array<double, 5> classes{};                           // answers 1xx to 5xx
  std::vector<std::pair<std::uint16_t, double>> codes = {};  // ascending; those that came
  std::vector<std::pair<std::uint8_t, double>> ms = {};      // by bucket, likewise
  double retries = 0;                                        // tries beyond the first

  void answered(std::uint16_t code, double count = 1);  // its class, and itself
  void took(double ms_each, double count = 1);
  Counts& operator+=(const Counts& more);
  bool empty() const { return requests() == 0 && retries == 0; }

  double requests() const { return classes[1] + classes[2] + classes[3] + classes[4]; }
  double failures() const { return classes[4]; }
  // Milliseconds within which the share `q` of answers came; none: nothing was measured.
  std::optional<double> quantile(double q) const;

  bool operator==(const Counts&) const = default;
};

// What came between two readings of one proxy; none if `now` has less of something: it began anew.
std::optional<Counts> more_than(const Counts& before, const Counts& now);
// The same; one that began anew counts from nothing.
Counts since(const Counts& before, const Counts& now);

struct Service {
  std::string namespace_ = {}, name = {};

  auto operator<=>(const Service&) const = default;
};

// What proxies counted of calls to one service for as long as it was followed. Looks at all proxies
// have ascending numbers.
struct Tally {
  std::uint64_t begun = 0;           // the look that began last
  std::uint64_t ended = 0;           // the one that ended last: `subsets` is up to it; 0: none has
  std::size_t read = 0, silent = 0;  // proxies in it
  std::string fault = {};            // of one that was silent
  std::map<std::string, Counts> subsets = {};
};

// pages.cc ---------------------------------------------------------------------------------------

struct Row {
  Edge edge = {};
  Counts counts = {};
};

// Versions that run: namespace, workload, canarytag. Several: "v1, v2".
using Versions = std::map<std::tuple<std::string, std::string, std::string>, std::string>;

struct Window {
  std::chrono::system_clock::time_point from{}, to{};
  std::vector<Row> rows = {};
  Counts others = {};  // of edges that had no room
  std::size_t proxies = 0, silent = 0, left_out = 0;
  std::string source = "statistics";  // "requests": logged ones; "prometheus"
  Versions versions = {};

  double seconds() const { return std::chrono::duration<double>(to - from).count(); }
};

// Empty: any. `service` is "cart" or "cart.fe-pre", `from` also "web/feature-a".
struct Wanted {
  std::string namespace_ = {};  // of the called
  std::string service = {}, from = {};
};

bool is_wanted(const Wanted& wanted, const Edge& edge);

// {"from", "to", "seconds", "source", "proxies", "others", "items"}; items sorted by name.
nlohmann::json edges_page(const Window& window, const Wanted& wanted);
// One item for each version that was called.
nlohmann::json services_page(const Window& window, const Wanted& wanted);
// One for each version that runs: what it received and what it sent. `wanted` is about it.
nlohmann::json workloads_page(const Window& window, const Wanted& wanted);

}  // namespace graymesh::live
