// The Analyst before traffic that has a life of its own, and both sources before pages that do.
#include "release/analysis/analysis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "release/plan/testing.h"

namespace graymesh::release {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using Word = Judge::Verdict;

// Both versions get so many requests a second, of which a share fails; time is the clock's.
class FakeTraffic final : public MetricsQuery {
 public:
  explicit FakeTraffic(const Clock& clock) : clock_(clock) {}

  Result<std::optional<verdict::Sample>> counts(const Target& target) override {
    if (!fault.empty()) return Error{Code::unavailable, fault};
    const auto now = clock_.now();
    const auto before = asked_.find(target.release);
    std::optional<verdict::Sample> out;
    if (before != asked_.end()) {
      const double seconds = Seconds(now - before->second).count();
      out.emplace();
      out->requests = {{gray * gray_fails * seconds, gray * seconds},
                       {baseline * baseline_fails * seconds, baseline * seconds}};
      verdict::Latencies gray_ms{}, baseline_ms{};
      gray_ms[15] = gray * seconds;
      baseline_ms[15] = baseline * seconds;
      out->gray_ms = gray_ms;
      out->baseline_ms = baseline_ms;
    }
    asked_[target.release] = now;
    return out;
  }
  void keep(const std::set<std::uint64_t>& releases) override { kept = releases; }

  double gray = 10, baseline = 90, gray_fails = 0.01, baseline_fails = 0.01;
  std::string fault;
  std::set<std::uint64_t> kept;

 private:
  const Clock& clock_;
  std::map<std::uint64_t, Clock::Steady> asked_;
};

class AnalystTest : public ::testing::Test {
 public:
  AnalystTest() {
    testing::add_application(world, "web");
    Release release = testing::release_of(world, "feature-a", {"web"}, {10, 50});
    id = release.id;
    for (auto& step : release.spec.steps) step.analysis.emplace();
    release.phase = Phase::step;
    release.since = clock.wall();
    release.receipts["step-1"].at = clock.wall();
    world.releases.emplace(id, release);
    open();
  }
  void open() {
    analyst = std::move(Analyst::open({.store = *store,
                                       .proxies = traffic,
                                       .prometheus = nothing,
                                       .clock = clock,
                                       .view =
                                           [this] {
                                             auto view = std::make_shared<View>();
                                             view->world = std::make_shared<const World>(world);
                                             return view;
                                           },
                                       .heard = [this] { ++heard; }}))
                  .value();
  }
  Release& release() { return world.releases.at(id); }
  Judge::Word word() { return analyst->word(release()); }
  void watch(std::chrono::seconds span) {
    for (auto left = span; left > 0s; left -= 5s) {
      analyst->look();
      clock.advance(5s);
    }
  }
  std::size_t documents() { return store->documents().value().size(); }

  FakeClock clock;
  std::unique_ptr<Store> store = std::move(*Store::open(":memory:"));
  FakeTraffic traffic{clock}, nothing{clock};
  World world;
  std::uint64_t id = 0;
  int heard = 0;
  std::unique_ptr<Analyst> analyst;
};

TEST_F(AnalystTest, FindsAnEqualVersionHealthyAndAWorseOneUnhealthy) {
  EXPECT_EQ(word().why, "nothing is measured yet");
  watch(15min);
  EXPECT_EQ(word().verdict, Word::healthy) << word().why;
  traffic.gray_fails = 0.2;
  watch(5min);
  EXPECT_EQ(word().verdict, Word::unhealthy) << word().why;
  EXPECT_THAT(word().why, HasSubstr("web: success rate: "));
  EXPECT_GT(heard, 100);
}

TEST_F(AnalystTest, SaysOfNoTrafficNotYetAndWhatIsMissing) {
  traffic.gray = 0;
  watch(30min);
  EXPECT_EQ(word().verdict, Word::not_yet);
  EXPECT_THAT(word().why, HasSubstr("no request to the gray version in 30 minutes; about"));
}

TEST_F(AnalystTest, TakesASourceThatFailsForNoEvidence) {
  traffic.fault = "127.1.2.3:15000: Connection";
  watch(30min);
  EXPECT_EQ(word().verdict, Word::not_yet);
  EXPECT_THAT(word().why, HasSubstr("(no evidence: 127.1.2.3:15000: Connection)"));
}

TEST_F(AnalystTest, GoesOnAfterAKillWithWhatItKnew) {
  traffic.gray_fails = 0.1;
  watch(100s);
  const auto before = store->documents().value();
  open();
  EXPECT_EQ(word().verdict, Word::not_yet);
  analyst->look();
  EXPECT_EQ(word().verdict, Word::unhealthy) << word().why;
  EXPECT_EQ(before.size(), 1u);
}

TEST_F(AnalystTest, BeginsAnewWhatItCannotReadAndSaysSo) {
  ASSERT_TRUE(store->commit({.documents = {{"verdict/1", R"({"web@0": {}})"}}}));
  open();
  watch(10s);
  EXPECT_EQ(word().verdict, Word::not_yet);
  EXPECT_THAT(word().why, HasSubstr("begins anew"));
}

TEST_F(AnalystTest, WantsHealthProvenAgainInTheNextStep) {
  watch(15min);
  release().step = 1;
  release().since = clock.wall();
  analyst->look();
  EXPECT_EQ(word().why, "nothing is measured yet") << "its weight is not ACKed";
  release().receipts["step-2"].at = clock.wall();
  clock.advance(5s);
  analyst->look();
  EXPECT_EQ(word().verdict, Word::not_yet) << word().why;
}

TEST_F(AnalystTest, ForgetsAReleaseThatIsOver) {
  watch(10s);
  EXPECT_EQ(documents(), 1u);
  release().phase = Phase::rolled_back;
  analyst->look();
  EXPECT_EQ(documents(), 0u);
  EXPECT_TRUE(traffic.kept.empty());
}

TEST_F(AnalystTest, ForgetsAReleaseThatIsOverAlsoWhereItsEvidenceCannotBeRead) {
  ASSERT_TRUE(store->commit({.documents = {{"verdict/1", "half a"}, {"verdict/77", "{"}}}));
  open();
  analyst->look();
  EXPECT_EQ(documents(), 1u) << "of the one that goes on";
  release().phase = Phase::rolled_back;
  analyst->look();
  EXPECT_EQ(documents(), 0u);
}

TEST_F(AnalystTest, WaitsForTheMinimumUnlessTheVersionIsUnhealthy) {
  release().spec.steps[0].analysis = model::Analysis{.minimum = 1h, .maximum = 2h};
  watch(30min);
  EXPECT_EQ(word().verdict, Word::not_yet);
  EXPECT_THAT(word().why, HasSubstr("s more at least; healthy"));
  traffic.gray_fails = 0.2;
  watch(10min);
  EXPECT_EQ(word().verdict, Word::unhealthy) << word().why;
}

TEST_F(AnalystTest, SaysAfterTheMaximumWhatTheReleaseSays) {
  using Inconclusive = model::Analysis::Inconclusive;
  traffic.gray = 0;
  for (const auto& [inconclusive, wanted] : {std::pair(Inconclusive::hold, Word::not_yet),
                                             std::pair(Inconclusive::advance, Word::healthy),
                                             std::pair(Inconclusive::rollback, Word::unhealthy)}) {
    release().spec.steps[0].analysis =
        model::Analysis{.maximum = 1min, .inconclusive = inconclusive};
    watch(70s);
    EXPECT_EQ(word().verdict, wanted) << word().why;
    EXPECT_THAT(word().why, HasSubstr("none after "));
  }
}

TEST_F(AnalystTest, OfADryRunOnlySaysWhatItWouldDo) {
  traffic.gray_fails = 0.2;
  release().spec.steps[0].analysis = model::Analysis{.minimum = 5min, .dry_run = true};
  watch(4min);
  EXPECT_EQ(word().verdict, Word::not_yet);
  EXPECT_THAT(word().why, HasSubstr("s more at least; dry run: unhealthy: web: success rate"));
  watch(2min);
  EXPECT_EQ(word().verdict, Word::healthy);
  EXPECT_THAT(word().why, HasSubstr("dry run: unhealthy: web"));
}

TEST_F(AnalystTest, SharesItsChanceOfAFalseAlarmAmongAllThatIsCompared) {
  EXPECT_DOUBLE_EQ(chances_of(release()).alarm, 0.0025) << "two metrics, the same in both steps";
  release().spec.steps[1].analysis = model::Analysis{.success_margin = 2};
  EXPECT_DOUBLE_EQ(chances_of(release()).alarm, 0.00125);
}

const Target target{.release = 1, .application = {"fe-pre", "web"}, .tag = "feature-a"};

// Looks at all proxies that each find more requests: gray, of which some failed, and baseline.
class FakeFigures final : public Figures {
 public:
  live::Tally of(const Name& application) override {
    EXPECT_EQ(application, target.application);
    return tally;
  }
  void keep(const std::set<Name>& applications) override { kept = applications; }
  void look(double gray, double gray_bad, double baseline, double ms = 20) {
    tally.ended = ++tally.begun;
    live::Counts& of_gray = tally.subsets["feature-a"];
    of_gray.answered(200, gray - gray_bad);
    of_gray.answered(503, gray_bad);
    of_gray.took(ms, gray);
    tally.subsets["baseline"].answered(200, baseline);
    tally.subsets["feature-b"].answered(503, 99);
  }

  live::Tally tally{.read = 2};
  std::set<Name> kept;
};

class Proxies : public ::testing::Test {
 public:
  std::optional<verdict::Pair> requests(const Target& of = target) {
    const auto counted = metrics->counts(of);
    EXPECT_TRUE(counted) << counted.error().message;
    if (!counted || !*counted) return std::nullopt;
    return (*counted)->requests;
  }

  FakeFigures figures;
  std::unique_ptr<MetricsQuery> metrics = proxy_metrics(figures);
};

TEST_F(Proxies, CountWhatCameSinceTheLastLook) {
  figures.look(1000, 900, 1000);
  EXPECT_EQ(requests(), std::nullopt) << "of before";
  EXPECT_EQ(requests(), std::nullopt);
  figures.look(20, 2, 90);
  EXPECT_EQ(requests(), std::nullopt) << "from here on";
  figures.look(10, 1, 50);
  EXPECT_EQ(requests(), (verdict::Pair{{1, 10}, {0, 50}}));
  EXPECT_EQ(requests(), std::nullopt) << "nobody has looked since";
  figures.look(4, 0, 20);
  figures.look(4, 1, 20);
  EXPECT_EQ(requests(), (verdict::Pair{{1, 8}, {0, 40}}));
}

TEST_F(Proxies, CountALookThatHasBegunBeforeTheStepForTheStepBefore) {
  figures.look(10, 0, 10);
  ++figures.tally.begun;  // and has not ended
  EXPECT_EQ(requests(), std::nullopt);
  --figures.tally.begun;
  figures.look(10, 9, 10);
  EXPECT_EQ(requests(), std::nullopt);
  figures.look(10, 9, 10);
  EXPECT_EQ(requests(), std::nullopt) << "the first that is of the step";
  figures.look(10, 1, 10);
  EXPECT_EQ(requests(), (verdict::Pair{{1, 10}, {0, 10}}));
}

TEST_F(Proxies, CountATryThatWasRepeatedAsAFailure) {
  figures.look(0, 0, 0);
  (void)requests();
  figures.look(0, 0, 0);
  (void)requests();
  figures.look(10, 0, 10);
  figures.tally.subsets["feature-a"].retries += 3;
  EXPECT_EQ(requests(), (verdict::Pair{{3, 13}, {0, 10}}));
}

TEST_F(Proxies, TellHowLongRequestsTook) {
  figures.look(0, 0, 0);
  (void)requests();
  figures.look(0, 0, 0);
  (void)requests();
  figures.look(10, 0, 10, 200);
  const auto sample = metrics->counts(target).value();
  ASSERT_TRUE(sample && sample->gray_ms);
  // Within a tenth, as graymeshd keeps them.
  const auto above = [&](double ms) {
    const auto first = static_cast<std::ptrdiff_t>(verdict::bucket_of(ms)) + 1;
    return std::accumulate(sample->gray_ms->begin() + first, sample->gray_ms->end(), 0.0);
  };
  EXPECT_NEAR(above(200 / 1.2), 10, 1e-9);
  EXPECT_NEAR(above(200 * 1.1), 0, 1e-9);
}

TEST_F(Proxies, SayThatNoneAnswersOrIsKnown) {
  figures.tally = {.begun = 1, .ended = 1, .silent = 3, .fault = "127.1.2.3: Connection"};
  EXPECT_EQ(metrics->counts(target).error().message,
            "none of 3 proxies answers: 127.1.2.3: Connection");
  figures.tally.silent = 0;
  EXPECT_EQ(metrics->counts(target).error().message, "no proxy is known");
}

TEST_F(Proxies, CountOfAnotherStepNothingInThisOne) {
  for (int i = 0; i < 2; ++i) {
    (void)requests();
    figures.look(10, 1, 50);
  }
  Target next = target;
  next.step = 1;
  EXPECT_EQ(requests(next), std::nullopt);
  figures.look(10, 9, 10);
  EXPECT_EQ(requests(next), std::nullopt);
  figures.look(1, 0, 1);
  EXPECT_EQ(requests(next), (verdict::Pair{{0, 1}, {0, 1}}));
}

TEST_F(Proxies, AreAskedOnlyForWhatIsStillWatched) {
  (void)requests();
  metrics->keep({1, 2});
  EXPECT_EQ(figures.kept, (std::set<Name>{target.application}));
  metrics->keep({2});
  EXPECT_TRUE(figures.kept.empty());
}

TEST(Prometheus, IsAskedForWindowsThatStandEndToEnd) {
  FakeClock clock;
  std::vector<std::string> asked;
  std::string value = "\"40\"";
  const Fetch fetch = [&](const std::string& url) -> Result<std::string> {
    asked.push_back(url);
    return R"({"status":"success","data":{"resultType":"vector","result":[{"value":[1,)" + value +
           "]}]}}";
  };
  Target custom = target;
  custom.analysis = {
      .proxies = false,
      .prometheus = "http://prometheus:9090/",
      .queries = {{.name = "carts", .total = "t{s=\"$(SUBSET)\"}[$(WINDOW)]", .bad = "b"}}};
  const auto metrics = prometheus_metrics(fetch, clock);
  EXPECT_EQ(metrics->counts(custom).value(), std::nullopt);
  clock.advance(65s);
  const auto sample = metrics->counts(custom).value();
  ASSERT_TRUE(sample);
  EXPECT_EQ(sample->custom.at("carts"), (verdict::Pair{{40, 40}, {40, 40}}));
  EXPECT_EQ(asked.at(0),
            "http://prometheus:9090/api/v1/query?query=t%7Bs%3D%22feature%2Da%22%7D%5B65s%5D");
  clock.advance(65s);
  custom.step = 1;
  EXPECT_EQ(metrics->counts(custom).value(), std::nullopt) << "of the step before";
  value = "\"NaN\"";
  clock.advance(65s);
  EXPECT_EQ(metrics->counts(custom).value(), std::nullopt) << "no evidence";
  EXPECT_EQ(asked.size(), 8u);
}

// A Prometheus that answers "40" to everything, and 30 of 40 below 25 ms where it is asked for
// buckets; it keeps what it was asked.
class AskedPrometheus : public ::testing::Test {
 public:
  Result<std::string> answer(const std::string& url) {
    std::string query;
    for (std::size_t at = url.find('=') + 1; at < url.size(); ++at) {
      const bool coded = url[at] == '%';
      query += coded ? static_cast<char>(std::stoi(url.substr(at + 1, 2), nullptr, 16)) : url[at];
      if (coded) at += 2;
    }
    asked.push_back(query);
    std::string series = R"({"value":[1,"40"]})";
    if (query.starts_with("sum by (le)"))
      series =
          R"({"metric":{"le":"25"},"value":[1,"30"]},{"metric":{"le":"+Inf"},"value":[1,"40"]})";
    return R"({"status":"success","data":{"resultType":"vector","result":[)" + series + "]}}";
  }
  // After its first window.
  std::optional<verdict::Sample> sample(const Target& of, std::chrono::seconds window = 60s) {
    EXPECT_EQ(metrics->counts(of).value(), std::nullopt);
    clock.advance(window);
    return metrics->counts(of).value();
  }

  FakeClock clock;
  std::vector<std::string> asked;
  std::unique_ptr<MetricsQuery> metrics =
      prometheus_metrics([this](const std::string& url) { return answer(url); }, clock);
  const std::string of_web = R"({namespace="fe-pre",service="web",)";
};

// By the names that monitoring's relabelling gives at the scrape, not by Envoy's own.
TEST_F(AskedPrometheus, IsAskedForTheMeshsOwnFailuresWhereAQuerySaysNothing) {
  Target own = target;
  own.analysis = {.proxies = false,
                  .prometheus = "http://p:9090",
                  .queries = {{.name = "own", .total = "", .bad = ""}}};
  ASSERT_TRUE(sample(own));
  const auto requests = [&](const std::string& labels) {
    return "(envoy_cluster_upstream_rq" + of_web + labels + "[60s])";
  };
  const auto tries = [&](const std::string& labels) {
    return "(sum(increase(envoy_cluster_upstream_rq_retry" + of_web + labels +
           "[60s])) or vector(0))";
  };
  std::vector<std::string> expected;
  for (const std::string version : {R"(canarytag="feature-a")", R"(stage="normal")"}) {
    expected.push_back("sum(increase" + requests(version + "}") + ") + " + tries(version + "}"));
    expected.push_back("(sum(increase" + requests(version + R"(,response_code_class="5xx"})") +
                       ") or vector(0)) + " + tries(version + "}"));
  }
  EXPECT_EQ(asked, expected);
}

TEST_F(AskedPrometheus, TellsSuccessAndLatencyInsteadOfProxies) {
  Target own = target;
  own.analysis = {.proxies = false, .prometheus = "http://p:9090"};
  const auto counted = sample(own);
  ASSERT_TRUE(counted && counted->gray_ms && counted->baseline_ms);
  EXPECT_EQ(counted->requests, (verdict::Pair{{40, 40}, {40, 40}}));
  EXPECT_NEAR(std::accumulate(counted->gray_ms->begin(), counted->gray_ms->end() - 1, 0.0), 30,
              1e-9);
  EXPECT_EQ(counted->baseline_ms->back(), 10);
  EXPECT_TRUE(counted->custom.empty());
  ASSERT_EQ(asked.size(), 6u);
  EXPECT_EQ(asked[4], "sum by (le) (increase(envoy_cluster_upstream_rq_time_bucket" + of_web +
                          R"(canarytag="feature-a"}[60s])))");
  const auto metrics_compared = metrics_of(own.analysis);
  ASSERT_EQ(metrics_compared.size(), 2u);
  EXPECT_EQ(metrics_compared[1].name, "p99 latency");
}

TEST_F(AskedPrometheus, IsToldOfWhichVersionsItIsAsked) {
  Target custom = target;
  custom.version = R"(2.0-"rc\1")";
  custom.baseline = "1.9";
  custom.analysis = {.prometheus = "http://p:9090",
                     .queries = {{.name = "lost",
                                  .total = R"q(t{$(LABELS),v="$(VERSION)",s="$(SUBSET)"})q",
                                  .bad = R"q(b{v="$(VERSION)",of="$(BASELINE)"})q"}}};
  ASSERT_TRUE(sample(custom));
  EXPECT_THAT(asked, ::testing::ElementsAre(
                         R"(t{canarytag="feature-a",v="2.0-\"rc\\1\"",s="feature-a"})",
                         R"(b{v="2.0-\"rc\\1\"",of="1.9"})",
                         R"(t{stage="normal",v="1.9",s="baseline"})", R"(b{v="1.9",of="1.9"})"));
}

TEST_F(AskedPrometheus, IsAskedForTheWindowThatIsGiven) {
  Target own = target;
  own.analysis = {.proxies = false, .prometheus = "http://p:9090", .window = 10s};
  EXPECT_TRUE(sample(own, 10s));
  EXPECT_THAT(asked.at(0), HasSubstr("[10s]"));
  own.release = 2;
  own.analysis.interval = 20s;
  EXPECT_FALSE(sample(own, 10s)) << "no more often than there are looks";
}

}  // namespace
}  // namespace graymesh::release
