// Delta xDS: what is subscribed is what is sent, each change once.
#include <gtest/gtest.h>

#include "control/xds/fake_proxy.h"

namespace graymesh::xds {
namespace {

using resource::Type;

TEST(Delta, FirstRequestWithoutNamesIsForAllClustersAndListeners) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.clusters = {"a", "b"}, .listeners = {"x"}});
  (void)proxy.asks(Type::cluster);
  (void)proxy.asks(Type::listener);
  EXPECT_EQ(proxy.settles(), "CDS a b | LDS x");
}

TEST(Delta, FirstRequestWithoutNamesIsForNoEndpoints) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.endpoints = {"a"}});
  (void)proxy.asks(Type::endpoints);
  EXPECT_EQ(proxy.settles(), "");
}

TEST(Delta, AsteriskIsForAllOfAnyType) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.endpoints = {"a", "b"}});
  (void)proxy.asks(Type::endpoints, {"*"});
  EXPECT_EQ(proxy.settles(), "EDS a b");
}

TEST(Delta, WildcardOfNothingIsAnsweredSoThatAColdProxyGoesOn) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs(ConfigText{});
  (void)proxy.asks(Type::cluster);
  EXPECT_EQ(proxy.hears(), "CDS");
}

TEST(Delta, NamedResourcesAloneAreSent) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.routes = {"r1", "r2", "r3"}});
  (void)proxy.asks(Type::route, {"r1", "r3"});
  EXPECT_EQ(proxy.settles(), "RDS r1 r3");
  (void)proxy.asks(Type::route, {"r2"});
  EXPECT_EQ(proxy.settles(), "RDS r2");
}

TEST(Delta, UnknownNameIsSaidToBeRemovedAndSentWhenItComes) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.endpoints = {"a"}});
  (void)proxy.asks(Type::endpoints, {"a", "b"});
  EXPECT_EQ(proxy.settles(), "EDS a -b");
  (void)proxy.runs({.endpoints = {"a", "b"}});
  EXPECT_EQ(proxy.settles(), "EDS b");
}

TEST(Delta, OnlyWhatChangedIsSent) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.clusters = {"a", "b", "c"}});
  (void)proxy.asks(Type::cluster);
  proxy.settles();
  (void)proxy.runs({.clusters = {"a", "b=2", "d"}});
  EXPECT_EQ(proxy.settles(), "CDS b=2 d -c");
  (void)proxy.runs({.clusters = {"a", "b=2", "d"}});
  EXPECT_EQ(proxy.settles(), "") << "equal versions in another set";
}

TEST(Delta, ChangesOfUnsubscribedNamesAreNotSent) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.endpoints = {"a", "b"}});
  (void)proxy.asks(Type::endpoints, {"a", "b"});
  proxy.settles();
  (void)proxy.drops(Type::endpoints, {"b"});
  (void)proxy.runs({.endpoints = {"a", "b=2"}});
  EXPECT_EQ(proxy.settles(), "");
  (void)proxy.asks(Type::endpoints, {"b"});
  EXPECT_EQ(proxy.settles(), "EDS b=2");
}

TEST(Delta, SubscribingAnewSendsAgainWhatIsUnchanged) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.endpoints = {"a"}});
  (void)proxy.asks(Type::endpoints, {"a"});
  proxy.settles();
  (void)proxy.asks(Type::endpoints, {"a"});
  EXPECT_EQ(proxy.settles(), "EDS a");
  (void)proxy.drops(Type::endpoints, {"a"});
  (void)proxy.asks(Type::endpoints, {"a"});
  EXPECT_EQ(proxy.settles(), "EDS a");
}

TEST(Delta, WithoutAsteriskTheNamedStay) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.clusters = {"a", "b"}});
  (void)proxy.asks(Type::cluster, {"*", "a"});
  proxy.settles();
  (void)proxy.drops(Type::cluster, {"*"});
  (void)proxy.runs({.clusters = {"a=2", "b=2"}});
  EXPECT_EQ(proxy.settles(), "CDS a=2");
  (void)proxy.asks(Type::cluster, {"*"});
  EXPECT_EQ(proxy.settles(), "CDS a=2 b=2") << "all of them, whatever was before";
}

TEST(Delta, NameGivenBackIsSentAgainIfAsteriskStillCoversIt) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.clusters = {"a", "b"}});
  (void)proxy.asks(Type::cluster, {"*", "a"});
  proxy.settles();
  (void)proxy.drops(Type::cluster, {"a"});
  EXPECT_EQ(proxy.settles(), "CDS a");
}

TEST(Delta, LargePushIsCutAndEachPartAwaitsItsAck) {
  FakeProxy proxy(FakeProxy::delta, {.chunk_resources_max = 40});
  (void)proxy.runs({.clusters = many(100)});
  (void)proxy.asks(Type::cluster);
  EXPECT_EQ(std::ranges::count(proxy.hears(), 'n'), 40);
  EXPECT_EQ(proxy.hears(), "");
  (void)proxy.acks(Type::cluster);
  EXPECT_EQ(std::ranges::count(proxy.hears(), 'n'), 40);
  (void)proxy.acks(Type::cluster);
  EXPECT_EQ(std::ranges::count(proxy.hears(), 'n'), 20);
  (void)proxy.acks(Type::cluster);
  EXPECT_EQ(proxy.hears(), "");
  EXPECT_EQ(proxy.status(Type::cluster).resources, 100u);
}

TEST(Delta, WhatChangesWhileAPushIsInFlightFoldsIntoTheNext) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.endpoints = {"a=1", "b=1"}});
  (void)proxy.asks(Type::endpoints, {"a", "b"});
  EXPECT_EQ(proxy.hears(), "EDS a=1 b=1");
  for (const char* body : {"a=2", "a=3", "a=4"}) (void)proxy.runs({.endpoints = {body, "b=1"}});
  EXPECT_EQ(proxy.hears(), "");
  (void)proxy.acks(Type::endpoints);
  EXPECT_EQ(proxy.settles(), "EDS a=4");
}

TEST(Delta, ChangeInTheMiddleOfACutPushReachesWhatWasSentAndWhatWasNot) {
  FakeProxy proxy(FakeProxy::delta, {.chunk_resources_max = 10});
  (void)proxy.runs({.clusters = many(100, "1")});
  (void)proxy.asks(Type::cluster);
  for (int i = 0; i < 5; ++i) {
    EXPECT_NE(proxy.hears(), "");
    (void)proxy.acks(Type::cluster);
    (void)proxy.runs({.clusters = many(100 - static_cast<std::size_t>(i), std::to_string(i + 2))});
  }
  proxy.settles();
  auto texts = many(96, "6");
  std::ranges::sort(texts);
  std::string all;
  for (const auto& text : texts) all += (all.empty() ? "" : " ") + text;
  EXPECT_EQ(proxy.holds(Type::cluster), all);
}

TEST(Delta, EndpointsNeverWaitBehindALargePushOfClusters) {
  FakeProxy proxy(FakeProxy::delta, {.chunk_resources_max = 10});
  (void)proxy.runs({.clusters = many(100), .endpoints = {"e=1"}});
  (void)proxy.asks(Type::endpoints, {"e"});
  proxy.settles();
  (void)proxy.asks(Type::cluster);
  EXPECT_TRUE(proxy.hears().starts_with("CDS "));
  (void)proxy.runs({.clusters = many(100), .endpoints = {"e=2"}});
  EXPECT_EQ(proxy.hears(), "EDS e=2");
}

TEST(Delta, OneNameInAnotherLayerIsNoRemoval) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.clusters = {"a", "b"}, .own_clusters = {"c"}});
  (void)proxy.asks(Type::cluster);
  EXPECT_EQ(proxy.settles(), "CDS a b c");
  (void)proxy.runs({.clusters = {"a"}, .own_clusters = {"b", "c"}});
  EXPECT_EQ(proxy.settles().find('-'), std::string::npos);
  EXPECT_EQ(proxy.holds(Type::cluster), "a b c");
  (void)proxy.runs({.clusters = {"a", "b", "c"}});
  EXPECT_EQ(proxy.settles().find('-'), std::string::npos);
  EXPECT_EQ(proxy.holds(Type::cluster), "a b c");
}

TEST(Delta, RequestsBeforeTheFirstConfigAreAnsweredWhenItComes) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.asks(Type::cluster);
  (void)proxy.asks(Type::endpoints, {"a"});
  EXPECT_EQ(proxy.hears(), "");
  (void)proxy.runs({.clusters = {"a"}, .endpoints = {"a"}});
  EXPECT_EQ(proxy.hears(), "CDS a | EDS a");
}

// What new clusters wait for goes out once, whether the proxy asks for it chunk by chunk, all at
// once, or for less than it was sent clusters of.
TEST(Delta, EndpointsOfNewClustersGoOutOnce) {
  const auto run = [](const std::vector<Texts>& asked) {
    FakeProxy proxy(FakeProxy::delta, {.chunk_resources_max = 4});
    (void)proxy.runs({.clusters = many(10, "1"), .endpoints = many(10, "1")});
    (void)proxy.asks(Type::cluster);
    std::string all = proxy.hears();
    for (const auto& names : asked) {
      (void)proxy.asks(Type::endpoints, names);
      all += " | " + proxy.settles();
    }
    std::size_t sent = 0;
    for (std::size_t at = 0; (at = all.find("=1", at)) != std::string::npos; ++at) ++sent;
    EXPECT_EQ(sent, 20u) << all;
    EXPECT_EQ(proxy.holds(Type::endpoints), proxy.holds(Type::cluster)) << all;
  };
  run({{"n0"}});
  run({many(10)});
  run({{"n1", "n2"}, {"n3"}});
  FakeProxy names(FakeProxy::delta, {.chunk_resources_max = 4});
  (void)names.runs({.clusters = many(10, "1")});
  (void)names.asks(Type::cluster);
  Texts chunk;
  (void)names.hears();
  for (const auto& sent : names.session().channel(Type::cluster).flight()->sent)
    chunk.push_back((*sent.now)->name());
  run({chunk});
}

}  // namespace
}  // namespace graymesh::xds
