// Runs the analyses of releases: asks every few seconds what both versions of each application were
// asked and answered, gives that to release/verdict, keeps the evidence in the store, and has a
// word for the engine. Killed at any instruction it goes on with the evidence that was kept; what
// was counted since the last look is lost, which costs time and never a wrong word.
//
//   engine's view ─> Analyst ─> MetricsQuery ─┬─> Figures (of proxies, as graymeshd gathers them)
//                       │                     └─> Prometheus
//                       └─> State, in the store ─> Word
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "live/live.h"
#include "model/analysis.h"
#include "release/engine/engine.h"
#include "release/plan/plan.h"
#include "release/store/store.h"
#include "release/verdict/verdict.h"

namespace graymesh::release {

// Whose requests are counted.
struct Target {
  std::uint64_t release = 0;
  Name application = {};
  std::string tag = {};                     // its subset; the other is `baseline`
  std::string version = {}, baseline = {};  // of their artefacts
  model::Analysis analysis = {};
  std::size_t step = 0;  // what was counted in another one is not of this one
};

// Where counts come from.
class MetricsQuery {
 public:
  virtual ~MetricsQuery() = default;
  // What was counted since this was asked last, of both versions over the same time. None: nothing
  // that counts yet, as the first time. An error, in words, is no evidence either. May take
  // seconds.
  virtual Result<std::optional<verdict::Sample>> counts(const Target& target) = 0;
  // Only these releases are asked for from now on.
  virtual void keep(const std::set<std::uint64_t>& releases) = 0;
};

// What callers' proxies count, for as long as it is asked for. Any thread; does not wait.
class Figures {
 public:
  virtual ~Figures() = default;
  virtual live::Tally of(const Name& application) = 0;
  virtual void keep(const std::set<Name>& applications) = 0;  // the others are asked for no more
};

// Success and latency of both versions, by the proxies that call them.
std::unique_ptr<MetricsQuery> proxy_metrics(Figures& figures);

// The body of a 200 within a second or so; an error names the address.
using Fetch = std::function<Result<std::string>(const std::string& url)>;

// The queries of an analysis, or success and latency where it has none, each over its window, or
// over its interval if that is longer.
std::unique_ptr<MetricsQuery> prometheus_metrics(Fetch fetch, const Clock& clock);

class Analyst {
 public:
  struct Parts {
    Store& store;
    MetricsQuery& proxies;
    MetricsQuery& prometheus;
    const Clock& clock;
    std::function<ViewPtr()> view;  // null before there is one
    std::function<void()> heard;    // a word may be another
  };
  // Reads the evidence that was kept; what cannot be read is begun anew, and said so.
  static Result<std::unique_ptr<Analyst>> open(Parts parts);
  ~Analyst() { stop(); }

  // What the engine shall do with the step that `release` is in: back, on, or wait. Any thread;
  // does not wait.
  Judge::Word word(const Release& release) const;
  // One look at all releases whose time has come; returns when the next one is due.
  Clock::Wall look();

  // Calls look() on a thread of its own.
  void start();
  void stop();

 private:
  explicit Analyst(Parts parts) : parts_(std::move(parts)) {}

  struct Watched {
    std::map<std::string, verdict::State> states = {};  // by key_of() below
    // Up to when each has counted.
    std::map<std::string, Clock::Wall> counted = {};
    std::optional<Clock::Wall> looked = {};
  };
  Status load();
  void look_at(const World& world, const Release& release, Clock::Wall now);
  // Returns why there is no evidence; empty if there is.
  std::string observe(const Release& release, const Member& member,
                      const std::string& baseline_version, Clock::Wall now, Clock::Wall& counted,
                      verdict::State& state);
  void forget_others(const World& world);
  bool stopping() const;

  const Parts parts_;
  std::map<std::uint64_t, Watched> watched_;
  std::map<std::uint64_t, std::string> unreadable_;
  mutable std::mutex mutex_;
  struct Said {
    Clock::Wall of{};  // Release::since: of that step and no other
    Judge::Word word = {};
  };
  std::map<std::uint64_t, Said> words_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

inline constexpr std::string_view evidence_prefix = "verdict/";  // of its documents in the store

// What an analysis compares.
std::vector<verdict::Metric> metrics_of(const model::Analysis& analysis);
// One release is wrongly called unhealthy in at most 1 of 200, however often it is looked at: that
// is shared by all that is compared in any of its steps.
verdict::Chances chances_of(const Release& release);

}  // namespace graymesh::release
