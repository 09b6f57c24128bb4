// From evidence to a word, and the word's reasons as people read them.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "release/verdict/evidence.h"

namespace graymesh::verdict {
namespace {

constexpr double never = std::numeric_limits<double>::infinity();
// What is further away than that is not worth a number.
constexpr double far_requests = 1e8, far_seconds = 30 * 86400.0;
// Without a request for so long there is no traffic.
constexpr double silent_max_seconds = 60;

// 1234567 as "1,234,567".
std::string grouped(double number) {
  const std::string digits = fmt::format("{:.0f}", number);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

// Up, and not more exact than it is: 412, 4,130, 41,300.
std::string about(double number) {
  const double unit = std::pow(10.0, std::max(0.0, std::floor(std::log10(number)) - 2));
  return grouped(std::ceil(number / unit) * unit);
}

std::string span(double seconds) {
  if (seconds < 90) return fmt::format("{:.0f} seconds", std::max(1.0, std::ceil(seconds)));
  if (seconds < 5400) return fmt::format("{:.0f} minutes", std::ceil(seconds / 60));
  if (seconds < 172800) return fmt::format("{:.0f} hours", std::ceil(seconds / 3600));
  return fmt::format("{:.0f} days", std::ceil(seconds / 86400));
}

double share(const Arm& arm) { return arm.all > 0 ? arm.bad / arm.all : 0; }

std::string percent(double share) {
  const double value = share * 100;
  return value != 0 && value < 0.1 ? fmt::format("{:.3f} %", value)
                                   : fmt::format("{:.1f} %", value);
}

// "4.1 % of 1,204 requests failed, of the baseline's 10,233 at the same time 1.0 %"
std::string seen(const Metric& metric, const Comparison& comparison, const Pair& counts) {
  const auto& [gray, baseline] = counts;
  std::string bad = "failed";
  if (metric.kind == Metric::Kind::latency)
    bad = fmt::format("took over {:.0f} ms", comparison.slow_ms);
  if (metric.kind == Metric::Kind::custom) bad = "were bad";
  return fmt::format("{} of {} requests {}, of the baseline's {} at the same time {}",
                     percent(share(gray)), grouped(gray.all), bad, grouped(baseline.all),
                     percent(share(baseline)));
}

struct Outcome {
  Verdict verdict = {};
  const Metric* metric = nullptr;
};

// "412 more requests to the gray version, about 7 minutes at this rate"
std::string missing(double requests, double seconds) {
  if (requests > far_requests) return "more requests than can be waited for";
  std::string out = fmt::format("{} more request{} to the gray version", about(requests),
                                requests > 1 ? "s" : "");
  if (seconds > far_seconds) return out + ", more than a month at this rate";
  return out + fmt::format(", about {} at this rate", span(seconds));
}

// The one side that has no traffic, if one has none.
std::string silence(const State& state, double requests) {
  const std::string wanted =
      requests < far_requests ? fmt::format("; about {} are needed", about(requests)) : "";
  if (state.rate.gray.all < 1e-6 || state.silent_seconds > silent_max_seconds)
    return fmt::format("no request to the gray version in {}{}",
                       span(std::max(1.0, state.silent_seconds)), wanted);
  if (state.rate.baseline.all < 1e-6)
    return "no request to the baseline: there is nothing to compare with";
  return "";
}

Verdict not_yet(const State& state, const Metric& metric, const Comparison& comparison,
                const Chances& chances) {
  const Learned& learned = comparison.learned;
  const double expected = expected_failure(learned);
  // As it will be, if it goes on as in this step; one half bad of twenty before.
  const double gray = (comparison.step.gray.bad + expected * 20) / (comparison.step.gray.all + 20);
  const double ratio = state.rate.gray.all > 0
                           ? std::clamp(state.rate.baseline.all / state.rate.gray.all, 1e-3, 1e3)
                           : 1;
  const double to_alarm = requests_to(comparison.worse, Claim::worse, 1 / chances.alarm,
                                      metric.margin, gray, expected, ratio, learned);
  const double to_pass = requests_to(comparison.as_good, Claim::as_good, 1 / chances.pass,
                                     metric.margin, expected, expected, ratio, learned);
  const bool looks_worse = gray - expected > metric.margin;
  const double least = std::max(1.0, looks_worse ? to_alarm : to_pass);
  const double rate = state.rate_seconds > 0 ? state.rate.gray.all / state.rate_seconds : 0;
  Verdict out{Verdict::Word::not_yet, {}, least, rate > 1e-9 ? least / rate : never};
  if (std::string none = silence(state, least); !none.empty()) {
    out.more_seconds = never;
    out.why = none;
    return out;
  }
  if (metric.kind == Metric::Kind::latency && comparison.slow_ms == 0) {
    out.why = "the baseline's own latency is not known yet";
    return out;
  }
  out.why = fmt::format(
      "{}{}; so far {}", missing(least, out.more_seconds),
      looks_worse ? " would prove that it is worse" : ", if it is as good as the baseline",
      seen(metric, comparison, comparison.step));
  return out;
}

const Comparison& comparison_of(const State& state, const Metric& metric) {
  static const Comparison nothing;
  const auto found = state.comparisons.find(metric.name);
  return found == state.comparisons.end() ? nothing : found->second;
}

Verdict::Word word_of(const Comparison& comparison, const Chances& chances) {
  if (comparison.worse.highest >= 1 / chances.alarm) return Verdict::Word::unhealthy;
  if (comparison.as_good.highest >= 1 / chances.pass) return Verdict::Word::healthy;
  return Verdict::Word::not_yet;
}

Verdict judge_one(const State& state, const Metric& metric, const Chances& chances) {
  const Comparison& comparison = comparison_of(state, metric);
  switch (word_of(comparison, chances)) {
    case Verdict::Word::unhealthy:
      return {Verdict::Word::unhealthy,
              fmt::format("{}; {:g} points more are tolerated",
                          seen(metric, comparison, comparison.release), metric.margin * 100)};
    case Verdict::Word::healthy:
      return {Verdict::Word::healthy, seen(metric, comparison, comparison.step)};
    case Verdict::Word::not_yet:
      break;
  }
  return not_yet(state, metric, comparison, chances);
}

}  // namespace

Verdict::Word word(const std::map<std::string, State>& states, const std::vector<Metric>& metrics,
                   const Chances& chances) {
  using Word = Verdict::Word;
  Word out = states.empty() || metrics.empty() ? Word::not_yet : Word::healthy;
  for (const auto& [application, state] : states) {
    for (const Metric& metric : metrics) {
      const Word one = word_of(comparison_of(state, metric), chances);
      if (one == Word::unhealthy) return one;
      if (one == Word::not_yet) out = one;
    }
  }
  return out;
}

Verdict judge(const std::map<std::string, State>& states, const std::vector<Metric>& metrics,
              const Chances& chances) {
  using Word = Verdict::Word;
  Verdict worst{Word::healthy, {}};
  for (const auto& [application, state] : states) {
    for (const Metric& metric : metrics) {
      Verdict one = judge_one(state, metric, chances);
      one.why = fmt::format("{}: {}: {}", application, metric.name, one.why);
      if (one.word == Word::unhealthy) return one;
      if (worst.word == Word::healthy && one.word == Word::healthy) {
        worst.why += (worst.why.empty() ? "" : "; ") + one.why;
      } else if (one.word == Word::not_yet &&
                 (worst.word == Word::healthy || one.more_seconds > worst.more_seconds ||
                  (one.more_seconds == worst.more_seconds &&
                   one.more_requests > worst.more_requests))) {
        worst = std::move(one);
      }
    }
  }
  if (states.empty() || metrics.empty())
    return {Word::not_yet, "nothing is measured", never, never};
  return worst;
}

}  // namespace graymesh::verdict
