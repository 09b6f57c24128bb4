// A proxy that comes back is sent what it lacks, and told what is gone.
#include <gtest/gtest.h>

#include <map>
#include <random>

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

constexpr std::size_t mesh = 3360;

// It has n0, n1, ... in the version of another graymeshd; every `same`-th as it shall be (0: none).
FakeProxy::Held held_of(std::size_t count, std::size_t same) {
  FakeProxy::Held held;
  for (std::size_t i = 0; i < count; ++i) {
    held.emplace_back("n" + std::to_string(i),
                      version_of_body(same > 0 && i % same == 0 ? "1" : "old"));
  }
  return held;
}

// A thousand come back at once from a graymeshd that made everything otherwise.
TEST(ReconnectToAnotherGraymeshd, NoNameIsNotedByItself) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.clusters = many(mesh, "1"), .endpoints = many(mesh, "1")});
  (void)proxy.asks(Type::cluster, {}, held_of(mesh, 0));
  (void)proxy.asks(Type::endpoints, many(mesh), held_of(mesh, 0));
  const Session& session = proxy.session();
  for (const Type type : {Type::cluster, Type::endpoints}) {
    EXPECT_EQ(session.channel(type).exceptions(), 0u);
    EXPECT_EQ(session.channel(type).possession().all().claimed.size(), mesh);
    EXPECT_EQ(session.channel(type).held_count(), mesh);
    EXPECT_EQ(session.channel(type).counts().resyncs, 1u);
  }
  EXPECT_EQ(proxy.holds(Type::cluster), "") << "none for sure";
  proxy.settles();
  FakeProxy cold(FakeProxy::delta);
  (void)cold.runs({.clusters = many(mesh, "1"), .endpoints = many(mesh, "1")});
  cold.starts(many(mesh));
  for (const Type type : {Type::cluster, Type::endpoints}) {
    EXPECT_EQ(proxy.status(type).state, TypeStatus::State::synced);
    EXPECT_EQ(proxy.holds(type), cold.holds(type));
    EXPECT_EQ(session.channel(type).possession().all().claimed.size(), 0u);
  }
}

// However many responses that takes: 17 here, 240 of 10,000 services.
TEST(ReconnectToAnotherGraymeshd, EachNameIsLookedAtOnce) {
  for (const std::size_t same : {0u, 2u, 3u, 10u}) {
    FakeProxy proxy(FakeProxy::delta);
    (void)proxy.runs({.clusters = many(mesh, "1"), .endpoints = many(mesh, "1")});
    (void)proxy.asks(Type::cluster, {}, held_of(mesh, same));
    (void)proxy.asks(Type::endpoints, many(mesh), held_of(mesh, same));
    const Session& session = proxy.session();
    const std::size_t noted = session.channel(Type::cluster).exceptions();
    EXPECT_LE(noted, mesh / 2);
    proxy.settles();
    const auto& clusters = session.channel(Type::cluster).counts();
    const auto& endpoints = session.channel(Type::endpoints).counts();
    EXPECT_LE(clusters.looks, noted + clusters.sent);
    // Endpoints of each cluster that was sent are owed.
    EXPECT_LE(endpoints.looks, noted + mesh + 2 * endpoints.sent);
    EXPECT_EQ(proxy.status(Type::endpoints).state, TypeStatus::State::synced);
  }
}

TEST(ReconnectToAnotherGraymeshd, WhatIsGoneBeforeItWasSentIsRemovedByName) {
  FakeProxy proxy(FakeProxy::delta, {.chunk_resources_max = 2});
  (void)proxy.runs({.listeners = {"a=1", "b=1", "c=1", "d=1", "e=1"}});
  (void)proxy.asks(Type::listener, {},
                   {{"a", "v"}, {"b", "v"}, {"c", "v"}, {"d", "v"}, {"gone", "v"}});
  const std::string first = proxy.hears();
  (void)proxy.runs({.listeners = {"x=1"}});
  (void)proxy.acks(Type::listener);
  const std::string all = first + " | " + proxy.settles() + " ";
  for (const std::string name : {"a", "b", "c", "d", "gone"})
    EXPECT_NE(all.find("-" + name), std::string::npos) << name << " in " << all;
  EXPECT_EQ(all.find("-e"), std::string::npos) << "it never had that";
  EXPECT_EQ(proxy.holds(Type::listener), "x=1");
}

TEST(ReconnectToAnotherGraymeshd, WhatItRefusesItStillHasInAVersionThatNobodyKnows) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.listeners = {"a=1", "b=1"}});
  (void)proxy.asks(Type::listener, {}, {{"a", "v"}, {"b", "v"}});
  EXPECT_EQ(proxy.hears(), "LDS a=1 b=1");
  (void)proxy.nacks(Type::listener, "a: no");
  EXPECT_EQ(proxy.settles(), "");
  EXPECT_EQ(proxy.session().channel(Type::listener).possession().all().claimed, Texts{"a"});
  EXPECT_EQ(proxy.holds(Type::listener), "b=1");
  (void)proxy.runs({.listeners = {"b=1"}});
  EXPECT_EQ(proxy.settles(), "LDS -a");
}

// Whatever it has when it comes, and whatever changes meanwhile.
TEST(ReconnectToAnotherGraymeshd, EndsWithWhatItShallHave) {
  std::mt19937 random(20261130);
  const auto one_of = [&](int count) {
    return static_cast<int>(random() % static_cast<unsigned>(count));
  };
  const auto some = [&](int kinds) {
    Texts texts;
    for (int i = 0; i < 60; ++i) {
      if (const int kind = one_of(kinds)) {
        texts.push_back("n" + std::to_string(i) + "=" + std::to_string(kind));
      }
    }
    return texts;
  };
  for (int round = 0; round < 300; ++round) {
    SCOPED_TRACE(round);
    const int kinds = 2 + one_of(3);
    FakeProxy proxy(FakeProxy::delta, {.chunk_resources_max = 1 + random() % 20});
    (void)proxy.runs({.listeners = some(kinds)});
    std::map<std::string, std::string> has, told;
    FakeProxy::Held held;
    for (const auto& text : some(kinds)) {
      const auto equals = text.find('=');
      const bool known = one_of(3) > 0;
      has[text.substr(0, equals)] = known ? text.substr(equals + 1) : "?";
      held.emplace_back(text.substr(0, equals),
                        known ? version_of_body(text.substr(equals + 1)) : "v7");
    }
    (void)proxy.asks(Type::listener, {}, held);
    const auto hear = [&] {
      auto response = proxy.session().next(proxy.now());
      if (!response) return false;
      for (const auto* resource : response->resources) {
        EXPECT_NE(told[(*resource)->name()], (*resource)->body()) << "that was sent before";
        has[(*resource)->name()] = told[(*resource)->name()] = (*resource)->body();
      }
      for (const auto& name : response->removed) {
        EXPECT_EQ(has.erase(name), 1u) << name;
        told.erase(name);
      }
      return true;
    };
    const auto ack = [&] {
      const auto& flight = proxy.session().channel(Type::listener).flight();
      if (!flight) return false;
      (void)proxy.answers(Type::listener, std::string(flight->nonce), std::nullopt);
      return true;
    };
    Texts wanted;
    for (int step = 0; step < 12; ++step) {
      if (one_of(3) == 0) (void)proxy.runs({.listeners = wanted = some(kinds)});
      if (one_of(2) == 0) hear();
      if (one_of(2) == 0) ack();
    }
    (void)proxy.runs({.listeners = wanted = some(kinds)});
    while (hear() || ack()) {
    }
    std::map<std::string, std::string> shall;
    for (const auto& text : wanted)
      shall[text.substr(0, text.find('='))] = text.substr(text.find('=') + 1);
    EXPECT_EQ(has, shall);
    EXPECT_EQ(proxy.session().channel(Type::listener).exceptions(), 0u);
    EXPECT_TRUE(proxy.session().channel(Type::listener).possession().all().claimed.empty());
  }
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
