// Times as people ask for them.
#include <gtest/gtest.h>

#include "api/pages.h"
#include "base/json.h"

namespace graymesh::api {
namespace {

using namespace std::chrono_literals;

constexpr Clock::Wall now{1'764'358'200'250ms};  // 2025-11-28T19:30:00.250Z

TEST(TimeNamed, IsATimeOfDayOrSoLongAgoOrNow) {
  EXPECT_EQ(time_named("2025-11-28T19:30:00.250Z", {}).value(), now);
  EXPECT_EQ(time_named("2025-11-28T19:30:00Z", {}).value(), now - 250ms);
  EXPECT_EQ(time_named("90s", now).value(), now - 90s);
  EXPECT_EQ(time_named("3d", now).value(), now - 72h);
  // Also of what was told before the clock was set back.
  EXPECT_EQ(time_named("", now).value(), record::newest);
  EXPECT_EQ(time_named("now", now).value(), record::newest);
}

TEST(TimeNamed, ThatNoClockHasIsRefused) {
  for (const char* text : {"1000000000d", "99999999999s", "-5m", "5", "5w", "2025-11-28",
                           "2025-11-28T19:30:00", "9999-12-31T23:59:59Z", "1969-12-31T23:59:59Z"}) {
    const auto time = time_named(text, now);
    ASSERT_FALSE(time) << text;
    EXPECT_EQ(time.error().code, Code::invalid_argument);
    EXPECT_TRUE(time.error().message.starts_with(std::string("time ") + text + ", must be as "));
  }
}

}  // namespace
}  // namespace graymesh::api
