#include <gmock/gmock.h>

#include "control/traffic/traffic.h"

namespace graymesh::traffic {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string trace = "0af7651916cd43dd8448eb211c80319c";

class LatenciesTest : public ::testing::Test {
 protected:
  LatenciesTest() { know({{"fe-pre", "cart"}}); }

  void know(std::set<Name> applications) {
    table.know({.lanes = {{"fe-pre", "a"}}, .applications = std::move(applications)});
  }
  void call(const Request& request, Teller::Side side = Teller::Side::outbound) {
    table.record({.side = side}, {request});
  }

  FakeClock clock;
  Table table{clock};
};

TEST_F(LatenciesTest, ABucketHasTheTraceOfTheNewestSampledCallInIt) {
  call({.to = "cart.fe-pre", .ms = 70, .trace = std::string(32, '1')});
  call({.to = "cart.fe-pre", .ms = 80, .trace = trace});
  call({.to = "cart.fe-pre", .ms = 90});
  const std::string of_cart =
      R"(graymesh_logged_call_duration_seconds_bucket{namespace="fe-pre",service="cart",le=)";
  const std::string page = table.latencies(true);
  EXPECT_THAT(page, HasSubstr(of_cart + "\"0.05\"} 0\n"));
  EXPECT_THAT(page,
              HasSubstr(of_cart + "\"0.1\"} 3 # {trace_id=\"" + trace + "\"} 0.08 3600.000\n"));
  EXPECT_THAT(page, HasSubstr(of_cart + "\"0.5\"} 3\n"));
  EXPECT_THAT(page, HasSubstr(of_cart + "\"+Inf\"} 3\n"));
}

TEST_F(LatenciesTest, ThePageOfTheOlderFormatHasNoTraces) {
  call({.to = "cart.fe-pre", .ms = 80, .trace = trace});
  EXPECT_THAT(table.latencies(false), HasSubstr("le=\"0.1\"} 1\n"));
  EXPECT_THAT(table.latencies(false), Not(HasSubstr("trace_id")));
}

TEST_F(LatenciesTest, CallsInALaneAreApart) {
  call({.lane = "a", .to = "cart.fe-pre", .ms = 1}, Teller::Side::gateway);
  EXPECT_THAT(table.latencies(true), HasSubstr("service=\"cart\",lane=\"a\",le=\"+Inf\"} 1\n"));
}

TEST_F(LatenciesTest, ACallCountsOnceAndOfWhatIsDeclaredAlone) {
  call({.to = "cart.fe-pre", .ms = 1}, Teller::Side::inbound);
  call({.lane = "invented", .to = "cart.fe-pre", .ms = 1});
  call({.to = "other.fe-pre", .ms = 1});
  call({.to = "", .ms = 1});
  EXPECT_THAT(table.latencies(true), Not(HasSubstr("le=")));
}

TEST_F(LatenciesTest, RowsAreBoundedAndWhatNobodyCallsMakesRoom) {
  const auto name = [](std::size_t i) { return "s" + std::to_string(i); };
  std::set<Name> all;
  for (std::size_t i = 0; i <= Latencies::rows_max; ++i) all.emplace("x", name(i));
  know(all);
  for (std::size_t i = 0; i <= Latencies::rows_max; ++i) call({.to = name(i) + ".x", .ms = 1});
  const std::string last = "service=\"" + name(Latencies::rows_max) + "\"";
  EXPECT_THAT(table.latencies(true), Not(HasSubstr(last)));
  clock.advance(Latencies::kept + std::chrono::seconds(1));
  call({.to = name(Latencies::rows_max) + ".x", .ms = 1});
  EXPECT_THAT(table.latencies(true), HasSubstr(last));
  EXPECT_THAT(table.latencies(true), Not(HasSubstr("service=\"s0\"")));
}

}  // namespace
}  // namespace graymesh::traffic
