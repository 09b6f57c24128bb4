// Words for what is counted, and what may change them.
#include "release/verdict/verdict.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "release/verdict/evidence.h"

namespace graymesh::verdict {
namespace {

using Word = Verdict::Word;

const std::vector<Metric> success{{}};
const Chances chances{0.0025, 0.05};

// What is between two looks, with failures spread evenly.
Sample interval(double gray, double gray_bad, double baseline, double baseline_bad) {
  return {.seconds = 10, .requests = {{gray_bad, gray}, {baseline_bad, baseline}}};
}

State after(const Sample& sample, int times, State state = {}) {
  for (int i = 0; i < times; ++i) observe(state, success, sample);
  return state;
}

Verdict judged(const State& state) { return judge({{"web", state}}, success, chances); }

TEST(Verdict, OfAVersionThatFailsMoreIsUnhealthyWithTheCounts) {
  const Verdict verdict = judged(after(interval(100, 8, 900, 9), 30));
  EXPECT_EQ(verdict.word, Word::unhealthy);
  EXPECT_EQ(verdict.why,
            "web: success rate: 8.0 % of 3,000 requests failed, of the baseline's 27,000 at the "
            "same time 1.0 %; 0.5 points more are tolerated");
}

TEST(Verdict, OfAnEqualVersionIsHealthy) {
  const Verdict verdict = judged(after(interval(100, 1, 900, 9), 80));
  EXPECT_EQ(verdict.word, Word::healthy) << verdict.why;
}

TEST(Verdict, OfNoTrafficIsNotYetAndSaysWhatIsNeeded) {
  const Verdict verdict = judged(after(interval(0, 0, 900, 9), 30));
  EXPECT_EQ(verdict.word, Word::not_yet);
  EXPECT_TRUE(verdict.why.starts_with(
      "web: success rate: no request to the gray version in 5 minutes; about "))
      << verdict.why;
  EXPECT_TRUE(std::isinf(verdict.more_seconds));
  EXPECT_EQ(judged({}).word, Word::not_yet);
  EXPECT_EQ(judge({}, success, chances).word, Word::not_yet);
}

TEST(Verdict, WithoutABaselineIsNotYet) {
  const Verdict verdict = judged(after(interval(900, 9, 0, 0), 300));
  EXPECT_EQ(verdict.why,
            "web: success rate: no request to the baseline: there is nothing to compare with");
  EXPECT_EQ(verdict.word, Word::not_yet);
}

TEST(Verdict, TellsHowMuchIsMissingAndItComesThen) {
  State state = after(interval(100, 1, 900, 9), 10);
  const Verdict early = judged(state);
  ASSERT_EQ(early.word, Word::not_yet);
  EXPECT_NE(early.why.find(" more requests to the gray version, about "), std::string::npos)
      << early.why;
  EXPECT_NE(early.why.find(
                " at this rate, if it is as good as the baseline; so far 1.0 % of 1,000 requests"),
            std::string::npos)
      << early.why;
  double requests = 0;
  while (judged(state).word == Word::not_yet && requests < 1e6) {
    observe(state, success, interval(100, 1, 900, 9));
    requests += 100;
  }
  EXPECT_GT(requests, early.more_requests * 0.5);
  EXPECT_LT(requests, early.more_requests * 1.5);
}

TEST(Verdict, BlamesNobodyForWhatIsBadForBoth) {
  State state = after(interval(100, 1, 900, 9), 20);
  state = after(interval(100, 60, 900, 540), 60, state);
  EXPECT_NE(judged(state).word, Word::unhealthy) << judged(state).why;
}

TEST(Verdict, OfAVersionThatTurnsBadAfterAGoodHourComesSoon) {
  State state = after(interval(100, 1, 900, 9), 360);
  EXPECT_NE(judged(state).word, Word::unhealthy);
  int intervals = 0;
  while (judged(state).word != Word::unhealthy && intervals < 100) {
    observe(state, success, interval(100, 20, 900, 9));
    ++intervals;
  }
  EXPECT_LE(intervals, 20);
}

TEST(Verdict, StaysUnhealthyInTheNextStepAndHealthHasToBeProvenAgain) {
  State bad = after(interval(100, 8, 900, 9), 30), good = after(interval(100, 1, 900, 9), 80);
  begin_step(bad, 1);
  begin_step(good, 1);
  EXPECT_EQ(judged(bad).word, Word::unhealthy);
  EXPECT_EQ(judged(good).word, Word::not_yet);
}

TEST(Verdict, OfAReleaseIsTheWorstOfItsApplications) {
  const State good = after(interval(100, 1, 900, 9), 80), idle = after(interval(0, 0, 9, 0), 9),
              bad = after(interval(100, 8, 900, 9), 30);
  EXPECT_EQ(judge({{"cart", good}, {"web", idle}}, success, chances).word, Word::not_yet);
  EXPECT_EQ(judge({{"cart", bad}, {"web", idle}}, success, chances).word, Word::unhealthy);
  EXPECT_EQ(judge({{"cart", good}, {"web", good}}, success, chances).word, Word::healthy);
  EXPECT_EQ(word({{"cart", good}, {"web", idle}}, success, chances), Word::not_yet);
}

Sample timed(double gray_ms, double baseline_ms, double tail_ms) {
  Sample out = interval(100, 0, 900, 0);
  out.gray_ms.emplace();
  out.baseline_ms.emplace();
  (*out.gray_ms)[bucket_of(gray_ms)] += 90;
  (*out.gray_ms)[bucket_of(gray_ms * 3)] += 10;
  (*out.baseline_ms)[bucket_of(baseline_ms)] += 810;
  (*out.baseline_ms)[bucket_of(tail_ms)] += 90;
  return out;
}

TEST(Latency, IsJudgedByWhatTheBaselineTakesAtTheSameTime) {
  const std::vector<Metric> latency{
      {.kind = Metric::Kind::latency, .name = "p99 latency", .margin = 0.01}};
  State same, slow;
  for (int i = 0; i < 60; ++i) {
    observe(same, latency, timed(20, 20, 60));
    observe(slow, latency, timed(60, 20, 60));
  }
  EXPECT_EQ(judge({{"web", same}}, latency, chances).word, Word::healthy);
  const Verdict verdict = judge({{"web", slow}}, latency, chances);
  EXPECT_EQ(verdict.word, Word::unhealthy);
  EXPECT_NE(verdict.why.find("requests took over 79 ms, of the baseline's"), std::string::npos)
      << verdict.why;
}

TEST(Latency, ThatNobodyMeasuredIsNoEvidence) {
  const std::vector<Metric> latency{{.kind = Metric::Kind::latency, .name = "p99 latency"}};
  State state;
  for (int i = 0; i < 60; ++i) observe(state, latency, interval(100, 1, 900, 9));
  const Verdict verdict = judge({{"web", state}}, latency, chances);
  EXPECT_EQ(verdict.word, Word::not_yet);
  EXPECT_EQ(verdict.why, "web: p99 latency: the baseline's own latency is not known yet");
}

TEST(Latencies, HaveEachBoundInItsOwnBucket) {
  for (std::size_t i = 0; i < latency_buckets; ++i) EXPECT_EQ(bucket_of(bound_ms(i)), i);
  EXPECT_EQ(bucket_of(0), 0u);
  EXPECT_EQ(bucket_of(NAN), 0u);
  EXPECT_EQ(bucket_of(1e9), latency_buckets - 1);
}

double sum(const Latencies& latencies) {
  double out = 0;
  for (const double one : latencies) out += one;
  return out;
}

TEST(Latencies, OfWhichOnlyBoundsAreKnownAreSpreadBetweenThem) {
  Latencies spread{};
  add(spread, 10, 40, 6);  // two doublings
  EXPECT_NEAR(sum(spread), 6, 1e-9);
  double up_to_20 = 0;
  for (std::size_t i = 0; bound_ms(i) <= 20 * 1.001; ++i) up_to_20 += spread[i];
  EXPECT_NEAR(up_to_20, 3, 0.4);  // 20 ms is inside a bucket
  for (std::size_t i = 0; i < latency_buckets; ++i)
    EXPECT_EQ(spread[i] > 0, i >= bucket_of(10.001) && i <= bucket_of(40)) << i;
  Latencies edges{};
  add(edges, 0, 0.2, 1);
  add(edges, 0, 0.5, 1);
  EXPECT_EQ(edges[0], 2);
  add(edges, 1e6, 2e6, 1);
  add(edges, 30, std::numeric_limits<double>::infinity(), 1);
  EXPECT_EQ(edges.back(), 2);
  add(edges, 5, 5, 1);
  add(edges, NAN, NAN, 1);
  add(edges, 0, 1e9, 1);
  EXPECT_NEAR(sum(edges), 7, 1e-9);
}

// Limits lie where they are, not at the next bound of a bucket.
TEST(Latency, IsSlowFromAQuarterBeyondTheBaselinesQuantile) {
  const Metric p99{.kind = Metric::Kind::latency, .name = "p99 latency", .margin = 0.01};
  for (double ms = 20; ms < 200; ms *= 1.013) {
    State state;
    Sample sample = interval(100, 0, 10000, 0);
    sample.gray_ms.emplace();
    sample.baseline_ms.emplace();
    // Log-uniform between half and twice as long as `ms`: p99 is at 2^0.98.
    for (Latencies* to : {&*sample.gray_ms, &*sample.baseline_ms}) add(*to, ms / 2, ms * 2, 10000);
    observe(state, {p99}, sample);
    observe(state, {p99}, sample);
    const double slow = state.comparisons["p99 latency"].slow_ms;
    const double exact = ms * std::exp2(0.98) * 1.25;
    EXPECT_NEAR(slow, exact, exact * 0.05) << ms;
  }
}

TEST(State, IsTheSameAfterItWasKept) {
  State state = after(interval(100, 8, 900, 9), 7);
  observe(state, success, timed(20, 20, 60));
  const auto loaded = load(save(state));
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(*loaded, state);
  EXPECT_LT(save(state).size(), 2000u);
  for (const char* text : {"", "{}", R"({"step":1e999})", "[1]"})
    EXPECT_EQ(load(text).error().code, Code::data_loss) << text;
}

// The promise that all others stand on, counted out exactly: the mean of a factor over all that can
// be seen is at most 1 whenever gray is at most `margin` worse.
TEST(Factor, HasAMeanOfAtMostOneWheneverTheClaimIsFalse) {
  const auto probability = [](int n, int k, double rate) {
    return std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1)) *
           std::pow(rate, k) * std::pow(1 - rate, n - k);
  };
  constexpr int gray_all = 4, baseline_all = 9;
  constexpr double margin = 0.02;
  for (const Claim claim : {Claim::worse, Claim::as_good}) {
    for (const double baseline : {0.01, 0.1, 0.5, 0.9}) {
      for (const double more : {0.0, 0.01, 0.05, -0.05}) {
        // On the border of the claim and beyond it.
        const double gray =
            claim == Claim::worse ? baseline + margin - more : baseline + margin + more;
        if (more < 0 || gray < 0 || gray > 1) continue;
        for (const double expected : {0.01, 0.1, 0.6}) {
          for (const double by : {0.01, 0.1}) {
            double mean = 0;
            for (int g = 0; g <= gray_all; ++g) {
              for (int b = 0; b <= baseline_all; ++b) {
                const Pair seen{{double(g), gray_all}, {double(b), baseline_all}};
                mean += probability(gray_all, g, gray) * probability(baseline_all, b, baseline) *
                        std::exp(log_factor(claim, seen, margin, by, expected));
              }
            }
            EXPECT_LE(mean, 1 + 1e-6)
                << int(claim) << " " << baseline << " " << gray << " " << expected << " " << by;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace graymesh::verdict
