#include "release/verdict/evidence.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

namespace graymesh::verdict {
namespace {

constexpr double log_factor_max = 1.5;
constexpr double put_on = 0.95;
// So that a double never overflows; far above every 1/alpha.
constexpr double stake_max = 1e100;
// Rates of 0 and 1 would call the impossible by name.
constexpr double rate_min = 1e-4, rate_max = 0.999;

// What is known of the baseline fades over 2,000 of its requests, or five strata if they are
// larger; of the difference, over fifty strata.
constexpr double baseline_memory = 2000, baseline_memory_strata = 5, difference_memory = 50;
// As if 100 requests with half a failure, and four strata of a dispersion of 1.5, came before.
constexpr double prior_requests = 100, prior_failures = 0.5, prior_strata = 4,
                 prior_dispersion = 1.5;
// In the rates of one stratum: as if so many requests had gone as expected.
constexpr double as_expected = 20;
// Of the baseline, before anything is put on.
constexpr double least_known = 20;

std::span<const double> steps_of(Claim claim) {
  return claim == Claim::worse ? std::span<const double>(worse_by) : better_by;
}
std::span<const double> shares_of(Claim claim) {
  return claim == Claim::worse ? std::span<const double>(worse_share) : better_share;
}

// As a step of better_by is meant.
double distance(Claim claim, double step, double margin) {
  return claim == Claim::worse ? step : step * margin;
}

// Of what first part of the stake the one that starts with stratum k (from 1) gets: half of it the
// first, the rest the others, 1 in all.
double starts(std::uint64_t k) {
  const auto at = static_cast<double>(k);
  return 1 / (at * (at + 1));
}

double log_likelihood(const Arm& arm, double rate) {
  return arm.bad * std::log(rate) + (arm.all - arm.bad) * std::log1p(-rate);
}

// The minimum of n_low KL(low*|c) + n_high KL(high*|c + margin) over c. It lies where the one slope
// takes over from the other, between low* and high* - margin.
double nearest(double low_requests, double low, double high_requests, double high, double margin) {
  constexpr double edge = 1e-12;
  double from = std::clamp(low, std::max(0.0, -margin) + edge, std::min(1.0, 1 - margin) - edge);
  double to = std::clamp(high - margin, from, std::min(1.0, 1 - margin) - edge);
  for (int i = 0; i < 50 && to - from > 1e-12; ++i) {
    const double c = (from + to) / 2, d = c + margin;
    const double slope =
        low_requests * (c - low) / (c * (1 - c)) + high_requests * (d - high) / (d * (1 - d));
    (slope < 0 ? from : to) = c;
  }
  return (from + to) / 2;
}

}  // namespace

double expected_failure(const Learned& learned) {
  return (learned.baseline.bad + prior_failures) / (learned.baseline.all + prior_requests);
}

double dispersion(const Learned& learned) {
  return std::max(
      1.0, (learned.surprise + prior_strata * prior_dispersion) / (learned.strata + prior_strata));
}

void learn(Learned& learned, const Pair& stratum) {
  const auto& [gray, baseline] = stratum;
  const double before = expected_failure(learned);
  const double difference = gray.bad / gray.all - baseline.bad / baseline.all;
  // Of each version by itself, as far as the stratum tells, so that neither a moment that is bad
  // for both nor a gray version that fails much looks like restlessness.
  const auto variance_of = [](const Arm& arm, double expected) {
    const double rate = std::clamp((arm.bad + expected * as_expected) / (arm.all + as_expected),
                                   rate_min, rate_max);
    return rate * (1 - rate) / arm.all;
  };
  const double variance = variance_of(baseline, before) +
                          variance_of(gray, std::clamp(before + learned.difference, 0.0, 1.0));
  const double keep = 1 - 1 / difference_memory;
  learned.surprise *= keep;
  learned.strata *= keep;
  if (learned.weight > 0) {
    const double off = difference - learned.difference;
    learned.surprise += off * off / (variance + 1 / learned.weight);
    learned.strata += 1;
  }
  learned.weight = learned.weight * keep + 1 / variance;
  learned.difference += (difference - learned.difference) / variance / learned.weight;

  const double fade =
      std::exp(-std::min(1 / baseline_memory_strata, baseline.all / baseline_memory));
  learned.baseline.bad = learned.baseline.bad * fade + baseline.bad;
  learned.baseline.all = learned.baseline.all * fade + baseline.all;
}

double log_factor(Claim claim, const Pair& seen, double margin, double by, double baseline) {
  const double b = std::clamp(baseline, rate_min, rate_max);
  const bool worse = claim == Claim::worse;
  const double g = std::clamp(worse ? b + margin + by : b + margin - by, rate_min, rate_max);
  // The claim says high > low + between, in both cases.
  const Arm& low = worse ? seen.baseline : seen.gray;
  const Arm& high = worse ? seen.gray : seen.baseline;
  const double low_rate = worse ? b : g, high_rate = worse ? g : b;
  const double between = worse ? margin : -margin;
  if (low.all <= 0 || high.all <= 0 || high_rate - between <= low_rate) return 0;
  const double c = nearest(low.all, low_rate, high.all, high_rate, between);
  return log_likelihood(low, low_rate) - log_likelihood(low, c) + log_likelihood(high, high_rate) -
         log_likelihood(high, c + between);
}

void bet(Stake& stake, Claim claim, const Pair& stratum, double margin, const Learned& learned) {
  if (learned.baseline.all < least_known) return;
  const auto steps = steps_of(claim), shares = shares_of(claim);
  stake.on.resize(steps.size(), 0);
  ++stake.strata;
  // A claim of health is about all of a step: nothing starts anew.
  const double fresh = claim == Claim::worse ? starts(stake.strata) : stake.strata == 1 ? 1 : 0;
  const double expected = expected_failure(learned), tempered = 1 / dispersion(learned);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const double log =
        log_factor(claim, stratum, margin, distance(claim, steps[i], margin), expected);
    const double factor = std::exp(std::min(log * tempered, log_factor_max));
    stake.on[i] =
        std::min(stake_max, (stake.on[i] + fresh * shares[i]) * (1 - put_on + put_on * factor));
  }
  stake.aside -= fresh;
  stake.highest = std::max(stake.highest, total(stake));
}

double total(const Stake& stake) {
  double sum = std::max(0.0, stake.aside);
  for (const double on : stake.on) sum += on;
  return sum;
}

double requests_to(const Stake& stake, Claim claim, double goal, double margin, double gray,
                   double baseline, double baseline_requests, const Learned& learned) {
  const auto steps = steps_of(claim), shares = shares_of(claim);
  double least = std::numeric_limits<double>::infinity();
  const Pair one{{gray, 1}, {baseline * baseline_requests, baseline_requests}};
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const double log = log_factor(claim, one, margin, distance(claim, steps[i], margin),
                                  expected_failure(learned)) /
                       dispersion(learned);
    if (log <= 0) continue;
    const bool begun = i < stake.on.size() && stake.strata > 0;
    const double now = begun ? stake.on[i] : shares[i] * (claim == Claim::worse ? 0.5 : 1);
    if (now >= goal) return 0;
    least = std::min(least, std::log(goal / std::max(now, 1e-300)) / log);
  }
  return least;
}

}  // namespace graymesh::verdict
