// The loop: gathers what changed, builds the next Snapshot, makes the next Generation of
// translations, and says once that there is news.
//
// It has a thread of its own. A lone change is taken at once; what comes while one is being built
// is folded into the next, so 700 changes do not become 700 pushes.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "base/published.h"
#include "control/resource/node.h"
#include "control/resource/resource.h"
#include "control/snapshot/snapshot.h"
#include "control/source/source.h"
#include "control/translate/translate.h"
#include "control/xds/xds.h"
#include "metrics/metrics.h"

namespace graymesh::push {

// What is served right now, and what it was made from. Immutable.
struct State {
  source::ObjectsPtr objects;
  snapshot::SnapshotPtr snapshot;
  std::shared_ptr<const translate::Generation> generation;
  Clock::Wall built{};
  Clock::Steady since{};  // when the first change that is in it was seen
};
using StatePtr = std::shared_ptr<const State>;

class Loop final : public xds::ConfigSource {
 public:
  // `metrics` and `clock` outlive the loop.
  Loop(std::shared_ptr<const model::MeshConfig> mesh, metrics::Registry& metrics,
       const Clock& clock);
  ~Loop() override;  // stop()

  // Finishes what it builds, tells of it, and ends its thread: nobody is told afterwards, so that
  // those who are told may go. What it built is still served.
  void stop();

  // Called on the loop's thread after each new State; set before the first changed().
  void on_publish(std::function<void()> tell) { tell_ = std::move(tell); }

  // Takes the newest objects; returns at once. Any thread, and in any order: what is older than
  // what came before is passed by.
  void changed(source::ObjectsPtr objects);

  // Null until the first objects are built.
  StatePtr state() const { return state_->get(); }

  // From the newest State's Generation; null before the first.
  resource::ConfigPtr config_for(const resource::Node& node);
  resource::ConfigPtr config_for(const resource::Node& node, std::shared_ptr<void>& kept) override;
  resource::ConfigPtr config_at_hand(const resource::Node& node,
                                     std::shared_ptr<void>& kept) override;

 private:
  void run();
  void build(source::ObjectsPtr objects, Clock::Steady since, const State* before);

  std::shared_ptr<const model::MeshConfig> mesh_;
  metrics::Registry& metrics_;
  const Clock& clock_;
  std::function<void()> tell_;
  const std::shared_ptr<Published<State>> state_ = std::make_shared<Published<State>>();

  std::mutex mutex_;
  std::condition_variable wake_;
  source::ObjectsPtr waiting_;  // newest that is not built yet
  Clock::Steady since_{};       // of all that are not
  std::uint64_t newest_ = 0;    // its number
  bool stop_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace graymesh::push
