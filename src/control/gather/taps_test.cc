// Who taps sees what was asked for, in bounds; sidecars tell more only while somebody does.
#include <gmock/gmock.h>

#include "control/gather/gather.h"

namespace graymesh::gather {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

traffic::Request request(const std::string& lane, const std::string& path = "/",
                         std::uint16_t code = 200) {
  traffic::Request out{.lane = lane,
                       .cluster = "outbound|8080|baseline|cart.fe-pre.svc.cluster.local",
                       .code = code};
  out.details = traffic::Details{.method = "GET", .path = path};
  return out;
}

class Tapping : public ::testing::Test {
 public:
  Tapping() { teller.side = traffic::Teller::Side::outbound; }
  std::shared_ptr<Tap> tap(TapWanted wanted, std::size_t per_second = 100) {
    auto opened = taps.open(std::move(wanted), per_second);
    EXPECT_TRUE(opened);
    return *opened;
  }
  std::size_t count(TapWanted wanted, const std::vector<traffic::Request>& requests) {
    const auto one = tap(std::move(wanted));
    taps.record(teller, requests);
    taps.close(one);
    return one->take(0ms).requests.size();
  }

  FakeClock clock;
  traffic::Teller teller{.who = {.namespace_ = "fe-pre", .application = "web", .tag = "feature-a"}};
  std::vector<Proxy> there = {
      {.id = "web-0",
       .admin = "127.1.1.1:15000",
       .who = {.namespace_ = "fe-pre", .workload = "web", .tag = "feature-a"}},
      {.id = "cart-0",
       .admin = "127.1.1.2:15000",
       .who = {.namespace_ = "fe-pre", .workload = "cart"}},
      {.id = "far-0", .who = {.namespace_ = "fe-pre", .workload = "far"}}};
  std::vector<std::string> posted;
  std::string fault;
  Taps taps{{.post = [this](const std::string& url) -> Status {
               posted.push_back(url);
               if (!fault.empty()) return Error{Code::unavailable, fault};
               return {};
             },
             .proxies = [this] { return there; },
             .clock = clock}};
};

TEST_F(Tapping, ShowsWhatWasAskedForAndNothingElse) {
  const std::vector<traffic::Request> all = {request("feature-a", "/a/b"), request("", "/a", 503),
                                             request("other", "/b", 404)};
  EXPECT_EQ(count({}, all), 3u);
  EXPECT_EQ(count({.lane = "feature-a"}, all), 1u);
  EXPECT_EQ(count({.lane = "-"}, all), 1u);
  EXPECT_EQ(count({.path = "/a"}, all), 2u);
  EXPECT_EQ(count({.code = "503"}, all), 1u);
  EXPECT_EQ(count({.code = "4xx"}, all), 1u);
  EXPECT_EQ(count({.method = "POST"}, all), 0u);
  EXPECT_EQ(count({.edge = {.service = "cart.fe-pre"}}, all), 3u);
  EXPECT_EQ(count({.edge = {.service = "pay"}}, all), 0u);
  EXPECT_EQ(count({.edge = {.from = "web/feature-a"}}, all), 3u);
  EXPECT_EQ(count({.edge = {.from = "web/baseline"}}, all), 0u);
}

TEST_F(Tapping, ShowsEachCallOnce) {
  teller.side = traffic::Teller::Side::inbound;
  EXPECT_EQ(count({}, {request("feature-a")}), 0u) << "its caller tells it as well";
  teller.side = traffic::Teller::Side::gateway;
  EXPECT_EQ(count({}, {request("feature-a")}), 1u);
}

TEST_F(Tapping, ShowsNoMoreThanItsBoundAndSaysHowManyItLeftOut) {
  const auto one = tap({}, 2);
  taps.record(teller, {request("a"), request("a"), request("a")});
  Told told = one->take(0ms);
  EXPECT_EQ(told.requests.size(), 2u);
  EXPECT_EQ(told.matched, 3u);
  EXPECT_EQ(told.over, 1u);
  clock.advance(1s);
  taps.record(teller, {request("a")});
  told = one->take(0ms);
  EXPECT_EQ(told.requests.size(), 1u);
  EXPECT_EQ(told.matched, 4u);
  taps.close(one);
}

TEST_F(Tapping, AsksSidecarsForMoreOnlyWhileSomebodyTaps) {
  const auto lane = tap({.lane = "feature-a"});
  taps.renew();
  EXPECT_THAT(posted, IsEmpty()) << "requests in lanes are logged in any case";
  const auto all = tap({.edge = {.from = "web"}});
  all->share = Taps::all;
  EXPECT_THAT(taps.renew().out_of_reach, IsEmpty());
  EXPECT_THAT(posted, ElementsAre("http://127.1.1.1:15000/runtime_modify?graymesh.tap=1000000"))
      << "who calls, and no other";
  posted.clear();
  taps.close(all);
  EXPECT_THAT(posted, ElementsAre("http://127.1.1.1:15000/runtime_modify?graymesh.tap="));
  posted.clear();
  taps.close(lane);
  EXPECT_THAT(posted, IsEmpty());
}

TEST_F(Tapping, SaysWhoIsOutOfReach) {
  const auto all = tap({});
  all->share = Taps::all;
  auto missing = taps.renew().out_of_reach;
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_EQ(missing[0].id, "far-0");
  EXPECT_TRUE(may_match(all->wanted, missing[0]));
  EXPECT_FALSE(may_match({.edge = {.from = "web"}}, missing[0]));
  EXPECT_EQ(posted.size(), 2u);
  fault = "it hangs";
  missing = taps.renew().out_of_reach;
  ASSERT_EQ(missing.size(), 3u);
  EXPECT_EQ(missing[0].id, "web-0");
  posted.clear();
  taps.renew();
  EXPECT_THAT(posted, IsEmpty()) << "who does not answer is left alone for a while";
  fault.clear();
  clock.advance(31s);
  EXPECT_EQ(taps.renew().out_of_reach.size(), 1u);
  taps.close(all);
}

TEST_F(Tapping, EndsWhatAGraymeshdThatWasKilledLeftOn) {
  taps.meet(there[0]);
  taps.meet(there[2]);
  EXPECT_THAT(posted, ElementsAre("http://127.1.1.1:15000/runtime_modify?graymesh.tap="));
}

TEST_F(Tapping, IsForAFewAtATime) {
  std::vector<std::shared_ptr<Tap>> open;
  for (std::size_t i = 0; i < Taps::taps_max; ++i) open.push_back(tap({}));
  EXPECT_EQ(taps.open({}, 1).error().code, Code::resource_exhausted);
  EXPECT_TRUE(taps.any());
  for (const auto& one : open) taps.close(one);
  EXPECT_FALSE(taps.any());
}

TEST(TapShare, FallsWithTheTraffic) {
  EXPECT_EQ(share_for(0), Taps::all);
  EXPECT_EQ(share_for(500), Taps::all);
  EXPECT_EQ(share_for(5'000), Taps::all / 10);
  EXPECT_EQ(share_for(1e12), 1u);
}

}  // namespace
}  // namespace graymesh::gather
