// A refused resource is kept, named and not sent again; everything else goes on.
#include <gtest/gtest.h>

#include "control/xds/fake_proxy.h"
#include "control/xds/refusal.h"

namespace graymesh::xds {
namespace {

using resource::Type;
using State = TypeStatus::State;

class Nack : public testing::TestWithParam<FakeProxy::Protocol> {
 public:
  Nack() : proxy(GetParam()) {}
  bool delta() const { return GetParam() == FakeProxy::delta; }

  FakeProxy proxy;
};

INSTANTIATE_TEST_SUITE_P(Both, Nack, testing::Values(FakeProxy::delta, FakeProxy::sotw),
                         [](const auto& protocol) {
                           return protocol.param == FakeProxy::delta ? "Delta" : "Sotw";
                         });

TEST_P(Nack, NamedResourceIsRefusedAndTheOthersOfTheResponseAreApplied) {
  (void)proxy.runs({.clusters = {"a=1", "b=1", "c=1"}});
  (void)proxy.asks(Type::cluster);
  proxy.settles();
  (void)proxy.runs({.clusters = {"a=2", "b=bad", "c=1"}});
  proxy.hears();
  (void)proxy.nacks(Type::cluster, "Error adding/updating cluster(s) b: no such thing");
  EXPECT_EQ(proxy.settles(), "") << "a refused version is not sent again";
  EXPECT_EQ(proxy.holds(Type::cluster), "a=2 b=1 c=1");

  const auto refusals = proxy.session().refusals();
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_EQ(refusals[0].resource, "b");
  EXPECT_EQ(refusals[0].error, "Error adding/updating cluster(s) b: no such thing");
  EXPECT_EQ(refusals[0].origins, Texts{"Object b"});
  EXPECT_EQ(refusals[0].at, proxy.clock.wall());
  EXPECT_EQ(proxy.status(Type::cluster).state, State::refused);
  EXPECT_EQ(proxy.status(Type::cluster).nacked, 1u);
}

TEST_P(Nack, LaterPushesGoOnWithoutTheRefusedVersion) {
  (void)proxy.runs({.clusters = {"a=1", "b=1"}});
  (void)proxy.asks(Type::cluster);
  proxy.settles();
  (void)proxy.runs({.clusters = {"a=1", "b=bad"}});
  proxy.hears();
  (void)proxy.nacks(Type::cluster, "no");
  (void)proxy.runs({.clusters = {"a=2", "b=bad"}});
  EXPECT_EQ(proxy.settles(), delta() ? "CDS a=2" : "CDS a=2 b=1");
  EXPECT_EQ(proxy.status(Type::cluster).state, State::refused);
  (void)proxy.runs({.clusters = {"a=2", "b=3"}});
  EXPECT_EQ(proxy.settles(), delta() ? "CDS b=3" : "CDS a=2 b=3");
  EXPECT_EQ(proxy.status(Type::cluster).state, State::synced);
  EXPECT_TRUE(proxy.session().refusals().empty());
}

TEST_P(Nack, ReturnToWhatTheProxyHoldsEndsTheRefusalWithoutASend) {
  (void)proxy.runs({.routes = {"r=1"}});
  (void)proxy.asks(Type::route, {"r"});
  proxy.settles();
  (void)proxy.runs({.routes = {"r=bad"}});
  proxy.hears();
  (void)proxy.nacks(Type::route, "no");
  (void)proxy.runs({.routes = {"r=1"}});
  EXPECT_EQ(proxy.settles(), "");
  EXPECT_EQ(proxy.holds(Type::route), "r=1");
  EXPECT_EQ(proxy.status(Type::route).state, State::synced);
}

TEST_P(Nack, RefusedAdditionHoldsNoRoutesBack) {
  (void)proxy.runs({.clusters = {"a"}, .endpoints = {"a"}, .listeners = {"l"}, .routes = {"r=a"}});
  proxy.starts({"a"}, {"r"});
  (void)proxy.runs(
      {.clusters = {"a", "bad"}, .endpoints = {"a", "bad"}, .listeners = {"l"}, .routes = {"r=2"}});
  proxy.hears();
  (void)proxy.acks(Type::endpoints);
  (void)proxy.nacks(Type::cluster, "Error adding/updating cluster(s) bad: no");
  EXPECT_EQ(proxy.hears(), "RDS r=2");
  EXPECT_EQ(proxy.holds(Type::cluster), "a");
}

TEST_P(Nack, UnnamedCulpritIsFoundByHalves) {
  Texts texts = many(16, "1");
  (void)proxy.runs({.routes = texts});
  (void)proxy.asks(Type::route, many(16));
  std::size_t refused = 0, responses = 0;
  // A proxy that refuses a response whole if n5 is in it, and doesn't say why.
  for (std::string heard = proxy.hears(); !heard.empty() && responses < 100;
       heard = proxy.hears(), ++responses) {
    const bool bad = heard.find("n5=") != std::string::npos;
    (void)(bad ? proxy.nacks(Type::route, "malformed") : proxy.acks(Type::route));
    refused += bad;
  }
  ASSERT_EQ(proxy.session().refusals().size(), 1u);
  EXPECT_EQ(proxy.session().refusals()[0].resource, "n5");
  EXPECT_EQ(proxy.status(Type::route).resources, 15u);
  EXPECT_LE(refused, 5u);
  EXPECT_LE(responses, 9u);
  (void)proxy.runs({.routes = [&] {
    texts[0] = "n0=2";
    return texts;
  }()});
  EXPECT_EQ(proxy.settles(), "RDS n0=2");
}

TEST_P(Nack, UnnamedClusterIsFoundByHalvesTooWhileTheOthersStay) {
  (void)proxy.runs({.clusters = {"a=1", "b=1", "c=1", "d=1"}});
  (void)proxy.asks(Type::cluster);
  proxy.settles();
  (void)proxy.runs({.clusters = {"a=2", "b=2", "c=bad", "d=2"}});
  for (std::string heard = proxy.hears(); !heard.empty(); heard = proxy.hears()) {
    (void)(heard.find("bad") != std::string::npos ? proxy.nacks(Type::cluster, "?")
                                                  : proxy.acks(Type::cluster));
  }
  EXPECT_EQ(proxy.holds(Type::cluster), "a=2 b=2 c=1 d=2");
  ASSERT_EQ(proxy.session().refusals().size(), 1u);
  EXPECT_EQ(proxy.session().refusals()[0].resource, "c");
}

TEST_P(Nack, ProxyThatRefusesEverythingIsLeftAloneAfterABoundedSearch) {
  (void)proxy.runs({.routes = many(200)});
  (void)proxy.asks(Type::route, many(200));
  std::size_t responses = 0;
  while (!proxy.hears().empty() && responses < 1000) {
    ++responses;
    (void)proxy.nacks(Type::route, "no");
  }
  EXPECT_LE(responses, 130u);
  EXPECT_EQ(proxy.status(Type::route).resources, 0u);
  EXPECT_EQ(proxy.session().refusals().size(), 200u);
  (void)proxy.runs({.routes = many(200, "2")});
  EXPECT_NE(proxy.hears(), "");
}

TEST_P(Nack, RemovedResourceIsNoLongerRefused) {
  (void)proxy.runs({.listeners = {"l", "bad"}});
  (void)proxy.asks(Type::listener);
  proxy.hears();
  (void)proxy.nacks(Type::listener, "Error adding/updating listener(s) bad: cannot bind");
  EXPECT_EQ(proxy.status(Type::listener).state, State::refused);
  (void)proxy.runs({.listeners = {"l"}});
  proxy.settles();
  EXPECT_EQ(proxy.status(Type::listener).state, State::synced);
  EXPECT_EQ(proxy.holds(Type::listener), "l");
}

TEST_P(Nack, LongWordsAreCut) {
  (void)proxy.runs({.clusters = {"a"}});
  (void)proxy.asks(Type::cluster);
  proxy.hears();
  (void)proxy.nacks(Type::cluster, std::string(1'000'000, 'x'));
  EXPECT_EQ(proxy.session().refusals().at(0).error.size(), 4096u);
}

TEST(Refusal, NamesAreRecognisedWhereAColonFollows) {
  const std::vector<std::string_view> names = {"80", "outbound|80||a.b", "outbound|80||a", "x"};
  const auto found = [&](std::string_view error) { return named_in(error, names); };
  using Positions = std::vector<std::size_t>;
  EXPECT_EQ(found("Error adding/updating cluster(s) outbound|80||a.b: no, x: neither"),
            (Positions{1, 3}));
  EXPECT_EQ(found("cannot bind 127.0.0.1:80: in use"), (Positions{}))
      << "80 is part of another word";
  EXPECT_EQ(found("outbound|80||a is bad"), (Positions{}));
  EXPECT_EQ(found("x: no"), (Positions{3}));
}

}  // namespace
}  // namespace graymesh::xds
