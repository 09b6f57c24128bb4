#include "metrics/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <thread>
#include <vector>

namespace graymesh::metrics {
namespace {

TEST(Registry, PageShowsFamiliesByNameAndSeriesByLabels) {
  Registry registry;
  registry.gauge("streams", "Open streams.").set(2.5);
  registry.counter("pushes_total", "Responses sent.", {{"type", "eds"}}).add(3);
  registry.counter("pushes_total", "Responses sent.", {{"type", "cds"}}).add();
  EXPECT_EQ(registry.page(),
            "# HELP pushes_total Responses sent.\n"
            "# TYPE pushes_total counter\n"
            "pushes_total{type=\"cds\"} 1\n"
            "pushes_total{type=\"eds\"} 3\n"
            "# HELP streams Open streams.\n"
            "# TYPE streams gauge\n"
            "streams 2.5\n");
}

TEST(Registry, SameNameAndLabelsAreTheSameInstrument) {
  Registry registry;
  auto& first = registry.counter("a", "A.", {{"x", "1"}});
  EXPECT_EQ(&first, &registry.counter("a", "A.", {{"x", "1"}}));
  EXPECT_NE(&first, &registry.counter("a", "A.", {{"x", "2"}}));
}

TEST(Registry, EscapesLabelValuesAndHelp) {
  Registry registry;
  registry.counter("a", "Back\\slash\nand \"quotes\".", {{"x", "q\"b\\n\nend"}});
  EXPECT_EQ(
      registry.page(),
      "# HELP a Back\\\\slash\\nand \"quotes\".\n# TYPE a counter\na{x=\"q\\\"b\\\\n\\nend\"} 0\n");
}

TEST(Registry, GaugesShowWhatIsNotANumber) {
  Registry registry;
  registry.gauge("a", "A.").set(std::numeric_limits<double>::infinity());
  registry.gauge("b", "B.").set(std::numeric_limits<double>::quiet_NaN());
  const auto page = registry.page();
  EXPECT_NE(page.find("\na +Inf\n"), std::string::npos);
  EXPECT_NE(page.find("\nb NaN\n"), std::string::npos);
}

TEST(Registry, RefreshesJustBeforeThePageIsWrittenAndMayMakeInstruments) {
  Registry registry;
  int asked = 0;
  registry.before_page([&] { registry.gauge("asked", "Times.").set(++asked); });
  EXPECT_NE(registry.page().find("\nasked 1\n"), std::string::npos);
  EXPECT_NE(registry.page().find("\nasked 2\n"), std::string::npos);
}

TEST(Histogram, CountsAtOrBelowEachBound) {
  Histogram histogram({1, 2});
  for (const double value : {0.5, 1.0, 1.5, 99.0}) histogram.observe(value);
  EXPECT_EQ(histogram.cumulative(0), 2u);
  EXPECT_EQ(histogram.cumulative(1), 3u);
  EXPECT_EQ(histogram.count(), 4u);
  EXPECT_EQ(histogram.sum(), 102.0);
}

TEST(Histogram, PageHasBucketsSumAndCount) {
  Registry registry;
  registry.histogram("wait_seconds", "Wait.", {0.1, 1}, {{"type", "cds"}}).observe(0.5);
  EXPECT_EQ(registry.page(),
            "# HELP wait_seconds Wait.\n"
            "# TYPE wait_seconds histogram\n"
            "wait_seconds_bucket{type=\"cds\",le=\"0.1\"} 0\n"
            "wait_seconds_bucket{type=\"cds\",le=\"1\"} 1\n"
            "wait_seconds_bucket{type=\"cds\",le=\"+Inf\"} 1\n"
            "wait_seconds_sum{type=\"cds\"} 0.5\n"
            "wait_seconds_count{type=\"cds\"} 1\n");
}

TEST(Histogram, DurationBoundsAscendFromHalfAMillisecondToTenSeconds) {
  const auto bounds = duration_bounds();
  EXPECT_EQ(bounds.front(), 0.0005);
  EXPECT_EQ(bounds.back(), 10);
  EXPECT_TRUE(std::is_sorted(bounds.begin(), bounds.end()));
}

TEST(OpenMetrics, NamesAFamilyOfACounterWithoutItsEndingAndTellsTheEnd) {
  EXPECT_EQ(open_metrics("# HELP asked_total How often, in_total.\n# TYPE asked_total counter\n"
                         "asked_total{a=\"# TYPE b_total\"} 1\n"
                         "# HELP open Open.\n# TYPE open gauge\nopen 2\n"),
            "# HELP asked How often, in_total.\n# TYPE asked counter\n"
            "asked_total{a=\"# TYPE b_total\"} 1\n"
            "# HELP open Open.\n# TYPE open gauge\nopen 2\n# EOF\n");
  EXPECT_EQ(open_metrics(""), "# EOF\n");
}

TEST(Instruments, AreMovedByManyThreadsWithoutLoss) {
  Registry registry;
  auto& counter = registry.counter("a", "A.");
  auto& gauge = registry.gauge("b", "B.");
  auto& histogram = registry.histogram("c", "C.", {1});
  {
    std::vector<std::jthread> threads;
    threads.reserve(4);
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int n = 0; n < 1000; ++n) {
          counter.add();
          gauge.add(1);
          histogram.observe(0.5);
        }
        (void)registry.page();
      });
    }
  }
  EXPECT_EQ(counter.value(), 4000u);
  EXPECT_EQ(gauge.value(), 4000.0);
  EXPECT_EQ(histogram.count(), 4000u);
  EXPECT_EQ(histogram.sum(), 2000.0);
}

}  // namespace
}  // namespace graymesh::metrics
