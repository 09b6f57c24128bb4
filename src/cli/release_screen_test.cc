// What `release watch` shows, in windows of several sizes.
#include "cli/release_screen.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <sstream>

namespace graymesh::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

const json step = json::parse(R"({
  "id": 12, "tag": "v2", "namespace": "fe-pre", "phase": "step", "step": 1, "weight": 10, "over": "",
  "started": "2026-01-01T00:00:00.000Z", "since": "2026-01-01T00:03:00.000Z", "startedBy": "ann",
  "reason": "", "held": false, "promote": true, "match": [],
  "applications": [{"name": "web", "version": "2.0", "instances": []}],
  "steps": [{"weight": 1}, {"weight": 10, "pause": {"verdict": "http://judge/"}}, {"weight": 100}],
  "progress": {"waiting": true, "acked": 3, "proxies": 4, "waitsFor": "3 of 4 proxies have ACKed",
               "missing": ["sidecar~127.1.1.4~cart-1.fe-pre~fe-pre.svc.cluster.local"]},
  "receipts": {"subset": {"proxies": 4, "acked": 4, "p50_ms": 3.25, "p99_ms": 31.0,
                          "last": "sidecar~127.1.1.1~web-1.fe-pre~fe-pre.svc.cluster.local"},
               "routes": {"proxies": 4, "acked": 4, "p50_ms": 3.0, "p99_ms": 30.0, "last": ""},
               "step-1": {"proxies": 4, "acked": 3, "p50_ms": 3.0, "p99_ms": 30.0, "last": "",
                          "missing": ["sidecar~127.1.1.4~cart-1.fe-pre~x"]}}})");
const json instances = json::parse(R"([
  {"application": "web", "namespace": "fe-pre", "name": "web-v2-2-1", "tag": "v2", "version": "2.0",
   "phase": "ready", "ready": true, "restarts": 0, "address": "127.1.1.3", "message": "",
   "since": "2026-01-01T00:00:10.000Z"},
  {"application": "web", "namespace": "fe-pre", "name": "web-baseline-1-1", "tag": "", "version": "1.0",
   "phase": "crashing", "ready": false, "restarts": 4, "address": "127.1.1.1", "message": "exited with code 3",
   "since": "2026-01-01T00:00:00.000Z"},
  {"application": "web", "namespace": "other", "name": "web-v2-9-9", "tag": "v2", "phase": "ready",
   "ready": true, "restarts": 0, "address": "127.9.9.9", "message": "", "since": ""},
  {"application": "cart", "namespace": "fe-pre", "name": "cart-1", "tag": "", "phase": "ready",
   "ready": true, "restarts": 0, "address": "127.1.1.4", "message": "", "since": ""}])");
const std::int64_t now = seconds_since_1970("2026-01-01T00:04:05.000Z");

std::string in_window(std::size_t width, std::size_t height, bool color = false,
                      bool unicode = true) {
  return screen_of(
      step, instances,
      {.width = width, .height = height, .terminal = true, .color = color, .unicode = unicode},
      now);
}

std::size_t widest(const std::string& screen) {
  std::size_t most = 0;
  std::istringstream in(screen);
  for (std::string line; std::getline(in, line);) most = std::max(most, columns(line));
  return most;
}

TEST(ReleaseScreen, ShowsPhasesShareAndInstances) {
  const std::string screen = in_window(120, 0);
  EXPECT_THAT(screen, HasSubstr("web/v2  number 12 in fe-pre"));
  EXPECT_THAT(screen, HasSubstr("by ann, 4m05s ago; in this phase for 1m05s"));
  EXPECT_THAT(screen, HasSubstr("10% to v2, 90% to others; and the lane v2"));
  EXPECT_THAT(screen, HasSubstr("✔ subset"));
  EXPECT_THAT(screen, HasSubstr("4/4      3.2 ms   31.0 ms  web-1.fe-pre"));
  EXPECT_THAT(screen, HasSubstr("✖ step-1 1%")) << "one is missing in its receipt";
  EXPECT_THAT(screen, HasSubstr("● step-2 10%"));
  EXPECT_THAT(screen, HasSubstr("missing: cart-1.fe-pre"));
  EXPECT_THAT(screen, HasSubstr("○ step-3 100%"));
  EXPECT_THAT(screen, HasSubstr("○ promote")) << "it will promote by itself";
  EXPECT_THAT(screen, HasSubstr("├── v2 (2.0)"));
  EXPECT_THAT(screen, HasSubstr("1/1 ready"));
  EXPECT_THAT(screen, HasSubstr("✖ web-baseline-1-1"));
  EXPECT_THAT(screen, HasSubstr("exited with code 3"));
  EXPECT_THAT(screen, Not(HasSubstr("web-v2-9-9"))) << "of another namespace";
  EXPECT_THAT(screen, Not(HasSubstr("127.1.1.4"))) << "of another application";
  EXPECT_THAT(screen, Not(HasSubstr("\x1b"))) << "NO_COLOR";
}

TEST(ReleaseScreen, FitsItsWindow) {
  for (const std::size_t width : {20u, 40u, 80u, 140u}) {
    for (const bool color : {false, true})
      EXPECT_LE(widest(in_window(width, 0, color)), width) << in_window(width, 0, color);
  }
  const std::string low = in_window(80, 12);
  EXPECT_EQ(std::count(low.begin(), low.end(), '\n'), 11) << low;
  EXPECT_THAT(low, HasSubstr("more lines: make the window higher"));
  EXPECT_THAT(in_window(80, 24), Not(HasSubstr("more lines"))) << "a usual window has room";
}

TEST(ReleaseScreen, NeedsNeitherColorNorUnicode) {
  const std::string plain = in_window(80, 0, false, false);
  EXPECT_TRUE(std::all_of(plain.begin(), plain.end(), [](char c) { return c > 0; })) << plain;
  EXPECT_THAT(plain, HasSubstr("################"));
  EXPECT_THAT(in_window(80, 0, true), HasSubstr("\x1b[32m✔\x1b[0m"));
}

TEST(ReleaseScreen, TellsTheVerdictThatItWaitsFor) {
  json waits = step;
  waits["progress"] = {{"waiting", false},
                       {"waitsFor", "the verdict of http://judge/: 412 more requests"}};
  EXPECT_THAT(screen_of(waits, instances, {}, now), HasSubstr("not yet: 412 more requests"));
  EXPECT_THAT(screen_of(step, instances, {}, now), HasSubstr("not asked yet (http://judge/)"));
  waits["steps"][1] = {{"weight", 10}, {"analysis", json::object()}};
  waits["progress"]["waitsFor"] = "the verdict of step 2 (weight 10): not yet: 99 more requests";
  EXPECT_THAT(screen_of(waits, instances, {}, now), HasSubstr("Verdict   not yet: not yet: 99"));
}

TEST(ReleaseScreen, OfOneThatIsOverShowsOnlyWhatWas) {
  json over = step;
  over["phase"] = "rolled-back";
  over["over"] = "2026-01-01T00:05:00.000Z";
  over["reason"] = "rolled back by ann: errors";
  over["receipts"]["rollback"] = {{"proxies", 4}, {"acked", 4}, {"p99_ms", 31.0}, {"last", ""}};
  const std::string screen = screen_of(over, json::array(), {}, now);
  EXPECT_THAT(screen, HasSubstr("rolled back"));
  EXPECT_THAT(screen, HasSubstr("errors"));
  EXPECT_THAT(screen, HasSubstr("+ rollback"));
  EXPECT_THAT(screen, Not(HasSubstr("step-3"))) << "it never came to that";
  EXPECT_THAT(screen, HasSubstr("took 5m00s"));
}

}  // namespace
}  // namespace graymesh::cli
