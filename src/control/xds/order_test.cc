// Make before break: clusters and endpoints before the routes that use them, removed after.
#include <gtest/gtest.h>

#include "control/xds/fake_proxy.h"

namespace graymesh::xds {
namespace {

using resource::Type;

class Order : public testing::TestWithParam<FakeProxy::Protocol> {
 public:
  // An Envoy that routes to `a`.
  Order() : proxy(GetParam()) {
    (void)proxy.runs({.clusters = {"a"},
                      .endpoints = {"a"},
                      .listeners = {"l"},
                      .routes = {"r=a"},
                      .snapshot = 1});
    proxy.starts({"a"}, {"r"});
  }
  bool delta() const { return GetParam() == FakeProxy::delta; }

  FakeProxy proxy;
};

INSTANTIATE_TEST_SUITE_P(Both, Order, testing::Values(FakeProxy::delta, FakeProxy::sotw),
                         [](const auto& protocol) {
                           return protocol.param == FakeProxy::delta ? "Delta" : "Sotw";
                         });

TEST_P(Order, EndpointsFollowNewClustersUnaskedAndRoutesWaitForBothAcks) {
  (void)proxy.runs(
      {.clusters = {"a", "b"}, .endpoints = {"a", "b"}, .listeners = {"l"}, .routes = {"r=b"}});
  EXPECT_EQ(proxy.hears(), delta() ? "CDS b | EDS b" : "CDS a b | EDS b");
  (void)proxy.acks(Type::endpoints);
  EXPECT_EQ(proxy.hears(), "") << "clusters are warm when they are ACKed";
  (void)proxy.acks(Type::cluster);
  EXPECT_EQ(proxy.hears(), "RDS r=b");
}

// `a` is the same in both, so that it is not met among what changed from one to the other.
TEST_P(Order, EndpointsFollowAChangedClusterWhileOthersThatNobodyAskedForChange) {
  (void)proxy.runs(
      {.clusters = {"a=2"}, .endpoints = {"a", "other=1"}, .listeners = {"l"}, .routes = {"r=a"}});
  EXPECT_EQ(proxy.hears(), "CDS a=2 | EDS a");
  (void)proxy.acks(Type::endpoints);
  (void)proxy.acks(Type::cluster);
  (void)proxy.runs(
      {.clusters = {"a=3"}, .endpoints = {"a", "other=2"}, .listeners = {"l"}, .routes = {"r=a"}});
  EXPECT_EQ(proxy.hears(), "CDS a=3 | EDS a");
}

TEST_P(Order, RemovalWaitsForTheAckOfTheRoutesThatStoppedUsingIt) {
  (void)proxy.runs(
      {.clusters = {"a", "b"}, .endpoints = {"a", "b"}, .listeners = {"l"}, .routes = {"r=b"}});
  proxy.settles();
  (void)proxy.runs({.clusters = {"b"}, .endpoints = {"b"}, .listeners = {"l"}, .routes = {"r=b2"}});
  if (delta()) {
    EXPECT_EQ(proxy.hears(), "RDS r=b2");
  } else {
    EXPECT_EQ(proxy.hears(), "RDS r=b2") << "the union is what it has";
  }
  EXPECT_EQ(proxy.holds(Type::cluster), "a b");
  (void)proxy.acks(Type::route);
  EXPECT_EQ(proxy.hears(), delta() ? "CDS -a" : "CDS b");
  (void)proxy.acks(Type::cluster);
  EXPECT_EQ(proxy.hears(), delta() ? "EDS -a" : "");
}

TEST_P(Order, UnionIsServedWhileOneIsAddedAndAnotherNoLongerWanted) {
  (void)proxy.runs({.clusters = {"b"}, .endpoints = {"b"}, .listeners = {"l"}, .routes = {"r=b"}});
  EXPECT_EQ(proxy.hears(), delta() ? "CDS b | EDS b" : "CDS a b | EDS b");
  (void)proxy.acks(Type::cluster);
  (void)proxy.acks(Type::endpoints);
  EXPECT_EQ(proxy.hears(), "RDS r=b");
  (void)proxy.acks(Type::route);
  EXPECT_EQ(proxy.hears(), delta() ? "CDS -a" : "CDS b");
}

TEST_P(Order, WhatIsWantedAgainBeforeItWasRemovedStays) {
  (void)proxy.runs({.clusters = {"b"}, .endpoints = {"b"}, .listeners = {"l"}, .routes = {"r=b"}});
  proxy.hears();
  (void)proxy.runs(
      {.clusters = {"a", "b"}, .endpoints = {"a", "b"}, .listeners = {"l"}, .routes = {"r=b"}});
  const auto rest = proxy.settles();
  EXPECT_EQ(rest.find('-'), std::string::npos) << rest;
  EXPECT_EQ(proxy.holds(Type::cluster), "a b");
}

TEST_P(Order, ChangedClusterIsFollowedByItsUnchangedEndpoints) {
  (void)proxy.runs(
      {.clusters = {"a=2"}, .endpoints = {"a"}, .listeners = {"l"}, .routes = {"r=a"}});
  EXPECT_EQ(proxy.hears(), "CDS a=2 | EDS a");
}

TEST_P(Order, ChangedClusterIsFollowedByItsEndpointsAlsoWhereOthersAreNoLongerWanted) {
  (void)proxy.runs(
      {.clusters = {"a", "b"}, .endpoints = {"a", "b"}, .listeners = {"l"}, .routes = {"r=a"}});
  proxy.settles();
  (void)proxy.runs(
      {.clusters = {"a=2"}, .endpoints = {"a"}, .listeners = {"l"}, .routes = {"r=a2"}});
  EXPECT_EQ(proxy.hears(), delta() ? "CDS a=2 | EDS a" : "CDS a=2 b | EDS a");
}

TEST_P(Order, EndpointsAreSentWithoutWaitingForAnything) {
  (void)proxy.runs(
      {.clusters = {"a=2"}, .endpoints = {"a"}, .listeners = {"l"}, .routes = {"r=a"}});
  proxy.hears();
  (void)proxy.acks(Type::endpoints);
  (void)proxy.runs(
      {.clusters = {"a=2"}, .endpoints = {"a=3"}, .listeners = {"l"}, .routes = {"r=a"}});
  EXPECT_EQ(proxy.hears(), "EDS a=3");
}

TEST_P(Order, RoutesAreNotHeldBackByEndpointsThatChangeAllTheTime) {
  int churn = 0;
  const auto change = [&](const char* route) {
    (void)proxy.runs({.clusters = {"a"},
                      .endpoints = {"a=" + std::to_string(++churn)},
                      .listeners = {"l"},
                      .routes = {route}});
  };
  change("r=a");
  EXPECT_EQ(proxy.hears(), "EDS a=1");
  change("r=new");
  (void)proxy.acks(Type::endpoints);
  EXPECT_EQ(proxy.hears(), "EDS a=2");
  change("r=new");
  (void)proxy.acks(Type::endpoints);
  EXPECT_EQ(proxy.hears(), "EDS a=3 | RDS r=new") << "the endpoints of its own update are there";
}

TEST_P(Order, RoutesGoOnStepByStepWhileClustersKeepChanging) {
  int churn = 0;
  const auto change = [&] {
    const auto body = "=" + std::to_string(++churn);
    (void)proxy.runs({.clusters = {"a" + body},
                      .endpoints = {"a" + body},
                      .listeners = {"l"},
                      .routes = {"r" + body}});
  };
  change();
  EXPECT_EQ(proxy.hears(), "CDS a=1 | EDS a=1");
  change();
  (void)proxy.acks(Type::cluster);
  (void)proxy.acks(Type::endpoints);
  EXPECT_EQ(proxy.hears(), "CDS a=2 | EDS a=2 | RDS r=1")
      << "routes as of the clusters that are ACKed";
  change();
  (void)proxy.acks(Type::cluster);
  (void)proxy.acks(Type::endpoints);
  (void)proxy.acks(Type::route);
  EXPECT_EQ(proxy.hears(), "CDS a=3 | EDS a=3 | RDS r=2");
}

TEST_P(Order, RoutesOfAnUpdateThatClustersPassedOverAreNotSent) {
  (void)proxy.runs(
      {.clusters = {"a=2"}, .endpoints = {"a"}, .listeners = {"l"}, .routes = {"r=a"}});
  EXPECT_EQ(proxy.hears(), "CDS a=2 | EDS a");
  (void)proxy.runs(
      {.clusters = {"a=2", "b"}, .endpoints = {"a", "b"}, .listeners = {"l"}, .routes = {"r=b"}});
  (void)proxy.runs(
      {.clusters = {"a=2"}, .endpoints = {"a"}, .listeners = {"l"}, .routes = {"r=a2"}});
  EXPECT_EQ(proxy.settles(), "RDS r=a2") << "b came and went while clusters were in flight";
}

TEST_P(Order, ClusterThatIsWarmingGetsItsEndpointsThoughItIsNoLongerWanted) {
  (void)proxy.runs(
      {.clusters = {"a"}, .endpoints = {"a=2"}, .listeners = {"l"}, .routes = {"r=a"}});
  EXPECT_EQ(proxy.hears(), "EDS a=2");
  (void)proxy.runs(
      {.clusters = {"a", "b"}, .endpoints = {"a=2", "b"}, .listeners = {"l"}, .routes = {"r=a"}});
  EXPECT_EQ(proxy.hears(), delta() ? "CDS b" : "CDS a b");
  (void)proxy.runs(
      {.clusters = {"a"}, .endpoints = {"a=2"}, .listeners = {"l"}, .routes = {"r=a"}});
  if (!delta()) (void)proxy.asks(Type::endpoints, {"a", "b"});
  (void)proxy.acks(Type::endpoints);
  EXPECT_EQ(proxy.hears(), "EDS b");
  (void)proxy.acks(Type::endpoints);
  (void)proxy.acks(Type::cluster);
  EXPECT_EQ(proxy.hears(), delta() ? "CDS -b" : "CDS a");
}

TEST_P(Order, ClientThatNeverAcksItsClustersIsWaitedForNoLongerThanThat) {
  (void)proxy.runs(
      {.clusters = {"a", "b"}, .endpoints = {"a", "b"}, .listeners = {"l"}, .routes = {"r=b"}});
  proxy.hears();
  proxy.clock.advance(std::chrono::milliseconds(14'999));
  EXPECT_EQ(proxy.hears(), "");
  ASSERT_TRUE(proxy.session().deadline());
  EXPECT_EQ(*proxy.session().deadline(), proxy.clock.now() + std::chrono::milliseconds(1));
  proxy.clock.advance(std::chrono::milliseconds(1));
  EXPECT_EQ(proxy.hears(), "RDS r=b");
  EXPECT_FALSE(proxy.session().deadline());
}

TEST_P(Order, ClientThatNeverAcksItsRoutesKeepsItsClusters) {
  (void)proxy.runs({.clusters = {"b"}, .endpoints = {"b"}, .listeners = {"l"}, .routes = {"r=b"}});
  proxy.hears();
  (void)proxy.acks(Type::cluster);
  (void)proxy.acks(Type::endpoints);
  EXPECT_EQ(proxy.hears(), "RDS r=b");
  proxy.clock.advance(std::chrono::hours(1));
  EXPECT_EQ(proxy.hears(), "");
  EXPECT_EQ(proxy.holds(Type::cluster), "a b");
}

TEST_P(Order, SnapshotIsReachedWhenAllOfItsChangesAreAcked) {
  EXPECT_EQ(proxy.session().snapshot(), 1u);
  (void)proxy.runs({.clusters = {"b"},
                    .endpoints = {"b"},
                    .listeners = {"l"},
                    .routes = {"r=b"},
                    .snapshot = 2});
  proxy.hears();
  EXPECT_EQ(proxy.session().snapshot(), 1u);
  proxy.clock.advance(std::chrono::milliseconds(30));
  proxy.settles();
  EXPECT_EQ(proxy.session().snapshot(), 2u);
  EXPECT_EQ(proxy.session().take_convergence(proxy.now()), std::chrono::milliseconds(30));
  EXPECT_EQ(proxy.session().take_convergence(proxy.now()), std::nullopt) << "once for each change";
}

TEST(Convergence, CountsFromTheWritingOfAChangeAndFromTheComingOfAProxy) {
  FakeProxy proxy(FakeProxy::delta);
  proxy.written_ago = std::chrono::hours(1);
  (void)proxy.runs({.clusters = {"a=1"}});
  (void)proxy.asks(Type::cluster);
  proxy.clock.advance(std::chrono::milliseconds(20));
  proxy.settles();
  EXPECT_EQ(proxy.session().take_convergence(proxy.now()), std::chrono::milliseconds(20));
  proxy.written_ago = std::chrono::milliseconds(50);
  (void)proxy.runs({.clusters = {"a=2"}});
  proxy.clock.advance(std::chrono::milliseconds(20));
  proxy.settles();
  EXPECT_EQ(proxy.session().take_convergence(proxy.now()), std::chrono::milliseconds(70));
}

// A proxyless gRPC client asks from the listener downwards, by names.
TEST(OrderOfSubscription, FromListenersDownNothingWaits) {
  for (const auto protocol : {FakeProxy::delta, FakeProxy::sotw}) {
    FakeProxy proxy(protocol);
    (void)proxy.runs({.clusters = {"c"}, .endpoints = {"c"}, .listeners = {"l"}, .routes = {"r"}});
    (void)proxy.asks(Type::listener, {"l"});
    EXPECT_EQ(proxy.hears(), "LDS l");
    (void)proxy.acks(Type::listener);
    (void)proxy.asks(Type::route, {"r"});
    EXPECT_EQ(proxy.hears(), "RDS r");
    (void)proxy.acks(Type::route);
    (void)proxy.asks(Type::cluster, {"c"});
    EXPECT_EQ(proxy.hears(), "CDS c");
    (void)proxy.acks(Type::cluster);
    (void)proxy.asks(Type::endpoints, {"c"});
    EXPECT_EQ(proxy.hears(), "EDS c");
    (void)proxy.acks(Type::endpoints);
    // Now its route leads to another cluster, for which it asks once it has the route.
    (void)proxy.runs(
        {.clusters = {"c", "d"}, .endpoints = {"c", "d"}, .listeners = {"l"}, .routes = {"r=d"}});
    EXPECT_EQ(proxy.hears(), "RDS r=d");
  }
}

TEST(OrderOfSubscription, EndpointsMayBeAskedForBeforeClusters) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.clusters = {"a"}, .endpoints = {"a"}});
  (void)proxy.asks(Type::endpoints, {"a"});
  EXPECT_EQ(proxy.hears(), "EDS a");
}

TEST(OrderOfSubscription, ListenersOfAColdProxyWaitForAllOfItsClusters) {
  FakeProxy proxy(FakeProxy::delta, {.chunk_resources_max = 2});
  (void)proxy.runs({.clusters = {"a", "b", "c"}, .listeners = {"l"}});
  (void)proxy.asks(Type::cluster);
  proxy.hears();
  (void)proxy.asks(Type::listener);  // Envoy does so after the first part
  EXPECT_EQ(proxy.hears(), "");
  (void)proxy.acks(Type::cluster);
  EXPECT_TRUE(proxy.hears().starts_with("CDS "));
  (void)proxy.acks(Type::cluster);
  EXPECT_EQ(proxy.hears(), "LDS l");
}

TEST(OrderOfSubscription, EndpointsSentUnaskedAreNotSentAgainWhenAskedFor) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.clusters = {"a"}, .endpoints = {"a"}});
  proxy.starts({"a"});
  (void)proxy.runs({.clusters = {"a", "b"}, .endpoints = {"a", "b"}});
  EXPECT_EQ(proxy.hears(), "CDS b | EDS b");
  (void)proxy.asks(Type::endpoints, {"b"});
  EXPECT_EQ(proxy.settles(), "");
  (void)proxy.runs({.clusters = {"a", "b"}, .endpoints = {"a", "b=2"}});
  EXPECT_EQ(proxy.settles(), "EDS b=2");
}

TEST(OrderOfSubscription, EndpointsOfColdClustersComeOnceForAllReasons) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.clusters = {"a", "b"}, .endpoints = {"a", "b"}});
  (void)proxy.asks(Type::cluster);
  EXPECT_EQ(proxy.hears(), "CDS a b");
  (void)proxy.asks(Type::endpoints, {"a", "b"});
  EXPECT_EQ(proxy.hears(), "EDS a b");
  (void)proxy.acks(Type::endpoints);
  EXPECT_EQ(proxy.hears(), "");
}

}  // namespace
}  // namespace graymesh::xds
