// What stat, top and graph show of a page.
#include <gmock/gmock.h>

#include <algorithm>
#include <sstream>

#include "cli/live.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

live::Counts answers(double good, double bad, double ms) {
  live::Counts out;
  out.answered(200, good);
  if (bad > 0) out.answered(503, bad);
  out.took(ms, good + bad);
  return out;
}

json sample() {
  live::Window window{.proxies = 4, .silent = 1};
  window.to = window.from + std::chrono::seconds(10);
  window.versions = {{{"fe-pre", "cart", ""}, "v1"}};
  const live::Party web{.namespace_ = "fe-pre", .workload = "web"};
  const live::Party gray{.namespace_ = "fe-pre", .workload = "web", .tag = "feature-a"};
  const live::Target cart{
      .namespace_ = "fe-pre", .service = "cart", .subset = "baseline", .port = 8080};
  window.rows = {
      {{web, cart}, answers(90, 10, 20)},
      {{gray, {.namespace_ = "fe-pre", .service = "pay", .port = 8080}}, answers(200, 0, 3)}};
  return live::edges_page(window, {});
}

TEST(LiveText, SortsEdges) {
  json items = sample()["items"];
  sort_edges(items, LiveSort::errors);
  EXPECT_EQ(items[0]["to"]["service"], "cart");
  sort_edges(items, LiveSort::rate);
  EXPECT_EQ(items[0]["to"]["service"], "pay");
  sort_edges(items, LiveSort::latency);
  EXPECT_EQ(items[0]["to"]["service"], "cart");
}

TEST(LiveText, NamesBothEndsOfAnEdgeByVersion) {
  const std::string text = edges_table(sample());
  EXPECT_THAT(text, HasSubstr("web.fe-pre[feature-a]   pay.fe-pre[any]   feature-a   20.0   0.0"));
  EXPECT_THAT(text, HasSubstr("90.00%"));
}

TEST(LiveText, DrawsAGraph) {
  EXPECT_THAT(graph_text(sample()),
              HasSubstr("web.fe-pre\n  -> cart.fe-pre  10.0/s, 90.00% success"));
  const std::string dot = graph_dot(sample());
  EXPECT_THAT(dot,
              HasSubstr("\"web.fe-pre\" -> \"cart.fe-pre\" [label=\"10.0/s 90.00%\", color=red];"));
  json bad = sample();
  bad["items"][0]["from"]["workload"] = "a\"b\\";
  EXPECT_THAT(graph_dot(bad), HasSubstr("\"a\\\"b\\\\.fe-pre\""));
}

TEST(LiveText, SaysWhoWasNotHeard) {
  EXPECT_THAT(live_notes(sample()), HasSubstr("over 10 s up to"));
  EXPECT_THAT(live_notes(sample()), HasSubstr("1 proxies do not answer"));
  EXPECT_THAT(live_notes(sample()), Not(HasSubstr("no requests")));
  const auto nothing = [](const char* source) {
    return json{{"source", source}, {"seconds", 10}, {"items", json::array()}};
  };
  EXPECT_THAT(live_notes(nothing("statistics")), HasSubstr("\nno requests seen\n"));
  EXPECT_THAT(live_notes(nothing("requests")), HasSubstr("lanes that are declared"));
}

TEST(LiveText, FitsTheWindow) {
  json page = sample();
  for (int i = 0; i < 50; ++i) page["items"].push_back(page["items"][0]);
  const Style style{.width = 60, .height = 20, .terminal = true};
  const std::string screen = top_screen(page, LiveSort::errors, style, "");
  EXPECT_EQ(std::count(screen.begin(), screen.end(), '\n'), 19);
  EXPECT_THAT(screen, HasSubstr("sorted by errors"));
  EXPECT_THAT(screen, HasSubstr("more lines"));
}

TEST(LiveText, EndsEachColourInItsLineHoweverNarrowTheWindow) {
  json page = sample();
  page["proxies"] = {{"silent", 2}, {"leftOut", 1}};
  for (const std::size_t width : {20U, 40U, 200U}) {
    const Style style{.width = width, .height = 20, .terminal = true, .color = true};
    const std::string screen = top_screen(page, LiveSort::rate, style, "graymeshd is not there");
    EXPECT_THAT(screen, HasSubstr("graymeshd is not "));
    std::istringstream lines(screen);
    for (std::string line; std::getline(lines, line);) {
      EXPECT_LE(columns(line), width);
      const auto begun = line.rfind("\x1b["), ended = line.rfind("\x1b[0m");
      EXPECT_EQ(begun, ended) << "a colour goes on behind: " << line;
    }
  }
}

TEST(LiveText, SaysNothingOfServicesThatNobodyCalled) {
  json page = sample();
  page["items"] = json::array();
  EXPECT_THAT(stat_table(page), Not(HasSubstr("%")));
}

}  // namespace
}  // namespace graymesh::cli
