// For tests and bench: releases of which the truth is known. Traffic comes by Poisson, the rates of
// failure move with the time of day for both versions together, and each version has bad moments of
// its own (overdispersion), so that nothing is as independent as the theory would like it.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "release/verdict/verdict.h"

namespace graymesh::verdict::testing {

struct World {
  double per_second = 100;  // of both versions together
  double gray_share = 0.1;
  double baseline = 0.01;  // share that fails
  double worse = 0;        // gray fails by so much more
  double slower = 1;       // gray takes so many times as long
  // Both: the failures double and halve with time, and one interval in 200 has an incident that
  // fails 20 % more of both.
  bool restless = false;
  // Each version in each interval for itself: rates by a beta law of this intraclass correlation.
  double correlation = 0;
  double hours = 1;
  double interval_seconds = 10;
  std::vector<double> steps = {};  // shares of gray, one after the other in equal times
};

struct Ended {
  Verdict::Word word = Verdict::Word::not_yet;
  double seconds = 0;
  double gray_requests = 0;
};

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed) : random_(seed) {}

  // Until the first word that is one, or only until `unhealthy` if `to_the_end`: a version called
  // healthy is looked at on and on, as through many steps.
  Ended run(const World& world, const std::vector<Metric>& metrics, const Chances& chances,
            bool to_the_end) {
    std::map<std::string, State> states;
    State& state = states["web"];
    Ended ended;
    const auto intervals = static_cast<std::size_t>(world.hours * 3600 / world.interval_seconds);
    for (std::size_t i = 0; i < intervals; ++i) {
      const double share =
          world.steps.empty() ? world.gray_share : world.steps[i * world.steps.size() / intervals];
      observe(state, metrics, sample(world, share, static_cast<double>(i)));
      ended.seconds += world.interval_seconds;
      const Verdict::Word now = word(states, metrics, chances);
      if (now == Verdict::Word::unhealthy || (now == Verdict::Word::healthy && !to_the_end)) {
        ended.word = now;
        break;
      }
    }
    for (const auto& [name, comparison] : state.comparisons)
      ended.gray_requests = std::max(ended.gray_requests, comparison.release.gray.all);
    return ended;
  }

 private:
  double uniform() { return std::uniform_real_distribution<double>()(random_); }

  double beta(double mean, double correlation) {
    if (correlation <= 0 || mean <= 0 || mean >= 1) return mean;
    const double size = 1 / correlation - 1;
    const double a = std::gamma_distribution<double>(mean * size)(random_);
    const double b = std::gamma_distribution<double>((1 - mean) * size)(random_);
    return a + b > 0 ? a / (a + b) : mean;
  }

  double poisson(double mean) {
    return mean <= 0 ? 0 : static_cast<double>(std::poisson_distribution<long>(mean)(random_));
  }

  Arm arm(double requests, double rate, double correlation) {
    const double now = std::clamp(beta(rate, correlation), 0.0, 1.0);
    const auto all = static_cast<long>(requests);
    return {static_cast<double>(std::binomial_distribution<long>(all, now)(random_)), requests};
  }

  // Log-normal around `median`: one by one, or, of many, bucket by bucket.
  Latencies latencies(double requests, double median) {
    constexpr double spread = 0.6, many = 100;
    Latencies out{};
    if (requests <= many) {
      std::lognormal_distribution<double> law(std::log(median), spread);
      for (double i = 0; i < requests; ++i) out[bucket_of(law(random_))] += 1;
      return out;
    }
    auto left = static_cast<long>(requests);
    double above = 1;  // share of the law that is in this bucket and those behind it
    for (std::size_t i = 0; i < out.size() && left > 0; ++i) {
      const double beyond = 0.5 * std::erfc(std::log(bound_ms(i) / median) / spread / std::sqrt(2));
      const double here = above > 0 ? std::clamp(1 - beyond / above, 0.0, 1.0) : 1;
      const long count = std::binomial_distribution<long>(left, here)(random_);
      out[i] = static_cast<double>(count);
      left -= count;
      above = beyond;
    }
    return out;
  }

  Sample sample(const World& world, double share, double at) {
    const double mean = world.per_second * world.interval_seconds;
    double rate = world.baseline, median = 20;
    if (world.restless) {
      rate *= std::exp2(std::sin(at / 40));
      median *= std::exp2(std::sin(at / 25));
      if (uniform() < 0.005) rate += 0.2;
    }
    rate = std::min(rate, 1.0);
    const double gray_rate = std::min(1.0, rate + world.worse);
    Sample out;
    out.seconds = world.interval_seconds;
    out.requests.gray = arm(poisson(mean * share), gray_rate, world.correlation);
    out.requests.baseline = arm(poisson(mean * (1 - share)), rate, world.correlation);
    if (with_latency) {
      out.gray_ms = latencies(out.requests.gray.all, median * world.slower);
      out.baseline_ms = latencies(out.requests.baseline.all, median);
    }
    return out;
  }

  std::mt19937_64 random_;

 public:
  bool with_latency = false;
};

}  // namespace graymesh::verdict::testing
