// A small cut of bench/verdict_power.cc, whose figures are in docs/verdicts.md.
#include <gtest/gtest.h>

#include "release/verdict/testing.h"

namespace graymesh::verdict::testing {
namespace {

const std::vector<Metric> success{{}};
const Chances chances{0.0025, 0.05};

int called(Verdict::Word word, const World& world, int releases, bool to_the_end) {
  int out = 0;
  for (int i = 0; i < releases; ++i) {
    Simulation simulation(20261128 + static_cast<std::uint64_t>(i));
    out += simulation.run(world, success, chances, to_the_end).word == word ? 1 : 0;
  }
  return out;
}

// Each is allowed 1 in 100, so the chance of more than 3 of 120 is under 4 %: seeds are fixed, and
// an error that matters (a factor without its margin, without its dispersion) gives dozens.
TEST(EqualVersions, AreRolledBackInUnderOneOfAHundredReleases) {
  for (const double per_second : {5 / 60.0, 30.0, 1000.0}) {
    for (const double baseline : {0.001, 0.2}) {
      const World world{.per_second = per_second,
                        .baseline = baseline,
                        .restless = true,
                        .correlation = 0.003,
                        .hours = 0.5,
                        .steps = {0.01, 0.1, 0.5}};
      EXPECT_LE(called(Verdict::Word::unhealthy, world, 120, true), 1)
          << per_second << "/s, " << baseline;
    }
  }
}

TEST(AVersionTwoPointsWorse, IsFound) {
  const World world{.per_second = 30, .gray_share = 0.2, .worse = 0.02, .hours = 1};
  EXPECT_GE(called(Verdict::Word::unhealthy, world, 30, false), 27);
}

TEST(AVersionAtTheMargin, IsCalledHealthyInUnderOneOfTwenty) {
  const World world{.per_second = 30, .gray_share = 0.2, .worse = 0.005, .hours = 1};
  EXPECT_LE(called(Verdict::Word::healthy, world, 60, false), 3);
}

// Half as slow again is 1.8 points beyond the limit, where the margin is one.
TEST(AVersionBeyondTheMarginOfLatency, IsFoundAndNotCalledHealthy) {
  const std::vector<Metric> latency{
      {.kind = Metric::Kind::latency, .name = "p99 latency", .margin = 0.01}};
  const World world{.per_second = 100, .gray_share = 0.2, .slower = 1.5, .hours = 0.5};
  int healthy = 0, unhealthy = 0;
  for (int i = 0; i < 40; ++i) {
    Simulation simulation(20261130 + static_cast<std::uint64_t>(i));
    simulation.with_latency = true;
    const auto word = simulation.run(world, latency, chances, false).word;
    healthy += word == Verdict::Word::healthy ? 1 : 0;
    unhealthy += word == Verdict::Word::unhealthy ? 1 : 0;
  }
  EXPECT_LE(healthy, 2);
  EXPECT_GE(unhealthy, 36);
}

}  // namespace
}  // namespace graymesh::verdict::testing
