// Restart, drain and end of an Envoy, told in fake time.
#include "sidecar/lifecycle.h"

#include <gtest/gtest.h>

namespace graymesh::sidecar {
namespace {

using Action = Lifecycle::Action;
using State = Lifecycle::State;
using namespace std::chrono_literals;

class Lifecycles : public testing::Test {
 protected:
  void run() {
    ASSERT_EQ(life_.next(), Action::start);
    life_.started();
    ASSERT_EQ(life_.next(), Action::none);
  }
  void drain() {
    life_.signalled();
    ASSERT_EQ(life_.next(), Action::drain);
    ASSERT_EQ(life_.next(), Action::none);
  }

  FakeClock clock_;
  Lifecycle life_{clock_, {.drain_duration = 5s, .drain_min = 1s, .kill_after = 3s}, 7};
};

TEST_F(Lifecycles, ACrashIsFollowedByARestartAfterAPause) {
  run();
  life_.exited(true);
  EXPECT_EQ(life_.next(), Action::none);
  EXPECT_GE(life_.backoff(), Lifecycle::backoff_base / 2);
  EXPECT_LE(life_.backoff(), Lifecycle::backoff_base);
  clock_.advance(life_.backoff());
  EXPECT_EQ(life_.next(), Action::start);
  EXPECT_EQ(life_.restarts(), 1);
}

TEST_F(Lifecycles, PausesGrowToABoundAndShrinkAfterCalm) {
  run();
  for (int i = 0; i < 20; ++i) {
    life_.exited(true);
    clock_.advance(Lifecycle::backoff_max);
    run();
  }
  EXPECT_GE(life_.backoff(), Lifecycle::backoff_max / 2);
  EXPECT_LE(life_.backoff(), Lifecycle::backoff_max);
  clock_.advance(Lifecycle::calm);
  life_.exited(true);
  EXPECT_LE(life_.backoff(), Lifecycle::backoff_base);
}

TEST_F(Lifecycles, AnEnvoyThatNeverStartsIsGivenUp) {
  for (int i = 0; i < Lifecycle::starts_max; ++i) {
    clock_.advance(Lifecycle::backoff_max);
    run();
    life_.exited(false);
  }
  EXPECT_EQ(life_.next(), Action::finish);
  EXPECT_EQ(life_.outcome(), Outcome::would_not_start);
}

TEST_F(Lifecycles, AnEnvoyThatOnceWorkedIsNeverGivenUp) {
  run();
  life_.exited(true);
  for (int i = 0; i < 50; ++i) {
    clock_.advance(Lifecycle::backoff_max);
    run();
    life_.exited(false);
  }
  EXPECT_EQ(life_.state(), State::resting);
}

TEST_F(Lifecycles, DrainsThenQuits) {
  run();
  drain();
  life_.connections(4);
  clock_.advance(4999ms);
  EXPECT_EQ(life_.next(), Action::none);
  clock_.advance(1ms);
  EXPECT_EQ(life_.next(), Action::quit);
  EXPECT_EQ(life_.next(), Action::none);
  life_.exited(true);
  EXPECT_EQ(life_.next(), Action::finish);
  EXPECT_EQ(life_.next(), Action::none);
  EXPECT_EQ(life_.outcome(), Outcome::stopped);
}

TEST_F(Lifecycles, WithoutConnectionsItWaitsOnlyForLateOnes) {
  run();
  drain();
  life_.connections(0);
  EXPECT_EQ(life_.next(), Action::none);
  clock_.advance(999ms);
  EXPECT_EQ(life_.next(), Action::none);
  life_.connections(1);  // a late one
  clock_.advance(2s);
  EXPECT_EQ(life_.next(), Action::none);
  life_.connections(0);
  EXPECT_EQ(life_.next(), Action::quit);
}

TEST_F(Lifecycles, OneThatDoesNotQuitIsKilled) {
  run();
  drain();
  clock_.advance(5s);
  EXPECT_EQ(life_.next(), Action::quit);
  clock_.advance(3s);
  EXPECT_EQ(life_.next(), Action::kill);
  EXPECT_EQ(life_.next(), Action::none);
  life_.exited(true);
  EXPECT_EQ(life_.next(), Action::finish);
  EXPECT_EQ(life_.outcome(), Outcome::killed);
}

TEST_F(Lifecycles, EverySignalHastens) {
  run();
  drain();
  life_.signalled();
  EXPECT_EQ(life_.next(), Action::quit);
  life_.signalled();
  EXPECT_EQ(life_.next(), Action::kill);
  life_.signalled();
  EXPECT_EQ(life_.next(), Action::none);
}

TEST_F(Lifecycles, ACrashWhileDrainingIsTheEnd) {
  run();
  drain();
  life_.exited(true);
  EXPECT_EQ(life_.next(), Action::finish);
  EXPECT_EQ(life_.outcome(), Outcome::stopped);
}

TEST_F(Lifecycles, ASignalBetweenRestartsEndsItAtOnce) {
  run();
  life_.exited(true);
  life_.signalled();
  EXPECT_EQ(life_.next(), Action::finish);
}

}  // namespace
}  // namespace graymesh::sidecar
