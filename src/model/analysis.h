// How a step of a GrayRelease is judged by comparing the gray version with the baseline at the same
// time (docs/verdicts.md). Shares are in percent, margins in points: how much larger a share of
// gray's requests may be bad.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/traffic.h"

namespace graymesh::model {

class Fields;

struct Analysis {
  struct Latency {
    double percentile = 99, margin = 1;
    double slower = 25;  // more than the baseline's percentile counts as slow
    bool operator==(const Latency&) const = default;
  };
  // Two PromQL expressions: requests, and bad ones among them, in $(WINDOW), of $(NAMESPACE),
  // $(APPLICATION), and of the version that is asked for: $(SUBSET), $(LABELS), $(VERSION);
  // $(BASELINE) is the baseline's version. Both empty: the mesh's own, of failures.
  struct Query {
    std::string name, total, bad;
    double margin = 0.5;
    bool operator==(const Query&) const = default;
  };
  double success_margin = 0.5;
  Latency latency = {};
  bool proxies = true;          // success rate and latency, as the callers' proxies count them
  std::string prometheus = {};  // "http://127.0.0.1:9090", of `queries`; without any: of both
  std::vector<Query> queries = {};
  std::optional<Duration> window = {};                 // of what a Prometheus is asked; 60 s
  std::optional<Duration> interval = {};               // between two looks; 5 s
  std::optional<Duration> minimum = {}, maximum = {};  // of the step: 30 s, 1 h
  // Without a verdict at the maximum: waits for an approval, goes on, or goes back.
  enum class Inconclusive : std::uint8_t { hold, advance, rollback };
  Inconclusive inconclusive = Inconclusive::hold;
  bool dry_run = false;  // says what it would do, and goes on after the minimum

  // Whether success rate and latency are compared, by whichever source.
  bool compares_requests() const { return proxies || queries.empty(); }
  bool operator==(const Analysis&) const = default;
};

void read_analysis(Fields& f, Analysis& out);

}  // namespace graymesh::model
