// State-of-the-world xDS: clusters and listeners whole, endpoints and routes by name.
#include <gtest/gtest.h>

#include "control/xds/fake_proxy.h"

namespace graymesh::xds {
namespace {

using resource::Type;

TEST(Sotw, RequestsWithoutNamesAreForAllUntilAnyNameWasGiven) {
  FakeProxy proxy(FakeProxy::sotw);
  (void)proxy.runs({.clusters = {"a", "b"}});
  (void)proxy.asks(Type::cluster);
  EXPECT_EQ(proxy.settles(), "CDS a b");
  (void)proxy.asks(Type::cluster);
  EXPECT_EQ(proxy.settles(), "") << "still all, and it has them";
  (void)proxy.asks(Type::cluster, {"b"});
  (void)proxy.runs({.clusters = {"a=2", "b=2"}});
  EXPECT_EQ(proxy.settles(), "CDS b=2");
  (void)proxy.asks(Type::cluster);
  (void)proxy.runs({.clusters = {"a=3", "b=3"}});
  EXPECT_EQ(proxy.settles(), "") << "no name is no longer all";
  (void)proxy.asks(Type::cluster, {"*"});
  EXPECT_EQ(proxy.settles(), "CDS a=3 b=3");
}

TEST(Sotw, ClustersComeWholeSoThatAbsentMeansDeleted) {
  FakeProxy proxy(FakeProxy::sotw);
  (void)proxy.runs({.clusters = {"a", "b", "c"}});
  (void)proxy.asks(Type::cluster);
  proxy.settles();
  (void)proxy.runs({.clusters = {"a", "b=2", "d"}});
  EXPECT_EQ(proxy.settles(), "CDS a b=2 d");
  EXPECT_EQ(proxy.holds(Type::cluster), "a b=2 d");
}

TEST(Sotw, ClustersComeWholeHoweverMany) {
  FakeProxy proxy(FakeProxy::sotw, {.chunk_resources_max = 10});
  (void)proxy.runs({.clusters = many(100)});
  (void)proxy.asks(Type::cluster);
  EXPECT_EQ(std::ranges::count(proxy.hears(), 'n'), 100);
}

TEST(Sotw, UnknownListenerIsToldByItsAbsence) {
  FakeProxy proxy(FakeProxy::sotw);
  (void)proxy.runs({.listeners = {"x"}});
  (void)proxy.asks(Type::listener, {"y"});
  EXPECT_EQ(proxy.settles(), "LDS");
  (void)proxy.asks(Type::listener, {"x", "y"});
  EXPECT_EQ(proxy.settles(), "LDS x");
}

TEST(Sotw, EndpointsComeOnlyAsTheyChange) {
  FakeProxy proxy(FakeProxy::sotw);
  (void)proxy.runs({.endpoints = {"a", "b", "c"}});
  (void)proxy.asks(Type::endpoints, {"a", "b", "x"});
  EXPECT_EQ(proxy.settles(), "EDS a b") << "what doesn't exist is left out";
  (void)proxy.runs({.endpoints = {"a", "b=2", "c=2"}});
  EXPECT_EQ(proxy.settles(), "EDS b=2");
  (void)proxy.runs({.endpoints = {"a", "b=2", "c=2", "x"}});
  EXPECT_EQ(proxy.settles(), "EDS x");
  (void)proxy.runs({.endpoints = {"b=2", "c=2", "x"}});
  EXPECT_EQ(proxy.settles(), "");
}

TEST(Sotw, NamesAddedToAnAckAreServed) {
  FakeProxy proxy(FakeProxy::sotw);
  (void)proxy.runs({.endpoints = {"a", "b"}});
  (void)proxy.asks(Type::endpoints, {"a"});
  proxy.settles();
  (void)proxy.asks(Type::endpoints, {"a", "b"});
  EXPECT_EQ(proxy.settles(), "EDS b");
  (void)proxy.asks(Type::endpoints, {"b"});
  (void)proxy.asks(Type::endpoints, {"a", "b"});
  EXPECT_EQ(proxy.settles(), "EDS a") << "it gave up and came back";
}

TEST(Sotw, NamesThatComeAndGoAreThoseOfTheLastRequest) {
  FakeProxy proxy(FakeProxy::sotw);
  (void)proxy.runs({.endpoints = {"a", "b"}});
  (void)proxy.asks(Type::endpoints, {"a"});
  proxy.settles();
  (void)proxy.asks(Type::endpoints, {"a", "b"});
  proxy.settles();
  (void)proxy.asks(Type::endpoints, {"a"});
  (void)proxy.asks(Type::endpoints, {"a"});
  (void)proxy.runs({.endpoints = {"a=2", "b=2"}});
  EXPECT_EQ(proxy.settles(), "EDS a=2");
}

TEST(Sotw, OfAPartOfManyAreCountedThoseThatItHolds) {
  FakeProxy proxy(FakeProxy::sotw);
  (void)proxy.runs({.endpoints = many(100)});
  (void)proxy.asks(Type::endpoints, many(100));
  proxy.settles();
  EXPECT_EQ(proxy.status(Type::endpoints).resources, 100u);
  (void)proxy.asks(Type::endpoints, many(40));
  proxy.settles();
  EXPECT_EQ(proxy.status(Type::endpoints).resources, 40u);
  (void)proxy.runs({.endpoints = many(30)});
  proxy.settles();
  EXPECT_EQ(proxy.status(Type::endpoints).resources, 30u);
  (void)proxy.asks(Type::endpoints, many(200));
  (void)proxy.runs({.endpoints = many(150)});
  proxy.hears();
  (void)proxy.nacks(Type::endpoints, "one of them");
  std::size_t held = 0;
  const auto acked = proxy.session().acked();
  for (const auto& layer : acked->of(Type::endpoints)) held += layer->size();
  EXPECT_LT(held, 150u) << "what was refused is not held";
  EXPECT_EQ(proxy.status(Type::endpoints).resources, held);
}

TEST(Sotw, RequestThatAnswersAnOlderResponseIsIgnored) {
  FakeProxy proxy(FakeProxy::sotw);
  (void)proxy.runs({.routes = {"r", "s"}});
  (void)proxy.asks(Type::route, {"r"});
  proxy.settles();
  const auto old = proxy.last(Type::route);
  (void)proxy.runs({.routes = {"r=2", "s"}});
  proxy.hears();
  (void)proxy.answers(Type::route, old, std::nullopt);
  EXPECT_EQ(proxy.status(Type::route).state, TypeStatus::State::stale);
  EXPECT_EQ(proxy.session().channel(Type::route).counts().stale, 1u);
  (void)proxy.acks(Type::route);
  EXPECT_EQ(proxy.status(Type::route).state, TypeStatus::State::synced);
}

TEST(Sotw, VersionIsAHashOfTheContentAlone) {
  FakeProxy one(FakeProxy::sotw), other(FakeProxy::sotw);
  (void)other.runs({.clusters = {"z"}});
  (void)other.asks(Type::cluster);
  other.settles();
  for (auto* proxy : {&one, &other}) {
    (void)proxy->runs({.clusters = {"a", "b"}});
    (void)proxy->asks(Type::cluster);
    proxy->settles();
  }
  EXPECT_EQ(one.version(Type::cluster), other.version(Type::cluster));
}

}  // namespace
}  // namespace graymesh::xds
