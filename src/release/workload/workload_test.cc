// The values that instances are made of: addresses, variables, records, back-off, tallies, logs.
#include "release/workload/workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "release/workload/address.h"
#include "release/workload/backoff.h"
#include "release/workload/log.h"
#include "release/workload/record.h"
#include "release/workload/substitute.h"
#include "release/workload/tally.h"

namespace graymesh::workload {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

TEST(Address, IsTheLowestThatIsFree) {
  std::set<Loopback> taken;
  EXPECT_EQ(to_string(*allocate(7, false, taken)), "127.7.1.1");
  taken = {{7, 1, 1}, {7, 1, 2}, {7, 1, 4}};
  EXPECT_EQ(to_string(*allocate(7, false, taken)), "127.7.1.3");
  for (int low = 1; low <= 254; ++low) taken.insert({7, 1, static_cast<std::uint8_t>(low)});
  EXPECT_EQ(to_string(*allocate(7, false, taken)), "127.7.2.1");
}

TEST(Address, OfGatewaysIsApartAndTheyCanRunOut) {
  std::set<Loopback> taken;
  for (int i = 1; i <= 254; ++i) {
    const auto address = allocate(7, true, taken);
    ASSERT_TRUE(address);
    EXPECT_EQ(to_string(*address), "127.7.0." + std::to_string(i));
    taken.insert(*address);
  }
  EXPECT_FALSE(allocate(7, true, taken));
  EXPECT_TRUE(allocate(7, false, taken));
}

TEST(Address, IsReadStrictlyAndHasATwin) {
  EXPECT_EQ(to_string(twin(*parse_loopback("127.1.2.3"))), "127.65.2.3");
  for (const char* text : {"", "127.64.0.1", "10.0.0.1", "127.1.2", "127.1.2.3 ", "::1"}) {
    EXPECT_FALSE(parse_loopback(text)) << text;
  }
}

Spec some_spec() {
  return {.namespace_ = "fe-pre",
          .group = "web-feature-a",
          .name = "web-feature-a-2",
          .address = "127.1.2.3",
          .pod = {.labels = {{"app", "web"}, {"canarytag", "feature-a"}},
                  .command = {"./web", "--listen", "$(ADDRESS):$(PORT)"},
                  .environment = {{"OTHER", "$(PORT_GRPC_WEB)"}, {"PORT", "own"}},
                  .directory = "/srv",
                  .ports = {{"http", 8080}, {"grpc-web", 9090}},
                  .readiness = {.kind = Probe::Kind::http, .path = "/ready", .port = 8081},
                  .liveness = {.kind = Probe::Kind::command,
                               .command = {"true", "x"},
                               .initial_delay = 3s,
                               .failures_max = 9},
                  .startup = {.kind = Probe::Kind::tcp, .period = 20ms, .successes_min = 2},
                  .drain = 2s,
                  .stop = 3s,
                  .memory_bytes_max = std::uint64_t{1} << 40,
                  .cpus_max = 0.5,
                  .service_account = "web"},
          .control_planes = {"127.0.0.1:15010"},
          .sidecar_concurrency = 2,
          .sidecar_args = {"--log-level", "info"}};
}

TEST(Variables, TakeTheirPlacesInTheTextAndAllElseStays) {
  const auto variables = variables_of(some_spec());
  EXPECT_EQ(substitute("$(INSTANCE)@$(ADDRESS):$(PORT),$(PORT_HTTP),$(PORT_GRPC_WEB)", variables),
            "web-feature-a-2@127.65.2.3:8080,8080,9090");
  EXPECT_EQ(substitute("$(PROXY)", variables), "http://127.1.2.3:15001");
  for (const char* same : {"", "$", "$(", "$(NONE)", "$PORT", "$(PORT", "$$(", "$()"}) {
    EXPECT_EQ(substitute(same, variables), same);
  }
  EXPECT_EQ(substitute("$($(PORT))", variables), "$(8080)");
}

TEST(Variables, AreInTheEnvironmentBelowWhatTheTemplateSays) {
  const Spec spec = some_spec();
  const auto environment = environment_of(spec, variables_of(spec));
  EXPECT_EQ(environment.at("OTHER"), "9090");
  EXPECT_EQ(environment.at("PORT"), "own");
  EXPECT_EQ(environment.at("http_proxy"), "http://127.1.2.3:15001");
  EXPECT_EQ(environment.at("INSTANCE"), "web-feature-a-2");
}

TEST(Variables, OfTheTemplateMayStandInCommands) {
  const Spec spec = some_spec();
  const auto environment = environment_of(spec, variables_of(spec));
  EXPECT_EQ(substitute("$(OTHER) $(INSTANCE)", environment), "9090 web-feature-a-2");
}

TEST(Variables, WithoutASidecarNameTheInstanceItself) {
  Spec spec = some_spec();
  spec.pod.sidecar = false;
  const auto environment = environment_of(spec, variables_of(spec));
  EXPECT_EQ(environment.at("ADDRESS"), "127.1.2.3");
  EXPECT_EQ(environment.at("PROXY"), "");
  EXPECT_FALSE(environment.contains("http_proxy"));
}

TEST(SpecOnDisk, IsReadAsItWasWritten) {
  const auto read = read_spec(write_spec(some_spec()), "spec.json");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, some_spec());
}

TEST(SpecOnDisk, OfAnOlderProgramHasDefaultsForWhatIsNew) {
  const auto read = read_spec(R"({"namespace": "a", "group": "b", "name": "b-1",
      "address": "127.1.2.3", "template": {"command": ["x"]}})",
                              "spec.json");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->pod, Template{.command = {"x"}});
}

TEST(SpecOnDisk, ThatIsDamagedIsAnErrorWhicheverByteIsMissing) {
  const std::string whole = write_spec(some_spec());
  for (std::size_t size = 0; size + 2 < whole.size(); ++size) {
    ASSERT_FALSE(read_spec(whole.substr(0, size), "spec.json")) << size;
  }
  EXPECT_EQ(read_spec("[]", "f").error().message,
            "f:  must be an object; namespace must be there; group must be there; name must be "
            "there; address must be in 127.0.0.0/10; template must be there");
  std::string wrong = whole;
  wrong.replace(wrong.find("8080"), 4, "80800");
  EXPECT_THAT(read_spec(wrong, "f").error().message,
              HasSubstr("template.ports[].number must be 0 to 65535"));
}

TEST(StateOnDisk, IsReadAsItWasWritten) {
  for (const auto phase :
       {Instance::Phase::starting, Instance::Phase::ready, Instance::Phase::unready,
        Instance::Phase::crashing, Instance::Phase::terminating, Instance::Phase::stopping}) {
    const State state{.phase = phase,
                      .ended = true,
                      .restarts = 3,
                      .message = "why",
                      .since_ms = 1,
                      .keeper = 2,
                      .application = 3,
                      .sidecar = 4,
                      .limits = "none"};
    EXPECT_EQ(read_state(write_state(state), "status.json").value_or({}), state);
  }
}

TEST(StateOnDisk, TakesALogLineThatIsNotUtf8) {
  EXPECT_TRUE(read_state(write_state({.message = "\xff\xfe"}), "status.json"));
}

TEST(BackoffAfterAnEnd, DoublesToHalfAMinuteAndForgetsAfterAMinuteOfHealth) {
  Backoff backoff;
  std::vector<long> waits(11);
  std::generate(waits.begin(), waits.end(), [&] { return backoff.ended(59s).count(); });
  EXPECT_THAT(waits, testing::ElementsAre(100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000,
                                          30000));
  EXPECT_EQ(backoff.ended(60s), 100ms);
  EXPECT_EQ(backoff.times(), 1);
  EXPECT_EQ(backoff.ended(0s), 200ms);
}

TEST(ProbeTally, HoldsAndFailsAfterSoManyInARow) {
  Tally tally({.failures_max = 3, .successes_min = 2});
  using Verdict = Tally::Verdict;
  EXPECT_EQ(tally.verdict(), Verdict::unknown);
  tally.answered(true);
  EXPECT_EQ(tally.verdict(), Verdict::unknown);
  tally.answered(true);
  EXPECT_EQ(tally.verdict(), Verdict::holds);
  for (const bool answer : {false, false, true, false, false}) tally.answered(answer);
  EXPECT_EQ(tally.verdict(), Verdict::holds) << "never three in a row";
  tally.answered(false);
  EXPECT_EQ(tally.verdict(), Verdict::failed);
  tally.answered(true);
  EXPECT_EQ(tally.verdict(), Verdict::failed);
  tally.answered(true);
  EXPECT_EQ(tally.verdict(), Verdict::holds);
  tally.denied();
  EXPECT_EQ(tally.verdict(), Verdict::failed);
}

TEST(ProbeTally, IsAskedAfterTheDelayThenEachPeriodAndMoreOftenIfEager) {
  FakeClock clock;
  const Probe probe{.initial_delay = 5s, .period = 10s, .successes_min = 1};
  Tally plain(probe);
  Tally eager(probe, true);
  for (Tally* tally : {&plain, &eager}) tally->start(clock.now());
  EXPECT_EQ(plain.due() - clock.now(), 5s);
  EXPECT_EQ(eager.due() - clock.now(), 5s);
  for (Tally* tally : {&plain, &eager}) tally->asked(clock.now());
  EXPECT_EQ(plain.due() - clock.now(), 10s);
  EXPECT_EQ(eager.due() - clock.now(), Tally::eager);
  eager.answered(true);
  eager.asked(clock.now());
  EXPECT_EQ(eager.due() - clock.now(), 10s);
}

TEST(LogOfAProcess, StaysWithinItsBoundAndKnowsItsLastLine) {
  std::string pattern = testing::TempDir() + "graymesh-log-XXXXXX";
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  const std::filesystem::path folder = pattern;
  {
    Log log(folder / "app.log", 10);
    EXPECT_EQ(log.last_line(), "");
    for (const char* bytes : {"aaaa\n", "bbbb\n", "cc", "cc\r\n\n"}) log.append(bytes);
    EXPECT_EQ(log.last_line(), "cccc");
    EXPECT_EQ(read_file(folder / "app.log.1").value_or(""), "aaaa\nbbbb\n");
    EXPECT_EQ(read_file(folder / "app.log").value_or(""), "cccc\r\n\n");
    log.append(std::string(1000, 'x'));
    EXPECT_EQ(log.last_line(), std::string(400, 'x'));
  }
  Log again(folder / "app.log", 2000);
  again.append("more\n");
  EXPECT_EQ(read_file(folder / "app.log").value_or(""), std::string(1000, 'x') + "more\n");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace graymesh::workload
