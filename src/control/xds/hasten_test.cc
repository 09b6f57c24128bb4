// An endpoint that changes doesn't wait for a push of thousands to get through.
#include <gtest/gtest.h>

#include "control/xds/fake_proxy.h"

namespace graymesh::xds {
namespace {

using resource::Type;

constexpr std::size_t mesh = 3360;

// n0=BODY, n1=BODY, ..., and n7 as the test says.
Texts but_n7(const std::string& body, const std::string& n7) {
  Texts texts = many(mesh, body);
  texts[7] = "n7=" + n7;
  return texts;
}

// A delta Envoy of 3,360 clusters, all of which change at once: chunks of 200 of clusters and of
// endpoints are in the air, and more wait.
class Hasten : public testing::Test {
 public:
  Hasten() {
    (void)proxy.runs({.clusters = many(mesh, "1"), .endpoints = many(mesh, "1")});
    proxy.starts(many(mesh));
    (void)proxy.runs({.clusters = many(mesh, "2"), .endpoints = many(mesh, "2")});
    proxy.hears();
  }
  void change(const std::string& n7) {
    (void)proxy.runs({.clusters = many(mesh, "2"), .endpoints = but_n7("2", n7)});
  }
  std::string held(const std::string& name) const {
    const auto acked = proxy.session().acked();
    const auto* found = acked->find(Type::endpoints, name);
    return found ? std::string((*found)->body()) : "nothing";
  }

  FakeProxy proxy{FakeProxy::delta};
};

TEST_F(Hasten, EndpointsThatChangeAreInTheNextResponse) {
  change("new");
  EXPECT_EQ(proxy.hears(), "") << "one of a type is in the air";
  (void)proxy.acks(Type::endpoints);
  const std::string next = proxy.hears() + " ";
  EXPECT_TRUE(next.starts_with("EDS ")) << next.substr(0, 100);
  EXPECT_NE(next.find(" n7=new "), std::string::npos);
}

TEST_F(Hasten, TheyGoBeforeTheNextChunkOfClusters) {
  (void)proxy.acks(Type::cluster);
  (void)proxy.acks(Type::endpoints);
  change("new");
  const std::string next = proxy.hears();
  EXPECT_TRUE(next.starts_with("EDS ")) << next.substr(0, 100);
  EXPECT_NE(next.substr(0, next.find('|')).find(" n7=new "), std::string::npos);
}

TEST_F(Hasten, ThePushEndsAsIfNothingHadBeen) {
  change("a");
  (void)proxy.acks(Type::endpoints);
  proxy.hears();
  change("new");
  proxy.settles();
  EXPECT_EQ(held("n7"), "new");
  EXPECT_EQ(held("n8"), "2");
  for (const Type type : {Type::cluster, Type::endpoints})
    EXPECT_EQ(proxy.status(type).state, TypeStatus::State::synced);
  EXPECT_EQ(proxy.settles(), "");
}

TEST_F(Hasten, RefusedItIsNotSentAgainAndThePushGoesOn) {
  change("bad");
  (void)proxy.acks(Type::endpoints);
  proxy.hears();
  (void)proxy.nacks(Type::endpoints, "n7: no");
  const std::string rest = proxy.settles();
  EXPECT_EQ(rest.find("n7=bad"), std::string::npos);
  ASSERT_EQ(proxy.session().refusals().size(), 1u);
  EXPECT_EQ(proxy.session().refusals()[0].resource, "n7");
  EXPECT_EQ(held("n8"), "2");
}

TEST_F(Hasten, ManyAtOnceAreAPushOfTheirOwn) {
  Texts endpoints = many(mesh, "2");
  for (std::size_t i = 0; i < 100; ++i) endpoints[i] = "n" + std::to_string(i) + "=3";
  (void)proxy.runs({.clusters = many(mesh, "2"), .endpoints = endpoints});
  EXPECT_FALSE(proxy.session().channel(Type::endpoints).hastens());
  proxy.settles();
  EXPECT_EQ(held("n99"), "3");
}

TEST_F(Hasten, EndpointsThatClustersInTheAirWaitForNeedNoTurn) {
  for (const auto protocol : {FakeProxy::delta, FakeProxy::sotw}) {
    FakeProxy cold(protocol);
    (void)cold.runs({.clusters = {"a"}, .endpoints = {"a"}});
    (void)cold.asks(Type::endpoints, {"a"});
    EXPECT_FALSE(cold.session().next(cold.now(), false)) << "nobody waits for it";
    (void)cold.asks(Type::cluster);
    EXPECT_FALSE(cold.session().next(cold.now(), false));
    ASSERT_TRUE(cold.session().next(cold.now(), true));
    const auto response = cold.session().next(cold.now(), false);
    ASSERT_TRUE(response);
    EXPECT_EQ(response->type_url, type_url(Type::endpoints));
    EXPECT_FALSE(cold.session().next(cold.now(), false));
  }
}

// Each is a lock that all streams share.
TEST_F(Hasten, ATurnIsAskedForOnlyWhereThereIsSomethingToPush) {
  proxy.settles();
  int asked = 0;
  const auto next = [&] {
    return proxy.session().next(proxy.now(), [&] { return ++asked > 0; }).has_value();
  };
  EXPECT_FALSE(next());
  EXPECT_EQ(asked, 0);
  change("new");
  EXPECT_TRUE(next());
  EXPECT_EQ(asked, 1);
  EXPECT_FALSE(next()) << "it is written";
  const auto nonce = proxy.session().channel(Type::endpoints).flight()->nonce;
  (void)proxy.answers(Type::endpoints, std::string(nonce), std::nullopt);
  EXPECT_FALSE(next()) << "and ACKed";
  EXPECT_EQ(asked, 1);
  EXPECT_TRUE(proxy.session().in_step());
}

TEST_F(Hasten, AloneAndWithoutATurnItIsHastenedAllTheSame) {
  proxy.settles();
  change("a");  // nobody asks for a response: one is still being written
  change("new");
  const auto response = proxy.session().next(proxy.now(), false);
  ASSERT_TRUE(response);
  ASSERT_EQ(response->resources.size(), 1u);
  EXPECT_EQ((*response->resources[0])->body(), "new");
}

// There is no budget left for a push.
TEST_F(Hasten, EndpointsNeedNoTurn) {
  proxy.settles();
  (void)proxy.runs({.clusters = many(mesh, "3"), .endpoints = but_n7("2", "new")});
  const auto response = proxy.session().next(proxy.now(), false);
  ASSERT_TRUE(response);
  ASSERT_EQ(response->resources.size(), 1u);
  EXPECT_EQ((*response->resources[0])->body(), "new");
  EXPECT_FALSE(proxy.session().next(proxy.now(), false)) << "clusters wait";
}

}  // namespace
}  // namespace graymesh::xds
