// Says of a gray version: healthy, unhealthy, or not yet and what is missing. Pure functions from
// counts (requests, failures, latencies of both versions in the same intervals) to a State that is
// small and can be kept, and from a State to a Verdict in words. docs/verdicts.md has the method,
// what it guarantees, how much traffic it needs, and what it cannot see.
//
//   Sample ─> observe(state) ─> judge(state): Verdict
//
// It may be asked as often as one likes: the stated chances hold over the whole of a release
// (evidence.h). What was not measured is no Sample; nothing is concluded from no traffic.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace graymesh::verdict {

struct Arm {
  double bad = 0, all = 0;
  bool operator==(const Arm&) const = default;
};
struct Pair {
  Arm gray = {}, baseline = {};
  bool operator==(const Pair&) const = default;
};

// Requests by how long they took: up to 0.5 ms, then eight buckets for each doubling, the last
// without end. Each counts what took at most its bound, and longer than the one before.
inline constexpr std::size_t latency_buckets = 146;
using Latencies = std::array<double, latency_buckets>;
double bound_ms(std::size_t bucket);           // infinite for the last
std::size_t bucket_of(double upper_bound_ms);  // the first whose bound is at least that
// `count` requests of which is known that they took longer than `low_ms` and at most `high_ms`:
// spread evenly by the logarithm over the buckets between.
void add(Latencies& to, double low_ms, double high_ms, double count);

// What is compared.
struct Metric {
  enum class Kind : std::uint8_t {
    success,  // requests that failed
    latency,  // requests that were slower than the baseline's quantile
    custom,   // what a query calls bad
  };
  Kind kind = Kind::success;
  std::string name = "success rate";
  double margin = 0.005;  // tolerated: how much larger a share of gray's requests may be bad
  double quantile = 0.99;
  double slower = 0.25;  // latency: by how much more than the quantile counts as slow

  bool operator==(const Metric&) const = default;
};

// What was counted in one interval. Both versions over the same time.
struct Sample {
  double seconds = 0;
  Pair requests = {};
  std::optional<Latencies> gray_ms = {}, baseline_ms = {};
  std::map<std::string, Pair> custom = {};  // by name of its metric

  bool operator==(const Sample&) const = default;
};

// How the failures of the baseline and the difference are expected to be.
struct Learned {
  Arm baseline = {};                  // fading
  double difference = 0, weight = 0;  // mean of gray's rate less the baseline's; 1 / its variance
  double surprise = 0, strata = 0;    // squares of what differed from it, in variances
  bool operator==(const Learned&) const = default;
};

// What a claim is about: worse than tolerated; not worse than tolerated.
enum class Claim : std::uint8_t { worse, as_good };

// Money that was put on a claim: by alternative, and what is not put on yet.
struct Stake {
  std::vector<double> on = {};
  double aside = 1;
  double highest = 1;  // that it ever was
  std::uint64_t strata = 0;
  bool operator==(const Stake&) const = default;
};

struct Comparison {
  Learned learned = {};
  Stake worse = {}, as_good = {};  // of the release; of the step
  Pair pending = {};               // of the stratum that is not complete
  Pair release = {}, step = {};    // all that was counted
  double slow_ms = 0;              // latency: what is slow now; 0: not known yet
  bool operator==(const Comparison&) const = default;
};

// Of one application of a release.
struct State {
  std::size_t step = 0;
  double seconds = 0;         // of the step
  double silent_seconds = 0;  // since gray last had a request
  Pair rate = {};             // `all`: recent requests, fading
  double rate_seconds = 0;
  Latencies baseline_ms = {};                          // fading
  std::map<std::string, Comparison> comparisons = {};  // by name of the metric
  bool operator==(const State&) const = default;
};

// Evidence of health begins anew with each step, since a larger share may be too much for a version
// that was well before; evidence against a version stays.
void begin_step(State& state, std::size_t step);
void observe(State& state, const std::vector<Metric>& metrics, const Sample& sample);

// How often each metric of each application may be wrong: `alarm` that an equal version is called
// unhealthy at any time; `pass` that a version that is worse than tolerated is called healthy in a
// step.
struct Chances {
  double alarm = 0.005, pass = 0.05;
};

struct Verdict {
  enum class Word : std::uint8_t { not_yet, healthy, unhealthy };
  Word word = Word::not_yet;
  std::string why = {};
  double more_requests = 0;  // to gray, until there is one; 0 if there is, infinite: not so
  double more_seconds = 0;   // at this rate; infinite: there is no traffic
};
// States by application.
Verdict::Word word(const std::map<std::string, State>& states, const std::vector<Metric>& metrics,
                   const Chances& chances);
// The same with its reasons.
Verdict judge(const std::map<std::string, State>& states, const std::vector<Metric>& metrics,
              const Chances& chances);

// JSON. data_loss names the fault.
std::string save(const State& state);
Result<State> load(std::string_view text);

}  // namespace graymesh::verdict
