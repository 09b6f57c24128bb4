// From samples to evidence: gathers strata in which both versions had requests, finds what is slow,
// and puts the stakes on.
#include <algorithm>
#include <cmath>
#include <limits>

#include "release/verdict/evidence.h"

namespace graymesh::verdict {
namespace {

// A quantile needs so many requests before anything is called slow by it, and fades over so many.
constexpr double latencies_min = 100, latencies_memory = 20000;
// And less than this is not felt by anybody.
constexpr double slower_ms_min = 5;
constexpr double first_bound_ms = 0.5, buckets_a_doubling = 8;
// Recent: what the time to a verdict is reckoned with.
constexpr double rate_memory_seconds = 120;

double count(const Latencies& latencies) {
  double sum = 0;
  for (const double one : latencies) sum += one;
  return sum;
}

// Where in its bucket `ms` is: 0 just above the bound before, 1 at its own. Requests are taken to
// lie in a bucket evenly by the logarithm.
double within(double ms, std::size_t bucket) {
  const double at = std::log2(ms / first_bound_ms) * buckets_a_doubling;
  return std::clamp(at + 1 - static_cast<double>(bucket), 0.0, 1.0);
}

// Requests that took longer than `limit_ms`. Of those in its own bucket a share: the same for both
// versions, so each request counts by a weight between 0 and 1, and a factor of weights has a mean
// below that of the same shares of whole requests (it is convex in each).
double slower_than(const Latencies& latencies, double limit_ms) {
  const std::size_t at = bucket_of(limit_ms);
  double sum = latencies[at] * (1 - within(limit_ms, at));
  for (std::size_t i = at + 1; i < latencies.size(); ++i) sum += latencies[i];
  return sum;
}

// What is slow by what the baseline did before; none before enough is known.
std::optional<double> slow_from(const Latencies& baseline, const Metric& metric) {
  const double all = count(baseline);
  if (all < latencies_min) return std::nullopt;
  double below = 0;
  std::size_t at = 0;
  while (at + 1 < baseline.size() && below + baseline[at] < metric.quantile * all)
    below += baseline[at++];
  if (at + 1 == baseline.size()) return std::nullopt;
  const double inside = baseline[at] > 0 ? (metric.quantile * all - below) / baseline[at] : 1;
  const double quantile = bound_ms(at) * std::exp2((inside - 1) / buckets_a_doubling);
  const double limit = std::max(quantile * (1 + metric.slower), quantile + slower_ms_min);
  if (bucket_of(limit) + 1 == baseline.size()) return std::nullopt;
  return limit;
}

void add(Pair& to, const Pair& more) {
  to.gray.bad += more.gray.bad;
  to.gray.all += more.gray.all;
  to.baseline.bad += more.baseline.bad;
  to.baseline.all += more.baseline.all;
}

void compare(Comparison& comparison, const Pair& counts, double margin) {
  add(comparison.release, counts);
  add(comparison.step, counts);
  add(comparison.pending, counts);
  const Pair stratum = comparison.pending;
  if (stratum.gray.all < 1 || stratum.baseline.all < 1) return;
  comparison.pending = {};
  bet(comparison.worse, Claim::worse, stratum, margin, comparison.learned);
  bet(comparison.as_good, Claim::as_good, stratum, margin, comparison.learned);
  learn(comparison.learned, stratum);
}

// What `sample` says of `metric`; none if that is nothing.
std::optional<Pair> counted(const Sample& sample, const Metric& metric, const Latencies& before,
                            Comparison& comparison) {
  switch (metric.kind) {
    case Metric::Kind::success:
      return sample.requests;
    case Metric::Kind::custom: {
      const auto found = sample.custom.find(metric.name);
      if (found == sample.custom.end()) return std::nullopt;
      return found->second;
    }
    case Metric::Kind::latency: {
      if (!sample.gray_ms || !sample.baseline_ms) return std::nullopt;
      const auto slow = slow_from(before, metric);
      comparison.slow_ms = slow.value_or(0);
      if (!slow) return std::nullopt;
      return Pair{{slower_than(*sample.gray_ms, *slow), count(*sample.gray_ms)},
                  {slower_than(*sample.baseline_ms, *slow), count(*sample.baseline_ms)}};
    }
  }
  return std::nullopt;
}

}  // namespace

double bound_ms(std::size_t bucket) {
  if (bucket + 1 >= latency_buckets) return std::numeric_limits<double>::infinity();
  return first_bound_ms * std::exp2(static_cast<double>(bucket) / buckets_a_doubling);
}

std::size_t bucket_of(double upper_bound_ms) {
  if (!(upper_bound_ms > first_bound_ms)) return 0;
  // What is a bound up to rounding is that bound.
  const double at =
      std::ceil(std::log2(upper_bound_ms / first_bound_ms) * buckets_a_doubling - 1e-9);
  return at >= latency_buckets - 1 ? latency_buckets - 1 : static_cast<std::size_t>(at);
}

void add(Latencies& to, double low_ms, double high_ms, double count) {
  const double low = std::max(low_ms, first_bound_ms);
  const std::size_t last = bucket_of(high_ms);
  if (!(high_ms > low) || std::isinf(high_ms)) {
    to[last] += count;
    return;
  }
  const double whole = std::log2(high_ms / low);
  for (double from = low; from < high_ms;) {
    const std::size_t at = std::min(bucket_of(from * (1 + 1e-6)), last);
    const double until = at == last ? high_ms : bound_ms(at);
    to[at] += count * std::log2(until / from) / whole;
    from = until;
  }
}

void begin_step(State& state, std::size_t step) {
  state.step = step;
  state.seconds = 0;
  for (auto& [name, comparison] : state.comparisons) {
    comparison.as_good = {};
    comparison.step = {};
    comparison.pending = {};
  }
}

void observe(State& state, const std::vector<Metric>& metrics, const Sample& sample) {
  const auto& [gray, baseline] = sample.requests;
  state.seconds += sample.seconds;
  state.silent_seconds = gray.all > 0 ? 0 : state.silent_seconds + sample.seconds;
  const double fade = std::exp(-sample.seconds / rate_memory_seconds);
  state.rate.gray.all = state.rate.gray.all * fade + gray.all;
  state.rate.baseline.all = state.rate.baseline.all * fade + baseline.all;
  state.rate_seconds = state.rate_seconds * fade + sample.seconds;
  for (const Metric& metric : metrics) {
    Comparison& comparison = state.comparisons[metric.name];
    if (const auto pair = counted(sample, metric, state.baseline_ms, comparison))
      compare(comparison, *pair, metric.margin);
  }
  if (sample.baseline_ms) {
    const double keep = std::exp(-count(*sample.baseline_ms) / latencies_memory);
    for (std::size_t i = 0; i < latency_buckets; ++i)
      state.baseline_ms[i] = state.baseline_ms[i] * keep + (*sample.baseline_ms)[i];
  }
}

}  // namespace graymesh::verdict
