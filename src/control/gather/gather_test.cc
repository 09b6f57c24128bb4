// Pages of Envoys that are made up, read in rounds; calls in lanes.
#include "control/gather/gather.h"

#include <gmock/gmock.h>

namespace graymesh::gather {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr const char* cart = "outbound|8080|baseline|cart.fe-pre.svc.cluster.local";

std::string counter(const std::string& name, int value) {
  return R"({"name":")" + name + R"(","value":)" + std::to_string(value) + "}";
}

// As Envoy 1.40 answers: `requests` to cart, of which `bad` were 503.
std::string page(int requests, int bad, int uptime = 1000) {
  const std::string cluster = std::string("cluster.") + cart + ";.upstream_rq_";
  std::string stats = counter(cluster + "200", requests - bad) + "," +
                      counter(cluster + "2xx", requests - bad) + "," +
                      counter("server.uptime", uptime) + "," +
                      counter("http.inbound_127.1.1.1_8080;.downstream_rq_2xx", 2 * requests);
  if (bad > 0) stats += "," + counter(cluster + "503", bad) + "," + counter(cluster + "5xx", bad);
  return R"({"stats":[)" + stats + R"(,{"histograms":{"supported_percentiles":[50],"details":[)" +
         R"({"name":")" + cluster + R"(time","totals":[{"lower_bound":3,"width":0.1,"count":)" +
         std::to_string(requests) + R"(}],"intervals":[]}]}}]})";
}

TEST(GatherPage, IsReadByClusterCodeAndLatency) {
  const auto read = read_page(page(10, 2));
  ASSERT_TRUE(read) << read.error().message;
  const live::Counts& counts = read->clusters.at(cart);
  EXPECT_EQ(counts.requests(), 10);
  EXPECT_EQ(counts.failures(), 2);
  EXPECT_EQ(counts.codes, (std::vector<std::pair<std::uint16_t, double>>{{200, 8}, {503, 2}}));
  EXPECT_EQ(counts.ms, (std::vector<std::pair<std::uint8_t, double>>{{3, 10}}));
  EXPECT_EQ(read->received.requests(), 20);
  EXPECT_EQ(read->uptime, 1000s);
}

TEST(GatherPage, RefusesWhatIsNone) {
  for (const char* bad :
       {"", "{}", "[]", R"({"stats":[{"name":3,"value":1}]})",
        R"({"stats":[{"name":"server.uptime"}]})",
        R"({"stats":[{"name":"server.uptime","value":-1}]})",
        R"({"stats":[{"name":"server.uptime","value":1e300}]})",
        R"({"stats":[{"name":"server.uptime","value":9e15}]})",
        R"({"stats":[{"histograms":{"details":[{"name":"cluster.x;.upstream_rq_time"}]}}]})"})
    EXPECT_FALSE(read_page(bad)) << bad;
  EXPECT_EQ(read_page("x").error().code, Code::invalid_argument);
}

class Gathering : public ::testing::Test {
 public:
  void SetUp() override { there = {{.id = "web-0", .stats = "127.1.1.1:15090", .who = web}}; }
  live::Window after_round(std::chrono::seconds seconds = 10s) {
    clock.advance(seconds);
    gatherer.round();
    return gatherer.window(60s, 0ms);
  }

  const live::Party web{.namespace_ = "fe-pre", .workload = "web", .version = "v1"};
  FakeClock clock;
  metrics::Registry metrics;
  std::vector<Proxy> there;
  std::map<std::string, std::string> pages;  // by address
  std::vector<std::string> met, asked;
  Gatherer gatherer{{.fetch = [this](const std::string& url) -> Result<std::string> {
                       asked.push_back(url);
                       const auto host = url.substr(7, url.find('/', 7) - 7);
                       if (!pages.contains(host)) return Error{Code::unavailable, "gone"};
                       return pages[host];
                     },
                     .proxies = [this] { return there; },
                     .met = [this](const Proxy& proxy) { met.push_back(proxy.id); },
                     .clock = clock,
                     .metrics = metrics}};
};

TEST_F(Gathering, CountsWhatCameBetweenTwoRounds) {
  pages["127.1.1.1:15090"] = page(100, 0);
  EXPECT_TRUE(after_round().rows.empty()) << "of what was before, nobody knows when it came";
  pages["127.1.1.1:15090"] = page(130, 3, 1010);
  const live::Window window = after_round();
  ASSERT_EQ(window.rows.size(), 2u);
  EXPECT_TRUE(window.rows[0].edge.received());
  EXPECT_EQ(window.rows[0].counts.requests(), 60);
  EXPECT_EQ(window.rows[1].edge.from, web);
  EXPECT_EQ(window.rows[1].edge.to.service, "cart");
  EXPECT_EQ(window.rows[1].counts.requests(), 30);
  EXPECT_EQ(window.rows[1].counts.failures(), 3);
  EXPECT_EQ(window.seconds(), 10);
  EXPECT_EQ(asked.back(), "http://127.1.1.1:15090/stats/figures");
  EXPECT_EQ(window.versions.begin()->second, "v1");
}

TEST_F(Gathering, CountsAllOfOneThatHasJustStarted) {
  after_round();
  there.push_back({.id = "web-1", .stats = "127.1.1.2:15090", .who = web});
  pages["127.1.1.2:15090"] = page(5, 0, 3);
  EXPECT_EQ(after_round().rows.back().counts.requests(), 5);
  EXPECT_EQ(met, (std::vector<std::string>{"web-0", "web-1"}));
}

TEST_F(Gathering, CountsAnEnvoyThatBeganAnewFromNothing) {
  pages["127.1.1.1:15090"] = page(100, 0);
  after_round();
  pages["127.1.1.1:15090"] = page(4, 1, 2);
  EXPECT_EQ(after_round().rows.back().counts.requests(), 4);
}

TEST_F(Gathering, LeavesWhoDoesNotAnswerAloneForAWhile) {
  EXPECT_EQ(after_round().silent, 1u);
  after_round();
  EXPECT_EQ(asked.size(), 1u);
  after_round(30s);
  EXPECT_EQ(asked.size(), 2u);
  EXPECT_THAT(metrics.page(), HasSubstr("graymesh_live_read_failures_total 2"));
}

TEST_F(Gathering, ShowsNoMoreThanWasAskedForAndForgetsTheOld) {
  pages["127.1.1.1:15090"] = page(100, 0);
  after_round();
  pages["127.1.1.1:15090"] = page(110, 0);
  after_round();
  pages["127.1.1.1:15090"] = page(115, 0);
  after_round();
  EXPECT_EQ(gatherer.window(10s, 0ms).rows.back().counts.requests(), 5);
  EXPECT_EQ(gatherer.window(11s, 0ms).rows.back().counts.requests(), 15);
  EXPECT_TRUE(after_round(11min).rows.empty());
  EXPECT_TRUE(gatherer.window(600s, 0ms).rows.empty()) << "older than ten minutes";
}

TEST_F(Gathering, AnswersWithARoundThatBeganWithTheQuestion) {
  pages["127.1.1.1:15090"] = page(100, 0);
  const SystemClock real;
  Gatherer own({.fetch = [](const std::string&) -> Result<std::string> {
                  static std::atomic<int> requests = 100;
                  return page(++requests, 0);
                },
                .proxies = [this] { return there; },
                .met = [](const Proxy&) {},
                .clock = real,
                .metrics = metrics});
  own.start();
  (void)own.window(60s, 20s);  // what it had counted before
  EXPECT_EQ(own.window(60s, 20s).rows.size(), 2u);
  own.stop();
}

// ---- services that are followed

class Following : public Gathering {
 public:
  static constexpr const char* address = "127.1.1.1:15090";
  void SetUp() override {
    Gathering::SetUp();
    (void)tally();
    pages[address] = page(100, 10);
    round();
  }
  live::Tally tally() { return gatherer.follow({"fe-pre", "cart"}); }
  live::Counts counted() { return tally().subsets["baseline"]; }
  void round(std::chrono::seconds seconds = 10s) {
    clock.advance(seconds);
    gatherer.round();
  }
};

TEST_F(Following, CountsWhatCameBetweenTwoRounds) {
  EXPECT_TRUE(counted().empty()) << "of before the first look";
  EXPECT_EQ(tally().begun, 1u);
  EXPECT_EQ(tally().ended, 1u);
  EXPECT_EQ(tally().read, 1u);
  pages[address] = page(130, 12, 1010);
  round();
  EXPECT_EQ(counted().requests(), 30);
  EXPECT_EQ(counted().failures(), 2);
  pages[address] = page(131, 13, 1020);
  round();
  EXPECT_EQ(counted().requests(), 31);
  EXPECT_TRUE(gatherer.follow({"fe-pre", "other"}).subsets.empty());
}

TEST_F(Following, LeavesOutAProxyThatBeganAnew) {
  pages[address] = page(20, 20, 2);
  round();
  EXPECT_TRUE(counted().empty());
  pages[address] = page(25, 20, 12);
  round();
  EXPECT_EQ(counted().requests(), 5) << "from then on it counts again";
}

TEST_F(Following, LeavesOutAProxyThatBeganAnewAndHasCountedMoreThanBefore) {
  pages[address] = page(500, 400, 6);
  round();
  EXPECT_TRUE(counted().empty());
  // Not even its uptime is behind; it is less than the time between the looks.
  pages[address] = page(900, 800, 8);
  round(60s);
  EXPECT_TRUE(counted().empty());
}

TEST_F(Following, LeavesOutAProxyWhoseUptimeWentBackByLessThanItMayLag) {
  pages[address] = page(130, 12, 998);
  round(3s);
  EXPECT_TRUE(counted().empty());
}

TEST_F(Following, LeavesOutProxiesThatComeAndGo) {
  there.push_back({.id = "web-1", .stats = "127.1.1.2:15090", .who = web});
  pages["127.1.1.2:15090"] = page(50, 50, 3);
  round();
  EXPECT_TRUE(counted().empty()) << "it has just come";
  pages["127.1.1.2:15090"] = page(52, 50, 13);
  round();
  EXPECT_EQ(counted().requests(), 2);
  there.pop_back();
  round();
  there.push_back({.id = "web-1", .stats = "127.1.1.2:15090", .who = web});
  pages["127.1.1.2:15090"] = page(99, 97, 33);
  round();
  EXPECT_EQ(counted().requests(), 2) << "while it was away, nobody knows when it counted";
}

TEST_F(Following, LeavesOutARoundBehindOneThatAProxyDidNotAnswer) {
  pages.clear();
  round();
  EXPECT_EQ(tally().read, 0u);
  EXPECT_EQ(tally().silent, 1u);
  EXPECT_EQ(tally().fault, "gone");
  pages[address] = page(200, 100, 1050);
  round(31s);
  EXPECT_TRUE(counted().empty());
  pages[address] = page(203, 100, 1060);
  round();
  EXPECT_EQ(counted().requests(), 3);
}

TEST_F(Following, LeavesOutAServiceOfWhichAProxyCountsAnew) {
  pages[address] = page(3, 3, 1010);  // its cluster was taken away, and came back
  round();
  EXPECT_TRUE(counted().empty());
}

TEST_F(Following, ForgetsWhatNobodyFollows) {
  pages[address] = page(130, 12, 1010);
  round();
  gatherer.follow_only({{"fe-pre", "web"}});
  EXPECT_TRUE(counted().empty());
}

TEST_F(Gathering, WaitsInOneRoundOnlySecondsForThoseThatWereSilentBefore) {
  std::vector<Proxy> all;
  all.reserve(9);
  for (int i = 0; i < 9; ++i)
    all.push_back({.id = std::to_string(i), .stats = std::to_string(i) + ":15090"});
  std::size_t questions = 0;
  Gatherer own({.fetch = [&](const std::string&) -> Result<std::string> {
                  ++questions;
                  clock.advance(2s);
                  return Error{Code::unavailable, "no answer"};
                },
                .proxies = [&] { return all; },
                .met = [](const Proxy&) {},
                .clock = clock,
                .metrics = metrics});
  own.round();
  EXPECT_EQ(questions, 9u);
  clock.advance(60s);
  own.round();
  EXPECT_EQ(questions, 12u);
}

TEST(GatherRounds, KeepABoundedNumberOfEdgesAndSumTheOthers) {
  Rounds::Sums sums;
  live::Counts others, one;
  one.answered(200);
  for (std::size_t i = 0; i < Rounds::edges_max + 7; ++i)
    add_bounded({.from = {.workload = std::to_string(i)}, .to = {.service = "cart"}}, one, sums,
                others);
  EXPECT_EQ(sums.size(), Rounds::edges_max);
  EXPECT_EQ(others.requests(), 7);
  Rounds rounds;
  const Clock::Wall begin{};
  for (int i = 0; i < 20; ++i)
    rounds.add(begin + std::chrono::seconds(i), begin + std::chrono::seconds(i + 1), sums, others);
  const live::Window window = rounds.window(60s, begin + 20s);
  EXPECT_EQ(window.rows.size(), Rounds::edges_max);
  EXPECT_EQ(window.rows.front().counts.requests(), Rounds::cells_max / Rounds::edges_max)
      << "older rounds made room";
}

// ---- calls in lanes

traffic::Request request(const std::string& lane, std::uint16_t code, double ms = 4) {
  return {.lane = lane, .to = "cart.fe-pre", .cluster = cart, .code = code, .ms = ms};
}

TEST(GatherCalls, CountsCallersOfKnownLanesOnce) {
  FakeClock clock;
  traffic::Table table(clock);
  table.know({.lanes = {{"fe-pre", "feature-a"}}, .applications = {}});
  Calls calls(clock);
  traffic::Teller teller{.who = {.namespace_ = "fe-pre", .application = "web"}, .version = "v1"};
  teller.side = traffic::Teller::Side::outbound;
  calls.record(teller,
               {request("feature-a", 200), request("feature-a", 503), request("", 200),
                request("invented", 200)},
               table);
  teller.side = traffic::Teller::Side::inbound;
  calls.record(teller, {request("feature-a", 200)}, table);
  clock.advance(2s);
  teller.side = traffic::Teller::Side::gateway;
  teller.who = {.namespace_ = "ingress", .application = "gateway"};
  calls.record(teller, {request("feature-a", 200)}, table);
  const live::Window window = calls.window("feature-a", 60s);
  ASSERT_EQ(window.rows.size(), 2u);
  EXPECT_EQ(window.rows[0].edge.from.workload, "web");
  EXPECT_EQ(window.rows[0].counts.requests(), 2);
  EXPECT_EQ(window.rows[0].counts.failures(), 1);
  EXPECT_TRUE(window.rows[1].edge.from.gateway);
  EXPECT_EQ(window.source, "requests");
  EXPECT_EQ(window.seconds(), 2) << "no longer than there was anybody to hear";
  EXPECT_TRUE(calls.window("invented", 60s).rows.empty());
  clock.advance(60s);
  EXPECT_TRUE(calls.window("feature-a", 30s).rows.empty());
}

}  // namespace
}  // namespace graymesh::gather
