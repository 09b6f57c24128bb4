// When a proxy may be sent traffic, and above all that a busy one still may.
#include "sidecar/readiness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graymesh::sidecar {
namespace {

using Answer = Readiness::Answer;
using State = Readiness::State;
using testing::HasSubstr;
using namespace std::chrono_literals;

class ReadinessStates : public testing::Test {
 protected:
  void make_ready() {
    readiness_.started();
    readiness_.answered(Answer::live);
    readiness_.configured(true);
  }

  FakeClock clock_;
  Readiness readiness_{clock_};
};

TEST_F(ReadinessStates, AnEnvoyWithoutConfigurationIsNotReady) {
  EXPECT_THAT(readiness_.text(), HasSubstr("not running"));
  readiness_.started();
  EXPECT_THAT(readiness_.text(), HasSubstr("no answer"));
  readiness_.answered(Answer::not_live);
  EXPECT_THAT(readiness_.text(), HasSubstr("waits for its configuration"));
  readiness_.answered(Answer::live);
  EXPECT_FALSE(readiness_.ready()) << "live, but it may have refused all it was sent";
  EXPECT_TRUE(readiness_.wants_configured());
  readiness_.configured(false);
  EXPECT_FALSE(readiness_.ready());
  readiness_.configured(true);
  EXPECT_TRUE(readiness_.ready());
  EXPECT_FALSE(readiness_.wants_configured());
}

TEST_F(ReadinessStates, AStalledMainThreadDoesNotMakeItUnready) {
  make_ready();
  for (int i = 0; i < 60; ++i) {
    readiness_.answered(Answer::none);
    clock_.advance(1s);
    EXPECT_TRUE(readiness_.ready());
  }
  EXPECT_THAT(readiness_.text(), HasSubstr("silent for 60.0 s"));
  readiness_.answered(Answer::live);
  EXPECT_EQ(readiness_.text(), "ready");
}

TEST_F(ReadinessStates, ItsOwnWordThatItIsNotLiveDoes) {
  make_ready();
  readiness_.answered(Answer::not_live);
  EXPECT_EQ(readiness_.state(), State::not_live);
  readiness_.answered(Answer::none);
  EXPECT_EQ(readiness_.state(), State::not_live) << "silence brings it no nearer";
  readiness_.answered(Answer::live);
  EXPECT_TRUE(readiness_.ready());
}

TEST_F(ReadinessStates, ARestartedProcessStartsFromNothing) {
  make_ready();
  readiness_.exited();
  EXPECT_FALSE(readiness_.ready());
  readiness_.answered(Answer::live);
  EXPECT_FALSE(readiness_.ready()) << "a late answer of the one that is gone";
  readiness_.started();
  EXPECT_FALSE(readiness_.was_live());
  readiness_.answered(Answer::live);
  EXPECT_FALSE(readiness_.ready()) << "it holds no configuration any more";
  readiness_.configured(true);
  EXPECT_TRUE(readiness_.ready());
}

TEST_F(ReadinessStates, DrainingIsForGood) {
  make_ready();
  readiness_.drain();
  readiness_.answered(Answer::live);
  readiness_.configured(true);
  readiness_.exited();
  EXPECT_EQ(readiness_.state(), State::draining);
}

TEST(EnvoysAnswers, AreReadAsItWritesThem) {
  EXPECT_EQ(read_ready(200, "LIVE\n"), Answer::live);
  EXPECT_EQ(read_ready(503, "PRE_INITIALIZING\n"), Answer::not_live);
  EXPECT_EQ(read_ready(503, "DRAINING\n"), Answer::not_live);
  EXPECT_EQ(read_ready(503, "no such page"), Answer::none);
  EXPECT_EQ(read_ready(0, ""), Answer::none);
}

TEST(EnvoysAnswers, BothClustersAndListenersMustHaveBeenAccepted) {
  EXPECT_TRUE(read_configured(
      "cluster_manager.cds.update_success: 2\nlistener_manager.lds.update_success: 1\n"));
  EXPECT_FALSE(read_configured(
      "cluster_manager.cds.update_success: 2\nlistener_manager.lds.update_success: 0\n"));
  EXPECT_FALSE(read_configured(""));
}

TEST(EnvoysAnswers, ConnectionsOfClientsAreCountedOnce) {
  EXPECT_EQ(read_connections("http.inbound.downstream_cx_active: 9\n"
                             "listener.127.1.2.3_8080.downstream_cx_active: 2\n"
                             "listener.127.1.2.3_8080.worker_0.downstream_cx_active: 2\n"
                             "listener.127.1.2.3_15001.downstream_cx_active: 1\n"
                             "listener.127.1.2.3_15090.downstream_cx_active: 5\n"
                             "listener.admin.downstream_cx_active: 1\n"
                             "listener.odd.downstream_cx_active: many\n",
                             15090),
            3U);
}

}  // namespace
}  // namespace graymesh::sidecar
