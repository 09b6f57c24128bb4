#include <gmock/gmock.h>

#include "release/plan/testing.h"

namespace graymesh::release {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(PlanCheck, ALaneAndAReleaseByStepsHoldFromStartToEnd) {
  World world;
  add_application(world, "web");
  add_application(world, "cart");
  EXPECT_THAT(check(world, release_of(world, "feature-a", {"web", "cart"})), IsEmpty());
  EXPECT_THAT(check(world, release_of(world, "feature-b", {"web"}, {1, 10, 100})), IsEmpty());
}

TEST(PlanCheck, AnUnknownApplicationIsNamed) {
  World world;
  add_application(world, "web");
  Release release = release_of(world, "a", {"web"});
  release.members[0].application = "wep";
  EXPECT_THAT(check(world, release), ElementsAre("application fe-pre/wep is not known"));
}

TEST(PlanCheck, SharesOfAllReleasesTogetherAreAtMostAll) {
  World world;
  add_application(world, "web");
  Release first = release_of(world, "a", {"web"}, {60});
  first.phase = Phase::gray;
  world.releases.emplace(first.id, first);
  EXPECT_THAT(check(world, release_of(world, "b", {"web"}, {40})), IsEmpty());
  const auto problems = check(world, release_of(world, "c", {"web"}, {10, 50}));
  ASSERT_FALSE(problems.empty());
  EXPECT_EQ(problems.front(),
            "at step 2 (weight 50): gray versions of fe-pre/web would get 110 % of its requests");
}

TEST(PlanCheck, TheBaselineStaysAtItsMinimum) {
  World world;
  add_application(world, "web", 2);
  set_environment(world, "baseline: {minimum: 3}");
  const auto problems = check(world, release_of(world, "a", {"web"}));
  ASSERT_FALSE(problems.empty());
  EXPECT_EQ(problems.front(),
            "at starting: the baseline of fe-pre/web has 2 instances, must have 3 at least");
}

TEST(PlanCheck, WhatTheEnvironmentDoesNotAllowIsRefused) {
  World world;
  add_application(world, "web");
  set_environment(world, "allow: {weights: false}");
  EXPECT_THAT(check(world, release_of(world, "a", {"web"}, {10})),
              ElementsAre("weights are not allowed in fe-pre"));
  set_environment(world, "allow: {lanes: false}");
  EXPECT_THAT(check(world, release_of(world, "b", {"web"})),
              ElementsAre("lanes are not allowed in fe-pre"));
}

TEST(PlanCheck, ANewerReleaseOfTheTagMayTakeThePlace) {
  World world;
  add_application(world, "web");
  Release first = release_of(world, "a", {"web"}, {60});
  first.phase = Phase::gray;
  world.releases.emplace(first.id, first);
  EXPECT_THAT(check(world, release_of(world, "a", {"web"}, {50, 100})), IsEmpty());
}

}  // namespace
}  // namespace graymesh::release
