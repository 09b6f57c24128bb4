// A proxy that comes back is sent what it lacks, and told what is gone.
#include <gtest/gtest.h>

#include "control/xds/fake_proxy.h"

namespace graymesh::xds {
namespace {

using resource::Type;

std::string version_of_body(const std::string& body) {
  return resource::Resource(Type::cluster, "", body).version_text();
}

TEST(Reconnect, NothingIsSentThatTheProxyHolds) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.clusters = {"a=1", "b=1"}, .endpoints = {"a=1"}});
  (void)proxy.asks(Type::cluster, {}, {{"a", version_of_body("1")}, {"b", version_of_body("1")}});
  (void)proxy.asks(Type::endpoints, {"a"}, {{"a", version_of_body("1")}});
  EXPECT_EQ(proxy.settles(), "");
  EXPECT_EQ(proxy.status(Type::cluster).state, TypeStatus::State::synced);
  EXPECT_EQ(proxy.holds(Type::cluster), "a=1 b=1");
  (void)proxy.runs({.clusters = {"a=1", "b=2"}, .endpoints = {"a=1"}});
  EXPECT_EQ(proxy.settles(), "CDS b=2");
}

TEST(Reconnect, WhatChangedMeanwhileIsSent) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.listeners = {"a=1", "b=1", "c=2", "d=1"}});
  (void)proxy.asks(
      Type::listener, {},
      {{"a", version_of_body("1")}, {"b", version_of_body("1")}, {"c", version_of_body("1")}});
  EXPECT_EQ(proxy.settles(), "LDS c=2 d=1");
  EXPECT_EQ(proxy.holds(Type::listener), "a=1 b=1 c=2 d=1");
}

TEST(Reconnect, WhatVanishedMeanwhileIsRemovedByName) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.listeners = {"a=1"}});
  (void)proxy.asks(Type::listener, {},
                   {{"a", version_of_body("1")}, {"gone", version_of_body("1")}, {"old", "?"}});
  EXPECT_EQ(proxy.settles(), "LDS -gone -old");
}

TEST(Reconnect, ProxyThatHoldsLittleIsSentTheRest) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.clusters = {"a=1", "b=1", "c=1", "d=1", "e=1"}});
  (void)proxy.asks(Type::cluster, {}, {{"b", version_of_body("1")}});
  EXPECT_EQ(proxy.settles(), "CDS a=1 c=1 d=1 e=1");
  EXPECT_EQ(proxy.holds(Type::cluster), "a=1 b=1 c=1 d=1 e=1");
}

TEST(Reconnect, IsAResyncWhereNothingThatTheProxyHoldsIsKnown) {
  const auto resyncs = [](const FakeProxy::Held& held) {
    FakeProxy proxy(FakeProxy::delta);
    (void)proxy.runs({.clusters = {"a=1", "b=1"}});
    (void)proxy.asks(Type::cluster, {}, held);
    return proxy.session().channel(Type::cluster).counts().resyncs;
  };
  EXPECT_EQ(resyncs({}), 0u) << "it came with nothing";
  EXPECT_EQ(resyncs({{"a", version_of_body("1")}, {"b", version_of_body("1")}}), 0u);
  EXPECT_EQ(resyncs({{"a", version_of_body("1")}, {"b", version_of_body("0")}}), 0u);
  EXPECT_EQ(resyncs({{"a", "v7"}, {"b", "v7"}}), 1u);
  EXPECT_EQ(resyncs({{"c", version_of_body("1")}}), 1u);
}

TEST(Reconnect, InStateOfTheWorldIsAResyncWhereTheVersionOfAllIsAnother) {
  const auto resyncs = [](Type type, const std::string& version) {
    FakeProxy proxy(FakeProxy::sotw);
    (void)proxy.runs({.clusters = {"a=1"}, .endpoints = {"a=1"}});
    (void)proxy.returns(type, version, type == Type::cluster ? Texts{} : Texts{"a"});
    return proxy.session().channel(type).counts().resyncs;
  };
  FakeProxy before(FakeProxy::sotw);
  (void)before.runs({.clusters = {"a=1"}});
  (void)before.asks(Type::cluster);
  before.settles();
  EXPECT_EQ(resyncs(Type::cluster, before.version(Type::cluster)), 0u);
  EXPECT_EQ(resyncs(Type::cluster, "v7"), 1u);
  EXPECT_EQ(resyncs(Type::cluster, ""), 0u) << "it came with nothing";
  EXPECT_EQ(resyncs(Type::endpoints, "v7"), 0u) << "which of them it has is never known";
}

TEST(Reconnect, NamesThatAreNoLongerSubscribedAreNotClaimed) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.endpoints = {"a=1", "b=1"}});
  (void)proxy.asks(Type::endpoints, {"a"},
                   {{"a", version_of_body("1")}, {"b", version_of_body("1")}});
  EXPECT_EQ(proxy.settles(), "");
  (void)proxy.asks(Type::endpoints, {"b"});
  EXPECT_EQ(proxy.settles(), "EDS b=1");
}

TEST(Reconnect, ClustersGoOnlyWhenTheRoutesThatMayUseThemHaveComeAndChanged) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.clusters = {"new=1"}, .listeners = {"l=1"}, .routes = {"r=new"}});
  (void)proxy.asks(Type::cluster, {}, {{"old", version_of_body("1")}});
  EXPECT_EQ(proxy.hears(), "CDS new=1");
  (void)proxy.acks(Type::cluster);
  EXPECT_EQ(proxy.hears(), "") << "its routes may still lead to the old one";
  (void)proxy.asks(Type::listener, {}, {{"l", version_of_body("1")}});
  (void)proxy.asks(Type::route, {"r"}, {{"r", version_of_body("old")}});
  EXPECT_EQ(proxy.hears(), "RDS r=new");
  (void)proxy.acks(Type::route);
  EXPECT_EQ(proxy.hears(), "CDS -old");
}

TEST(Reconnect, ProxyWithoutListenersIsNotWaitedForForever) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.clusters = {"a=1"}});
  (void)proxy.asks(Type::cluster, {}, {{"a", version_of_body("1")}, {"old", "?"}});
  EXPECT_EQ(proxy.hears(), "");
  ASSERT_TRUE(proxy.session().deadline());
  proxy.clock.advance(std::chrono::seconds(15));
  EXPECT_EQ(proxy.hears(), "CDS -old");
}

TEST(Reconnect, ClusterThatChangedMeanwhileIsFollowedByEndpointsThatDidNot) {
  for (const bool endpoints_first : {false, true}) {
    FakeProxy proxy(FakeProxy::delta);
    (void)proxy.runs({.clusters = {"a=2"}, .endpoints = {"a=1"}});
    const auto ask_for_endpoints = [&] {
      (void)proxy.asks(Type::endpoints, {"a"}, {{"a", version_of_body("1")}});
    };
    if (endpoints_first) ask_for_endpoints();
    (void)proxy.asks(Type::cluster, {}, {{"a", version_of_body("1")}});
    std::string all = proxy.hears();
    if (!endpoints_first) {
      ask_for_endpoints();
      all += " | " + proxy.hears();
    }
    EXPECT_EQ(all, "CDS a=2 | EDS a=1") << "Envoy warms the cluster and doesn't ask again";
  }
}

TEST(Reconnect, RoutesAskedForBeforeClustersAreServed) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.clusters = {"a=1"}, .endpoints = {"a=1"}, .routes = {"r=2"}});
  (void)proxy.asks(Type::route, {"r"}, {{"r", version_of_body("1")}});
  EXPECT_EQ(proxy.hears(), "RDS r=2");
}

TEST(Reconnect, SameStateOfTheWorldIsNotSentAgain) {
  FakeProxy before(FakeProxy::sotw);
  (void)before.runs({.clusters = {"a=1", "b=1"}});
  (void)before.asks(Type::cluster);
  before.settles();

  FakeProxy after(FakeProxy::sotw);
  (void)after.runs({.clusters = {"a=1", "b=1"}});
  (void)after.returns(Type::cluster, before.version(Type::cluster));
  EXPECT_EQ(after.settles(), "");
  (void)after.runs({.clusters = {"a=1", "b=2"}});
  EXPECT_EQ(after.settles(), "CDS a=1 b=2");

  FakeProxy changed(FakeProxy::sotw);
  (void)changed.runs({.clusters = {"a=1", "b=2"}});
  (void)changed.returns(Type::cluster, before.version(Type::cluster));
  EXPECT_EQ(changed.settles(), "CDS a=1 b=2");
}

}  // namespace
}  // namespace graymesh::xds
