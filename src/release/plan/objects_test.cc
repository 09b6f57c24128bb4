#include <gmock/gmock.h>

#include "release/plan/testing.h"

namespace graymesh::release {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<Instance> one(const World& world) {
  std::vector<Instance> all;
  for (const Group& group : groups(world)) {
    all.push_back({.namespace_ = group.name.namespace_,
                   .group = group.name.name,
                   .name = group.name.name + "-1",
                   .address = "127.1.2." + std::to_string(all.size() + 1),
                   .labels = group.labels,
                   .ready = true});
  }
  return all;
}

Release in_phase(Release release, Phase phase) {
  release.phase = phase;
  return release;
}

// All names of routes of a VirtualService and where they lead, in order.
std::vector<std::string> routes_of(const std::string& yaml) {
  std::vector<std::string> out;
  const auto object = object_of(yaml);
  for (const auto& route : object->as<model::VirtualService>().http) {
    std::string text = route.name;
    for (const auto& to : route.route)
      text += " " + to.destination.subset + (to.weight ? ":" + std::to_string(to.weight) : "");
    out.push_back(text);
  }
  return out;
}

TEST(Objects, EachIsWhatTheModelReadsWithoutAWord) {
  World world;
  add_application(world, "web");
  add_application(world, "cart");
  for (const auto& [tag, weights] : std::vector<std::pair<std::string, std::vector<std::uint32_t>>>{
           {"feature-a", {}}, {"feature-b", {10}}}) {
    const Release release = in_phase(release_of(world, tag, {"web"}, weights), Phase::gray);
    world.releases.emplace(release.id, release);
  }
  Release own = in_phase(release_of(world, "vip", {"web"}), Phase::gray);
  own.spec.match.push_back({});
  own.spec.match[0].cookies["user"] = {model::StringMatch::Kind::prefix, "v."};
  own.spec.match[0].source_application = "cart";
  world.releases.emplace(own.id, own);
  world.lanes[{"fe-pre", "alone"}].spec.strict = true;
  const auto all = objects(world, one(world));
  EXPECT_EQ(all.size(), 19u);
  for (const auto& [key, yaml] : all) {
    const auto object = object_of(yaml);
    ASSERT_NE(object, nullptr) << key;
    EXPECT_EQ(model::to_string(object->meta.key), key);
    for (const auto& warning : object->warnings) ADD_FAILURE() << model::to_string(warning);
  }
}

TEST(Objects, ALaneHasFourWaysInAndTheHeaderGoesFirst) {
  World world;
  add_application(world, "web");
  for (const char* tag : {"feature-a", "feature-b"}) {
    const Release release = in_phase(release_of(world, tag, {"web"}), Phase::gray);
    world.releases.emplace(release.id, release);
  }
  const auto all = objects(world, one(world));
  EXPECT_THAT(routes_of(all.at("VirtualService fe-pre/web-release-mesh")),
              ::testing::ElementsAre(
                  "feature-a/header/repeatable feature-a", "feature-a/header feature-a",
                  "feature-b/header/repeatable feature-b", "feature-b/header feature-b",
                  "feature-a/baggage/repeatable feature-a", "feature-a/baggage feature-a",
                  "feature-b/baggage/repeatable feature-b", "feature-b/baggage feature-b"));
  const std::string gateway = all.at("VirtualService fe-pre/web-release");
  EXPECT_THAT(routes_of(gateway), ::testing::Contains("feature-a/cookie feature-a"));
  EXPECT_THAT(gateway, HasSubstr("canarytag=feature-a; Path=/"));
  // A cookie that goes with every request is Secure, and only of links over TLS.
  EXPECT_THAT(routes_of(gateway), ::testing::Contains("feature-a/query-tls feature-a"));
  const auto ways = object_of(gateway);
  for (const auto& http : ways->as<model::VirtualService>().http) {
    const auto& added = http.headers.response.add;
    if (!added.contains("set-cookie")) continue;
    const bool tls = http.match.at(0).scheme.has_value();
    EXPECT_THAT(added.at("set-cookie"),
                tls ? HasSubstr("SameSite=None; Secure") : HasSubstr("SameSite=Lax"))
        << http.name;
    EXPECT_EQ(http.headers.response.set.at("cache-control"), "no-store") << http.name;
  }
  EXPECT_THAT(all.at("DestinationRule fe-pre/web-release"),
              HasSubstr("feature-a=baseline, feature-b=baseline"));
}

std::string site_of(const std::string& yaml) {
  const auto object = object_of(yaml);
  return object->as<model::VirtualService>().http.back().headers.response.set.at("x-graymesh-site");
}

TEST(Objects, TellGatewaysWhatTheyNeedToMendRedirects) {
  World world;
  for (const char* name : {"web", "sso", "zoo"}) add_application(world, name);
  const auto site = [&](const char* name) {
    return site_of(objects(world, one(world)).at(std::string("VirtualService fe-pre/") + name));
  };
  EXPECT_EQ(site("web-default"),
            "%REQ(:SCHEME)%://%REQ(:AUTHORITY)% fe-pre 8080 - - web=web.shop.example "
            "sso=sso.shop.example zoo=zoo.shop.example");
  const Release release = in_phase(release_of(world, "feature-a", {"web"}), Phase::gray);
  world.releases.emplace(release.id, release);
  EXPECT_THAT(site("web-release"), HasSubstr(" fe-pre 8080 feature-a - web=web.shop.example"));
  EXPECT_EQ(
      objects(world, one(world)).at("VirtualService fe-pre/web-default-mesh").find("x-graymesh"),
      std::string::npos)
      << "browsers come by gateways alone";
  // One cookie for all of them: nothing need be added to their links.
  set_environment(world, "lanes: {cookieDomain: shop.example}");
  EXPECT_THAT(site("web-default"), HasSubstr(" - shop.example web=web.shop.example"));
  EXPECT_THAT(site("web-default"), Not(HasSubstr("sso")));
  EXPECT_THAT(objects(world, one(world)).at("VirtualService fe-pre/web-release"),
              HasSubstr("Domain=shop.example"));
  // Browsers refuse a cookie of a domain that the host is not in.
  set_environment(world, "lanes: {cookieDomain: pre.example}");
  EXPECT_THAT(objects(world, one(world)).at("VirtualService fe-pre/web-release"),
              Not(HasSubstr("Domain=")));
}

TEST(Objects, SharesGrowFromTheFrontAndStickAtTheGateway) {
  World world;
  add_application(world, "web");
  for (const auto& [tag, weight] : {std::pair{"feature-b", 10u}, std::pair{"feature-a", 20u}}) {
    const Release release = in_phase(release_of(world, tag, {"web"}, {weight}), Phase::gray);
    world.releases.emplace(release.id, release);
  }
  const auto all = objects(world, one(world));
  const std::string gateway = all.at("VirtualService fe-pre/web-default");
  EXPECT_EQ(routes_of(gateway).back(), "default feature-b:10 feature-a:20 baseline:70");
  EXPECT_THAT(gateway, HasSubstr("cookie=graymesh-web; ttl=720h; path=/"));
  EXPECT_THAT(all.at("VirtualService fe-pre/web-default-mesh"), Not(HasSubstr("sticky")));
}

TEST(Objects, APromotionSwitchesTheBaselineToInstancesThatAreThere) {
  World world;
  add_application(world, "web");
  Release release = release_of(world, "feature-a", {"web"});
  release.members[0].baseline_revision = 3;
  for (const auto& [phase, revision, subsets] :
       {std::tuple{Phase::new_baseline, 1, 2}, std::tuple{Phase::switching, 3, 2},
        std::tuple{Phase::unsubsetting, 3, 1}, std::tuple{Phase::back_routes, 1, 2},
        std::tuple{Phase::back_subset, 1, 1}}) {
    release.phase = phase;
    world.releases[release.id] = release;
    const auto rule = object_of(objects(world, one(world)).at("DestinationRule fe-pre/web-release"))
                          ->as<model::DestinationRule>();
    EXPECT_EQ(rule.subsets.at(0).labels.at("graymesh.io/revision"), std::to_string(revision))
        << name_of(phase);
    EXPECT_EQ(rule.subsets.size(), static_cast<std::size_t>(subsets)) << name_of(phase);
    EXPECT_EQ(groups(world).size(), 3u) << name_of(phase);
  }
}

TEST(Objects, AStrictLaneAnswersForItself) {
  World world;
  add_application(world, "web");
  add_application(world, "cart");
  world.lanes[{"fe-pre", "feature-a"}].spec.strict = true;
  const Release release = in_phase(release_of(world, "feature-a", {"web"}), Phase::gray);
  world.releases.emplace(release.id, release);
  const auto all = objects(world, one(world));
  EXPECT_THAT(all.at("DestinationRule fe-pre/web-release"), Not(HasSubstr("fallback")));
  EXPECT_THAT(all.at("VirtualService fe-pre/cart-release-mesh"),
              HasSubstr("lane feature-a is strict and has no version of cart"));
}

TEST(Objects, InstancesAreOfTheWorkloadThatIsTheirApplication) {
  World world;
  add_application(world, "web");
  const auto instances = one(world);
  const auto all = objects(world, instances);
  const auto pod = object_of(all.at("Pod fe-pre/" + instances[0].name));
  EXPECT_EQ(pod->as<model::Pod>().workload, "web");
}

TEST(Objects, WhatIsNotReadyGetsNoRequests) {
  World world;
  add_application(world, "web");
  auto instances = one(world);
  instances[0].leaving = true;
  EXPECT_THAT(objects(world, instances).at("EndpointSlice fe-pre/web-graymesh"),
              HasSubstr("ready: false"));
}

}  // namespace
}  // namespace graymesh::release
