// Virtual hosts one by one: unasked, behind their table, and gone with it.
#include <gtest/gtest.h>

#include "control/xds/fake_proxy.h"

namespace graymesh::xds {
namespace {

using resource::Type;

std::string version_of_body(const std::string& body) {
  return resource::Resource(Type::cluster, "", body).version_text();
}

const ConfigText two_tables{.clusters = {"a"},
                            .endpoints = {"a"},
                            .listeners = {"l"},
                            .routes = {"80", "90"},
                            .snapshot = 1,
                            .hosts = {"80/a=1", "80/z=1", "90/a=1", "90/z=1"}};

// An Envoy: it asks for hosts, once and without names, when it has a table.
class Tables : public testing::Test {
 public:
  Tables() : proxy(FakeProxy::delta) {}

  void start(const Texts& tables = {"80", "90"}) {
    (void)proxy.runs(two_tables);
    proxy.starts({"a"}, tables);
    (void)proxy.asks(Type::virtual_host);
    proxy.settles();
  }
  std::string hosts() const { return proxy.holds(Type::virtual_host); }

  FakeProxy proxy;
};

TEST_F(Tables, HostsOfAllTablesComeInOneResponseForARequestWithoutNames) {
  (void)proxy.runs(two_tables);
  proxy.starts({"a"}, {"80", "90"});
  (void)proxy.asks(Type::virtual_host);
  EXPECT_EQ(proxy.settles(), "VHDS 80/a=1 80/z=1 90/a=1 90/z=1");
}

TEST_F(Tables, OneChangedHostIsSentAndNothingElse) {
  start();
  auto next = two_tables;
  next.hosts[0] = "80/a=2";
  next.snapshot = 2;
  (void)proxy.runs(next);
  EXPECT_EQ(proxy.hears(), "VHDS 80/a=2");
  EXPECT_EQ(proxy.session().snapshot(), 1u) << "not before it is ACKed";
  (void)proxy.acks(Type::virtual_host);
  EXPECT_EQ(proxy.session().snapshot(), 2u);
  EXPECT_TRUE(proxy.session().in_step());
}

TEST_F(Tables, HostsOfATableThatIsNotAskedForAreNotSentBeforeItIs) {
  start({"80"});
  EXPECT_EQ(hosts(), "80/a=1 80/z=1");
  (void)proxy.asks(Type::route, {"90"});
  EXPECT_EQ(proxy.hears(), "RDS 90 | VHDS 90/a=1 90/z=1") << "unasked, and behind it";
}

TEST_F(Tables, NewTableBringsItsHostsWithoutAnotherRequest) {
  start();
  auto next = two_tables;
  next.routes.push_back("70");
  next.hosts.insert(next.hosts.end(), {"70/a=1", "70/z=1"});
  (void)proxy.runs(next);
  EXPECT_EQ(proxy.settles(), "") << "no listener has asked for it";
  (void)proxy.asks(Type::route, {"70"});
  EXPECT_EQ(proxy.hears(), "RDS 70 | VHDS 70/a=1 70/z=1");
}

TEST_F(Tables, HostsAreNeverCutIntoChunks) {
  const auto hosts = many(1000, std::string(2000, 'x'), "80/n");
  (void)proxy.runs({.routes = {"80"}, .hosts = hosts});
  (void)proxy.asks(Type::route, {"80"});
  proxy.settles();
  (void)proxy.asks(Type::virtual_host);
  (void)proxy.hears();
  EXPECT_EQ(proxy.status(Type::virtual_host).sent, 1u);
  EXPECT_EQ(proxy.session().channel(Type::virtual_host).flight()->sent.size(), 1000u);
}

TEST_F(Tables, ATableChangedInPlaceKeepsItsHosts) {
  start();
  auto next = two_tables;
  next.routes[0] = "80=2";
  (void)proxy.runs(next);
  EXPECT_EQ(proxy.settles(), "RDS 80=2");
}

TEST_F(Tables, VanishedHostIsRemovedByNameAndTogetherWithWhatTakesItsPlace) {
  start();
  auto next = two_tables;
  next.hosts = {"80/b=1", "80/z=1", "90/a=1", "90/z=1"};
  (void)proxy.runs(next);
  EXPECT_EQ(proxy.hears(), "VHDS 80/b=1 -80/a") << "a name that both have would be refused";
}

TEST_F(Tables, TableThatIsGivenUpTakesItsHostsAlong) {
  start();
  (void)proxy.drops(Type::route, {"90"});
  EXPECT_EQ(proxy.settles(), "VHDS -90/a -90/z") << "else it would name them when it comes back";
  auto next = two_tables;
  next.hosts[2] = "90/a=2";
  (void)proxy.runs(next);
  EXPECT_EQ(proxy.settles(), "");
  (void)proxy.asks(Type::route, {"90"});
  EXPECT_EQ(proxy.settles(), "RDS 90 | VHDS 90/a=2 90/z=1");
}

TEST_F(Tables, TableThatIsGivenUpAndAskedForAtOnceIsSentWithAllItsHosts) {
  start();
  auto next = two_tables;
  next.hosts[0] = "80/a=2";
  (void)proxy.runs(next);
  EXPECT_EQ(proxy.hears(), "VHDS 80/a=2") << "and nothing more before that is ACKed";
  (void)proxy.drops(Type::route, {"90"});
  (void)proxy.asks(Type::route, {"90"});
  EXPECT_EQ(proxy.hears(), "RDS 90");
  (void)proxy.acks(Type::virtual_host);
  EXPECT_EQ(proxy.hears(), "VHDS 90/a=1 90/z=1");
}

// A listener that is made anew: Envoy says only that it wants the table.
TEST_F(Tables, TableThatIsAskedForAgainIsSentAgainWithAllItsHosts) {
  start();
  (void)proxy.asks(Type::route, {"80"});
  EXPECT_EQ(proxy.settles(), "RDS 80 | VHDS 80/a=1 80/z=1");
  EXPECT_EQ(proxy.settles(), "");
  EXPECT_EQ(hosts(), "80/a=1 80/z=1 90/a=1 90/z=1");
}

TEST_F(Tables, TableThatWeNoLongerHaveKeepsItsHostsWhileTheProxyHasIt) {
  start();
  auto next = two_tables;
  next.routes = {"80"};
  next.hosts = {"80/a=1", "80/z=1"};
  next.snapshot = 2;
  (void)proxy.runs(next);
  EXPECT_EQ(proxy.settles(), "RDS -90") << "connections of its old listener may still use it";
  EXPECT_EQ(hosts(), "80/a=1 80/z=1 90/a=1 90/z=1");
  EXPECT_TRUE(proxy.session().in_step()) << "nobody waits for them";
  EXPECT_EQ(proxy.session().snapshot(), 2u);
  (void)proxy.drops(Type::route, {"90"});
  EXPECT_EQ(proxy.settles(), "VHDS -90/a -90/z");
}

TEST_F(Tables, TableThatComesBackMeanwhileIsSentWithAllItsHosts) {
  start();
  auto next = two_tables;
  next.routes = {"80"};
  next.hosts = {"80/a=1", "80/z=1"};
  (void)proxy.runs(next);
  proxy.settles();
  next = two_tables;
  next.hosts = {"80/a=1", "80/z=1", "90/z=1"};
  (void)proxy.runs(next);
  EXPECT_EQ(proxy.settles(), "RDS 90 | VHDS 90/z=1 -90/a");
}

TEST_F(Tables, AllHostsGoWhenThereAreNoneAnyMore) {
  start();
  auto next = two_tables;
  next.hosts = {};
  next.routes = {"80x", "90x"};
  (void)proxy.runs(next);
  EXPECT_EQ(proxy.settles(), "RDS -80 -90");
  (void)proxy.drops(Type::route, {"80", "90"});
  EXPECT_EQ(proxy.settles(), "VHDS -80/a -80/z -90/a -90/z");
}

TEST_F(Tables, HostsWaitForTheClustersThatTheyUse) {
  start();
  auto next = two_tables;
  next.clusters = next.endpoints = {"a", "b"};
  next.hosts[0] = "80/a=b";
  (void)proxy.runs(next);
  EXPECT_EQ(proxy.hears(), "CDS b | EDS b");
  (void)proxy.acks(Type::endpoints);
  EXPECT_EQ(proxy.hears(), "");
  (void)proxy.acks(Type::cluster);
  EXPECT_EQ(proxy.hears(), "VHDS 80/a=b");
}

TEST_F(Tables, ClustersAreRemovedWhenTheHostsThatLeftThemAreAcked) {
  start();
  auto next = two_tables;
  next.clusters = next.endpoints = {"b"};
  next.hosts[0] = "80/a=b";
  (void)proxy.runs(next);
  EXPECT_EQ(proxy.hears(), "CDS b | EDS b");
  (void)proxy.acks(Type::endpoints);
  (void)proxy.acks(Type::cluster);
  EXPECT_EQ(proxy.hears(), "VHDS 80/a=b");
  (void)proxy.acks(Type::virtual_host);
  EXPECT_EQ(proxy.hears(), "CDS -a");
}

class TablesAgain : public Tables {
 public:
  const std::string one = version_of_body("1"), empty = version_of_body("");
  const FakeProxy::Held tables{{"80", empty}, {"90", empty}};
  const FakeProxy::Held all{{"80/a", one}, {"80/z", one}, {"90/a", one}, {"90/z", one}};

  void returns() {
    (void)proxy.asks(Type::cluster, {}, {{"a", empty}});
    (void)proxy.asks(Type::endpoints, {"a"}, {{"a", empty}});
    (void)proxy.asks(Type::listener, {}, {{"l", empty}});
  }
};

TEST_F(TablesAgain, NothingIsSentThatTheProxyHolds) {
  (void)proxy.runs(two_tables);
  returns();
  (void)proxy.asks(Type::route, {"80", "90"}, tables);
  (void)proxy.asks(Type::virtual_host, {}, all);
  EXPECT_EQ(proxy.settles(), "");
  EXPECT_EQ(hosts(), "80/a=1 80/z=1 90/a=1 90/z=1");
  EXPECT_TRUE(proxy.session().in_step());
}

TEST_F(TablesAgain, HostsWaitForTheTablesOfAProxyThatNamesThemFirst) {
  (void)proxy.runs(two_tables);
  returns();
  (void)proxy.asks(Type::virtual_host, {}, all);
  EXPECT_EQ(proxy.settles(), "") << "are their tables there?";
  (void)proxy.asks(Type::route, {"80", "90"}, tables);
  EXPECT_EQ(proxy.settles(), "");
  EXPECT_TRUE(proxy.session().in_step());
}

TEST_F(TablesAgain, WhatChangedAndWhatVanishedMeanwhileIsSent) {
  auto next = two_tables;
  next.hosts = {"80/a=2", "80/z=1", "90/z=1"};
  (void)proxy.runs(next);
  returns();
  (void)proxy.asks(Type::route, {"80", "90"}, tables);
  (void)proxy.asks(Type::virtual_host, {}, all);
  EXPECT_EQ(proxy.settles(), "VHDS 80/a=2 -90/a");
}

TEST_F(TablesAgain, HostsOfATableThatTheProxyDoesNotHaveAreSentWhateverItNames) {
  (void)proxy.runs(two_tables);
  returns();
  (void)proxy.asks(Type::virtual_host, {}, all);
  (void)proxy.asks(Type::route, {"80", "90"}, {{"80", empty}});
  EXPECT_EQ(proxy.settles(), "RDS 90 | VHDS 90/a=1 90/z=1");
}

TEST_F(TablesAgain, TableThatChangedMeanwhileKeepsItsHosts) {
  auto next = two_tables;
  next.routes[1] = "90=2";
  (void)proxy.runs(next);
  returns();
  (void)proxy.asks(Type::route, {"80", "90"}, tables);
  (void)proxy.asks(Type::virtual_host, {}, all);
  EXPECT_EQ(proxy.settles(), "RDS 90=2");
}

TEST_F(TablesAgain, HostsOfATableThatIsGoneStayWhileTheProxyHasIt) {
  auto next = two_tables;
  next.routes = {"80"};
  next.hosts = {"80/a=1", "80/z=1"};
  (void)proxy.runs(next);
  returns();
  (void)proxy.asks(Type::route, {"80", "90"}, tables);
  (void)proxy.asks(Type::virtual_host, {}, all);
  proxy.settles();
  EXPECT_EQ(proxy.status(Type::virtual_host).sent, 0u);
  (void)proxy.drops(Type::route, {"90"});
  EXPECT_EQ(proxy.settles(), "VHDS -90/a -90/z");
}

TEST_F(TablesAgain, HostsWithoutATableAreRemoved) {
  (void)proxy.runs(two_tables);
  returns();
  (void)proxy.asks(Type::route, {"80"}, {{"80", empty}});
  (void)proxy.asks(Type::virtual_host, {}, all);
  EXPECT_EQ(proxy.settles(), "VHDS -90/a -90/z");
}

TEST_F(TablesAgain, WhoNeverAsksForTablesIsNotWaitedForLong) {
  (void)proxy.runs(two_tables);
  (void)proxy.asks(Type::virtual_host, {}, {{"80/a", one}});
  EXPECT_EQ(proxy.settles(), "");
  proxy.clock.advance(Limits{}.return_max);
  EXPECT_EQ(proxy.settles(), "VHDS -80/a");
}

TEST_F(TablesAgain, ClustersAreNotRemovedBeforeTheHostsOfAProxyThatReturnsAreHeard) {
  auto next = two_tables;
  next.clusters = {};
  (void)proxy.runs(next);
  returns();
  (void)proxy.asks(Type::route, {"80", "90"}, tables);
  EXPECT_EQ(proxy.settles(), "");
  (void)proxy.asks(Type::virtual_host, {}, {{"80/a", version_of_body("a")}});
  EXPECT_EQ(proxy.hears(), "VHDS 80/a=1 80/z=1 90/a=1 90/z=1");
  (void)proxy.acks(Type::virtual_host);
  EXPECT_EQ(proxy.hears(), "CDS -a");
}

TEST_F(Tables, RefusedHostIsFoundAndTheOthersAreSent) {
  start();
  auto next = two_tables;
  next.hosts = {"80/a=bad", "80/z=2", "90/a=2", "90/z=1"};
  (void)proxy.runs(next);
  EXPECT_EQ(proxy.hears(), "VHDS 80/a=bad 80/z=2 90/a=2");
  (void)proxy.nacks(Type::virtual_host, "no such regex");
  for (auto said = proxy.hears(); !said.empty(); said = proxy.hears()) {
    if (said.find("bad") == std::string::npos)
      (void)proxy.acks(Type::virtual_host);
    else
      (void)proxy.nacks(Type::virtual_host, "no such regex");
  }
  EXPECT_EQ(hosts(), "80/a=1 80/z=2 90/a=2 90/z=1");
  const auto refusals = proxy.session().refusals();
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_EQ(refusals[0].type, Type::virtual_host);
  EXPECT_EQ(refusals[0].resource, "80/a");
  EXPECT_EQ(refusals[0].origins, Texts{"Object 80/a"});
  EXPECT_EQ(proxy.status(Type::virtual_host).state, TypeStatus::State::refused);
}

TEST_F(Tables, ProxyWithoutThemIsNotWaitedForAndOneThatAsksIsToldThatThereAreNone) {
  (void)proxy.runs({.clusters = {"a"}, .routes = {"80"}, .snapshot = 1});
  proxy.starts({}, {"80"});
  EXPECT_TRUE(proxy.session().in_step());
  EXPECT_EQ(proxy.session().snapshot(), 1u);
  (void)proxy.asks(Type::virtual_host);
  EXPECT_EQ(proxy.settles(), "VHDS");
}

TEST(TablesOfTheWorld, AreWholeAndWhoAsksForHostsIsToldThatThereAreNone) {
  FakeProxy proxy(FakeProxy::sotw);
  (void)proxy.runs({.routes = {"80"}});
  (void)proxy.asks(Type::virtual_host, {"80/a"});
  EXPECT_EQ(proxy.settles(), "VHDS");
  EXPECT_EQ(proxy.session().ignored(), 1u);
}

}  // namespace
}  // namespace graymesh::xds
