// What no good client does costs the stream at most, never the server.
#include <gtest/gtest.h>

#include "control/xds/fake_proxy.h"

namespace graymesh::xds {
namespace {

using resource::Type;

class Hostile : public testing::TestWithParam<FakeProxy::Protocol> {};

INSTANTIATE_TEST_SUITE_P(Both, Hostile, testing::Values(FakeProxy::delta, FakeProxy::sotw),
                         [](const auto& protocol) {
                           return protocol.param == FakeProxy::delta ? "Delta" : "Sotw";
                         });

TEST_P(Hostile, AckOfWhatWasNeverSentIsCountedAndIgnored) {
  FakeProxy proxy(GetParam());
  (void)proxy.runs({.clusters = {"a"}});
  (void)proxy.asks(Type::cluster);
  EXPECT_EQ(proxy.hears(), "CDS a");
  EXPECT_TRUE(proxy.answers(Type::cluster, "made up", std::nullopt));
  EXPECT_TRUE(proxy.answers(Type::cluster, "made up", "refused"));
  EXPECT_EQ(proxy.status(Type::cluster).acked, 0u);
  EXPECT_EQ(proxy.session().channel(Type::cluster).counts().stale, 2u);
  (void)proxy.acks(Type::cluster);
  EXPECT_EQ(proxy.status(Type::cluster).state, TypeStatus::State::synced);
}

TEST_P(Hostile, SecondAckOfOneResponseIsNoAck) {
  FakeProxy proxy(GetParam());
  (void)proxy.runs({.clusters = {"a"}});
  (void)proxy.asks(Type::cluster);
  proxy.hears();
  (void)proxy.acks(Type::cluster);
  (void)proxy.acks(Type::cluster);
  (void)proxy.nacks(Type::cluster, "changed my mind");
  EXPECT_EQ(proxy.status(Type::cluster).acked, 1u);
  EXPECT_TRUE(proxy.session().refusals().empty());
}

TEST_P(Hostile, FirstRequestThatIsAnAckIsASubscription) {
  FakeProxy proxy(GetParam());
  (void)proxy.runs({.clusters = {"a"}});
  EXPECT_TRUE(proxy.answers(Type::cluster, "from another life", std::nullopt));
  EXPECT_EQ(proxy.settles(), "CDS a");
}

TEST_P(Hostile, NamesBeyondTheBoundEndTheStream) {
  FakeProxy proxy(GetParam(), {.names_max = 1000});
  (void)proxy.runs(ConfigText{});
  EXPECT_TRUE(proxy.asks(Type::endpoints, many(1000)));
  const auto more = proxy.asks(Type::endpoints, many(1001, "", "m"));
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, Code::resource_exhausted);
  EXPECT_NE(more.error().message.find("at most 1000"), std::string::npos) << more.error().message;
}

TEST_P(Hostile, RequestsBeforeThereIsAConfigAreBounded) {
  FakeProxy proxy(GetParam());
  int accepted = 0;
  while (accepted < 1000 && proxy.asks(Type::cluster)) ++accepted;
  EXPECT_LE(accepted, 100);
}

TEST_P(Hostile, UnknownTypeIsAnsweredOnceWithNothingAndTheStreamGoesOn) {
  FakeProxy proxy(GetParam());
  (void)proxy.runs({.clusters = {"a"}});
  EXPECT_TRUE(proxy.asks_url("type.googleapis.com/example.Secret", {"s"}));
  EXPECT_EQ(proxy.hears(), std::string("type.googleapis.com/example.Secret") +
                               (GetParam() == FakeProxy::delta ? " -s" : ""));
  EXPECT_EQ(proxy.session().ignored(), 1u);
  for (int i = 0; i < 1000; ++i)
    EXPECT_TRUE(proxy.asks_url("type.googleapis.com/other" + std::to_string(i)));
  EXPECT_LE(std::ranges::count(proxy.hears(), '|'), 10) << "no queue grows";
  (void)proxy.asks(Type::cluster);
  EXPECT_EQ(proxy.settles(), "CDS a");
}

TEST(HostileDelta, NamesThatDontExistAreBoundedInBytes) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs(ConfigText{});
  int accepted = 0;
  while (accepted < 100 &&
         proxy.asks(Type::endpoints, {std::to_string(accepted) + std::string(1u << 20, 'x')}))
    ++accepted;
  EXPECT_LE(accepted, 4);
}

TEST(HostileDelta, AskingForTheSameMissingNameOverAndOverKeepsOneAnswer) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs(ConfigText{});
  for (int i = 0; i < 10'000; ++i) ASSERT_TRUE(proxy.asks(Type::endpoints, {"nobody"}));
  EXPECT_EQ(proxy.settles(), "EDS -nobody");
}

TEST(HostileDelta, ClaimsOfWhatNeverExistedAreRemovedInParts) {
  FakeProxy proxy(FakeProxy::delta, {.chunk_resources_max = 100});
  (void)proxy.runs({.listeners = {"l"}});
  FakeProxy::Held held;
  for (const auto& name : many(1000)) held.emplace_back(name, "");
  EXPECT_TRUE(proxy.asks(Type::listener, {}, std::move(held)));
  int responses = 0;
  while (!proxy.hears().empty()) {
    ++responses;
    (void)proxy.acks(Type::listener);
  }
  EXPECT_EQ(responses, 11);
  EXPECT_EQ(proxy.holds(Type::listener), "l");
}

TEST(HostileDelta, SubscribingAndUnsubscribingTheSameNameInOneRequestSubscribes) {
  FakeProxy proxy(FakeProxy::delta);
  (void)proxy.runs({.endpoints = {"a"}});
  DeltaRequest request;
  request.type_url = type_url(Type::endpoints);
  request.subscribe = {"a", "a"};
  request.unsubscribe = {"a", "never"};
  (void)proxy.session().hear(std::move(request), proxy.now());
  EXPECT_EQ(proxy.settles(), "EDS a");
}

}  // namespace
}  // namespace graymesh::xds
