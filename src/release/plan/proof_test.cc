#include <gmock/gmock.h>

#include "release/plan/testing.h"

namespace graymesh::release {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Release gray_release(World& world, const std::vector<std::uint32_t>& weights = {}) {
  Release release = release_of(world, "a", {"web"}, weights);
  release.phase = Phase::gray;
  release.receipts["subset"] = release.receipts["routes"] = {.proxies = 3, .acked = 3};
  for (std::size_t step = 1; step <= weights.size(); ++step)
    release.receipts["step-" + std::to_string(step)] = {.proxies = 3, .acked = 3};
  return release;
}

TEST(Proof, IsAReleaseThatIsGrayWithEveryReceiptOrPromoted) {
  World world;
  add_application(world, "web");
  Release release = gray_release(world, {10, 50});
  EXPECT_EQ(unproven(release), "");
  release.receipts["step-2"].missing = {"sidecar~127.1.0.2"};
  EXPECT_EQ(unproven(release), "1 of 3 proxies are missing in its receipt of step-2");
  release.receipts.erase("step-2");
  EXPECT_EQ(unproven(release), "it has no receipt of step-2");
  for (const Phase phase : {Phase::starting, Phase::step, Phase::back_routes, Phase::back_baseline,
                            Phase::rolled_back, Phase::superseded}) {
    release.phase = phase;
    EXPECT_THAT(unproven(release), HasSubstr("must be gray or promoted")) << name_of(phase);
  }
  for (const Phase phase : {Phase::promoted, Phase::switching}) {
    release.phase = phase;
    EXPECT_EQ(unproven(release), "") << name_of(phase);
  }
}

TEST(Proof, IsOfTheSameRun) {
  World world;
  add_application(world, "web");
  const Release release = gray_release(world);
  world.releases[release.id] = release;
  model::Run run = release.members.at(0).gray.run;
  EXPECT_EQ(proof(world, "fe-pre", "web", run), &world.releases.at(release.id));
  EXPECT_EQ(proof(world, "other", "web", run), nullptr);
  EXPECT_EQ(proof(world, "fe-pre", "cart", run), nullptr);
  run.environment["COLOUR"] = "blue";
  EXPECT_EQ(proof(world, "fe-pre", "web", run), nullptr);
}

TEST(Proof, WhatEnvironmentsPromoteToTakesNothingElse) {
  World world;
  add_application(world, "web");
  world.environments["lab"].object = object_of(
      "apiVersion: graymesh.io/v1alpha1\nkind: Environment\nmetadata: {name: policy, namespace: "
      "lab}\nspec: {promoteTo: fe-pre}\n");
  const Release wanted = release_of(world, "b", {"web"});
  EXPECT_THAT(
      check(world, wanted),
      ElementsAre(AllOf(HasSubstr("Environment lab/policy: promoteTo is fe-pre, which takes "
                                  "only what is proven there, and web's artefact (version "
                                  "b, run "),
                        HasSubstr(" is not: "))));
  Release proven = gray_release(world);
  proven.name.namespace_ = "lab";
  proven.members = wanted.members;
  world.releases[proven.id] = proven;
  EXPECT_THAT(check(world, wanted), IsEmpty());
}

}  // namespace
}  // namespace graymesh::release
