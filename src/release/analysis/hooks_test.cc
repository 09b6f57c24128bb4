#include "release/analysis/hooks.h"

#include <fmt/core.h>
#include <gmock/gmock.h>

#include <map>
#include <set>

namespace graymesh::release {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using Verdict = Judge::Verdict;

// Hooks whose names begin with "dead" hang until the test is over; the others answer at once.
class HooksTest : public ::testing::Test {
 protected:
  ~HooksTest() override { let_go(); }

  Hooks::Answer ask(const std::string& url, const std::string& body) {
    std::unique_lock lock(mutex_);
    ++asked_[url];
    bodies_.insert(body);
    changed_.notify_all();
    if (url.find("dead") == std::string::npos)
      return {.word = {Verdict::healthy, fmt::format("answer {}", asked_[url])}, .came = true};
    changed_.wait(lock, [&] { return over_; });
    ++given_up_;
    return {.word = {Verdict::not_yet, "no answer"}, .came = false};
  }

  void let_go() {
    {
      std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
  }

  Judge::Word word(std::uint64_t id, const std::string& url) {
    Release release;
    release.id = id;
    release.name = {"fe-pre", "web"};
    release.spec.tag = "v2";
    model::GrayStep step;
    step.hook = url;
    step.weight = 10;
    return hooks_.word(release, step);
  }

  // Asks for its word until it was asked so often; 10 s is for machines under load.
  bool asked(std::uint64_t id, const std::string& url, int times) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (std::chrono::steady_clock::now() < end) {
      (void)word(id, url);  // makes it ask
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, 1ms, [&] { return asked_[url] >= times; })) return true;
    }
    return false;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, int> asked_;
  std::set<std::string> bodies_;
  bool over_ = false;
  int given_up_ = 0;
  std::function<void()> heard_ = [] {};
  Hooks hooks_{[this](const auto& url, const auto& body) { return ask(url, body); },
               [this] { heard_(); },
               {.every = 1ms, .at_once_max = 4}};
};

TEST_F(HooksTest, OneThatHangsHoldsUpNobodyElse) {
  ASSERT_TRUE(asked(1, "http://dead/", 1));
  EXPECT_TRUE(asked(2, "http://alive/", 2));
  EXPECT_EQ(word(2, "http://alive/").verdict, Verdict::healthy);
  EXPECT_EQ(word(1, "http://dead/").why, "") << "it is still asked";
  std::lock_guard lock(mutex_);
  EXPECT_EQ(given_up_, 0);
}

TEST_F(HooksTest, ManyThatHangLeaveRoomForThoseThatAnswer) {
  ASSERT_TRUE(asked(1, "http://alive/", 1));
  for (std::uint64_t id = 2; id < 12; ++id) (void)word(id, fmt::format("http://dead-{}/", id));
  EXPECT_TRUE(asked(1, "http://alive/", 20));
  std::lock_guard lock(mutex_);
  EXPECT_EQ(given_up_, 0);
  EXPECT_LE(asked_.size(), 3u) << "of four at once two may hang";
}

TEST_F(HooksTest, TellsTheHookWhatItJudges) {
  ASSERT_TRUE(asked(7, "http://alive/", 1));
  std::lock_guard lock(mutex_);
  EXPECT_THAT(*bodies_.begin(),
              HasSubstr(R"("namespace":"fe-pre","release":7,"step":1,"tag":"v2")"));
}

TEST_F(HooksTest, EndsWithWhatWasHeard) {
  ASSERT_TRUE(asked(1, "http://dead/", 1));
  let_go();
  ASSERT_TRUE(asked(1, "http://dead/", 2)) << "asked again";
  EXPECT_EQ(word(1, "http://dead/").why, "no answer");
}

}  // namespace
}  // namespace graymesh::release
