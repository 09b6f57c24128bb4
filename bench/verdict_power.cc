// How often a verdict is wrong, and how soon it comes: releases of which the truth is known, by the
// thousand. Prints the tables of docs/verdicts.md.
//
//   build-release/bin/verdict_power [RELEASES [SEED [equal|success|latency]]]
//
// Equal versions are watched through all their steps to the end, success rate and latency both, and
// count as rolled back wrongly if they are called unhealthy at any look. Worse ones are watched
// until the first word.
#include <fmt/core.h>

#include <cstdlib>

#include "release/verdict/testing.h"

namespace {

using namespace graymesh::verdict;
using testing::Ended;
using testing::Simulation;
using testing::World;
using Word = Verdict::Word;

// As an analysis without a word has them, for one application.
const std::vector<Metric> metrics{
    {}, {.kind = Metric::Kind::latency, .name = "p99 latency", .margin = 0.01}};
const Chances chances{.alarm = 0.0025, .pass = 0.05};
constexpr std::array rates{5 / 60.0, 1.0, 10.0, 100.0, 1000.0};

std::string rate_text(double rate) {
  return rate < 1 ? fmt::format("{:.0f}/min", rate * 60) : fmt::format("{:.0f}/s", rate);
}

std::vector<Ended> run(const World& world, int releases, std::uint64_t seed, bool latency,
                       bool to_the_end) {
  std::vector<Ended> out;
  for (int i = 0; i < releases; ++i) {
    Simulation simulation(seed + static_cast<std::uint64_t>(i));
    simulation.with_latency = latency;
    out.push_back(simulation.run(world, latency ? metrics : std::vector<Metric>{metrics[0]},
                                 chances, to_the_end));
  }
  return out;
}

std::size_t called(const std::vector<Ended>& releases, Word word) {
  return static_cast<std::size_t>(std::count_if(
      releases.begin(), releases.end(), [&](const Ended& ended) { return ended.word == word; }));
}

void print_equal(int releases, std::uint64_t seed) {
  fmt::print("| traffic | baseline fails | independent | restless | and dispersed |\n");
  fmt::print("| --- | --- | --- | --- | --- |\n");
  for (const double rate : rates) {
    for (const double baseline : {0.001, 0.01, 0.2}) {
      std::string row = fmt::format("| {} | {:g} % |", rate_text(rate), baseline * 100);
      for (int kind = 0; kind < 3; ++kind) {
        const World world{.per_second = rate,
                          .baseline = baseline,
                          .restless = kind > 0,
                          .correlation = kind > 1 ? 0.003 : 0,
                          .hours = 1,
                          .steps = {0.01, 0.05, 0.1, 0.3, 0.5}};
        row +=
            fmt::format(" {} of {} |",
                        called(run(world, releases, seed, true, true), Word::unhealthy), releases);
      }
      fmt::print("{}\n", row);
      std::fflush(stdout);
    }
  }
}

double hours_of(double rate) { return rate < 1 ? 24.0 : rate < 10 ? 6.0 : 1.0; }

std::string minutes(const Ended& one) {
  return one.word == Word::not_yet ? "later" : fmt::format("{:.1f} min", one.seconds / 60);
}

// Until the first word: how many were found, how many called healthy, and when.
void print_until_word(const std::string& row, const World& world, int releases, std::uint64_t seed,
                      bool latency) {
  auto ended = run(world, releases, seed, latency, false);
  std::sort(ended.begin(), ended.end(),
            [](const Ended& a, const Ended& b) { return a.seconds < b.seconds; });
  const auto share = [&](Word word) {
    return fmt::format(
        "{:g} %", 100.0 * static_cast<double>(called(ended, word)) / static_cast<double>(releases));
  };
  const Ended& median = ended[ended.size() / 2];
  fmt::print("| {} | {:g} h | {} | {} | {} | {} | {:.0f} |\n", row, world.hours,
             share(Word::unhealthy), share(Word::healthy), minutes(median),
             minutes(ended[ended.size() * 9 / 10]), median.gray_requests);
  std::fflush(stdout);
}

void print_success(int releases, std::uint64_t seed) {
  fmt::print(
      "| traffic | baseline fails | gray fails | within | found | called healthy | median | 90 % | "
      "gray's requests |\n");
  fmt::print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
  for (const double rate : rates) {
    for (const double baseline : {0.001, 0.01, 0.05}) {
      for (const double worse : {0.0, 0.005, 0.01, 0.02, 0.05, 0.1}) {
        const World world{.per_second = rate,
                          .gray_share = 0.2,
                          .baseline = baseline,
                          .worse = worse,
                          .hours = hours_of(rate)};
        print_until_word(fmt::format("{} | {:g} % | {:g} %", rate_text(rate), baseline * 100,
                                     (baseline + worse) * 100),
                         world, releases, seed, false);
      }
    }
  }
}

// Both are well but for how long they take.
void print_latency(int releases, std::uint64_t seed) {
  fmt::print(
      "| traffic | gray takes | within | found | called healthy | median | 90 % | gray's requests "
      "|\n");
  fmt::print("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
  for (const double rate : rates) {
    for (const double slower : {1.0, 1.1, 1.25, 1.5, 2.0, 3.0}) {
      const World world{.per_second = rate,
                        .gray_share = 0.2,
                        .baseline = 0.001,
                        .slower = slower,
                        .hours = hours_of(rate)};
      print_until_word(fmt::format("{} | {:g} times as long", rate_text(rate), slower), world,
                       releases, seed, true);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int releases = argc > 1 ? std::atoi(argv[1]) : 1000;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 20261129;
  const std::string table = argc > 3 ? argv[3] : "";
  fmt::print("{} releases a row, seed {}\n\n", releases, seed);
  if (table.empty() || table == "equal") print_equal(releases, seed);
  if (table.empty() || table == "success") print_success(releases, seed);
  if (table.empty() || table == "latency") print_latency(releases, seed);
  return 0;
}
