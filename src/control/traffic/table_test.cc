#include <gmock/gmock.h>

#include "control/traffic/traffic.h"

namespace graymesh::traffic {
namespace {

using namespace std::chrono_literals;
using ::testing::IsEmpty;

const Who web{"fe-pre", "web", "", "1"}, gray_web{"fe-pre", "web", "a", "2"};
const Name lane{"fe-pre", "a"};

class TrafficTable : public ::testing::Test {
 public:
  TrafficTable() {
    table.know({.lanes = {lane}, .applications = {{"fe-pre", "web"}, {"fe-pre", "cart"}}});
  }
  void in(const Who& who, const std::string& tag, const std::string& id = "") {
    record({.who = who, .proxy = "p", .side = Teller::Side::inbound}, {.lane = tag, .id = id});
  }
  void out(const Who& who, const std::string& tag, Carrier carrier = Carrier::header,
           const std::string& id = "", const std::string& to = "cart.fe-pre",
           const std::string& proxy = "p") {
    record({.who = who, .proxy = proxy, .side = Teller::Side::outbound},
           {.lane = tag, .carrier = carrier, .to = to, .id = id});
  }
  void record(const Teller& teller, const Request& request) {
    const Table::Counts counts = table.record(teller, {request});
    unknown += counts.unknown;
    full += counts.full;
  }
  std::uint64_t unknown = 0, full = 0;
  FakeClock clock;
  Table table{clock};
};

TEST_F(TrafficTable, CountsByVersionCarrierAndServiceCalled) {
  in(web, "a");
  in(web, "a");
  in(gray_web, "a");
  out(web, "a", Carrier::baggage);
  out(gray_web, "a", Carrier::stamp);
  out(gray_web, "a", Carrier::stamp);
  out(web, "");
  const Report report = table.report(lane);
  EXPECT_EQ(report.passed.at(web).received, 2u);
  EXPECT_EQ(report.passed.at(web).calls.at("cart.fe-pre")[2], 1u);
  EXPECT_EQ(report.passed.at(gray_web).calls.at("cart.fe-pre")[1], 2u);
  EXPECT_EQ(report.others.at(web).at("cart.fe-pre"), 1u);
  EXPECT_THAT(report.passed.at(web).lost, IsEmpty());
  out({"fe-pre", "cart", "", "1"}, "");
  EXPECT_EQ(table.report(lane).others.size(), 1u) << "cart has had nothing of the lane";
}

TEST_F(TrafficTable, TheSameRequestIdWithoutTheLaneIsALostLaneWhicheverIsToldFirst) {
  in(web, "a", "1");
  out(web, "", Carrier::header, "1");
  out(web, "", Carrier::header, "2");
  in(web, "a", "2");
  EXPECT_EQ(table.report(lane).passed.at(web).lost.at("cart.fe-pre"), 2u);
  // Of another request, of another proxy, without an id: nothing is proven.
  in(web, "a", "3");
  out(web, "", Carrier::header, "4");
  out(web, "", Carrier::header, "3", "cart.fe-pre", "q");
  in(web, "a");
  out(web, "");
  EXPECT_EQ(table.report(lane).passed.at(web).lost.at("cart.fe-pre"), 2u);
}

TEST_F(TrafficTable, WhatNobodyDeclaredIsOnlyCountedInSum) {
  in(web, "b");
  in({"fe-pre", "stranger", "", ""}, "a");
  in({"fe-pre", "web", "b", ""}, "a");
  out(web, "a", Carrier::header, "", "stranger.fe-pre");
  out(web, "", Carrier::header, "", "stranger.fe-pre");
  const Report report = table.report(lane);
  EXPECT_THAT(report.passed.at(web).calls, IsEmpty());
  EXPECT_THAT(report.others, IsEmpty());
  EXPECT_EQ(unknown, 3u);
  EXPECT_FALSE(table.last({"fe-pre", "b"}));
}

TEST_F(TrafficTable, AGatewayTellsOnlyThatTheLaneIsUsed) {
  table.record({.who = {"ingress", "gateway", "", ""}, .proxy = "g", .side = Teller::Side::gateway},
               {{.lane = "a", .to = "web.fe-pre"}});
  EXPECT_EQ(table.last(lane), clock.wall());
  EXPECT_THAT(table.report(lane).passed, IsEmpty());
}

TEST_F(TrafficTable, OldCountsFallOutAndTheLastUseStays) {
  const auto used = clock.wall();
  in(web, "a");
  clock.advance(1h);
  in(web, "a");
  EXPECT_EQ(table.report(lane).passed.at(web).received, 2u);
  clock.advance(1h);
  EXPECT_EQ(table.report(lane).passed.at(web).received, 1u) << "also if nobody has come since";
  clock.advance(1h);
  EXPECT_THAT(table.report(lane).passed, IsEmpty());
  in(gray_web, "a");
  EXPECT_EQ(table.report(lane).passed.size(), 1u);
  EXPECT_EQ(table.last(lane), used + 3h);
  EXPECT_EQ(table.since(), used);
}

TEST_F(TrafficTable, WhatIsKnownNoMoreIsForgotten) {
  in(web, "a");
  table.know({.lanes = {}, .applications = {{"fe-pre", "web"}}});
  EXPECT_FALSE(table.last(lane));
  EXPECT_THAT(table.report(lane).passed, IsEmpty());
}

TEST_F(TrafficTable, NobodyMakesItGrowWithoutEnd) {
  for (std::size_t i = 0; i < Table::rows_max + 10; ++i)
    in({"fe-pre", "web", "", std::to_string(i)}, "a", std::to_string(i));
  EXPECT_LE(table.report(lane).passed.size(), Table::rows_max);
  EXPECT_GE(full, 10u);
}

TEST_F(TrafficTable, OnlyTheNewestRequestsAreRememberedByTheirId) {
  for (std::size_t i = 0; i < 3 * Table::ids_max; ++i)
    out(web, "", Carrier::header, "o" + std::to_string(i));
  in(web, "a", "o0");
  EXPECT_THAT(table.report(lane).passed.at(web).lost, IsEmpty());
  in(web, "a", "o" + std::to_string(3 * Table::ids_max - 1));
  EXPECT_EQ(table.report(lane).passed.at(web).lost.at("cart.fe-pre"), 1u);
}

}  // namespace
}  // namespace graymesh::traffic
