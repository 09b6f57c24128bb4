// Carries releases out: decides the next step from the World and what is seen (instances, ACKs,
// time, people), writes it down, then does it. All that it does to the mesh is a pure function of
// the World (release/plan), done again as often as one likes; so it may be killed at any
// instruction, and the next one reads the store and goes on.
//
//   people, files ──> commands ─┐
//   instances, ACKs, time ──────┴─> step(): decide ─> store ─> runtime.apply, mesh.write
//
// A phase begins when the proxies concerned have ACKed the one before. Proxies concerned: all that
// are connected, and the sidecars of all ready instances, connected or not. An ACK of Envoy proves
// that its main thread has taken a configuration (clusters: that they are warm); its workers follow
// within microseconds, and requests in flight end where they began.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "model/model.h"
#include "release/plan/plan.h"
#include "release/store/store.h"
#include "release/workload/workload.h"

namespace graymesh::release {

// Where our objects go, and who has taken them. A seam: `main` puts the control plane behind it.
class Mesh {
 public:
  struct Proxy {
    std::string id;         // node id
    std::string address;    // of its instance
    std::uint64_t reached;  // newest revision all of whose changes it has ACKed; 0: none
    Clock::Wall at;         // when it reached that
    bool refuses;           // a NACK stands
    bool tells = false;     // of requests of lanes: Usage hears of them
  };
  virtual ~Mesh() = default;
  // All objects of ours, each a YAML text by "Kind namespace/name"; those not named go. Returns the
  // revision at which they are served.
  virtual Result<std::uint64_t> write(const std::map<std::string, std::string>& objects) = 0;
  virtual std::vector<Proxy> proxies() const = 0;  // connected ones
  // The VirtualServices that people wrote and that are served beside ours. Never null.
  using Objects = std::shared_ptr<const std::vector<model::ObjectPtr>>;
  virtual Objects virtual_services() const = 0;
};

// What a verdict hook says. Asked often; must not block: answers from what it last learned, and
// asks again by itself.
class Judge {
 public:
  enum class Verdict : std::uint8_t { not_yet, healthy, unhealthy };
  struct Word {
    Verdict verdict = Verdict::not_yet;
    std::string why = {};
  };
  virtual ~Judge() = default;
  virtual Word verdict(const Release& release, const model::GrayStep& step) = 0;
};

// When requests last came with a lane. A seam: `main` puts what proxies tell behind it.
class Usage {
 public:
  virtual ~Usage() = default;
  virtual void follow(const World& world) = 0;  // lanes and applications as they are now
  virtual std::optional<Clock::Wall> last(const Name& lane) const = 0;  // none: not one
  virtual Clock::Wall since() const = 0;  // of what was before it knows nothing
};

// A request that may be sent twice. That it was done is kept with what it did, or not at all:
// under `key` stands {"request": ..., "release": ...} from then on (Store::reply).
struct Once {
  std::string key = {};      // empty: it may not
  std::string request = {};  // hex digits that stand for all of it
};

// What a release must be like for an act; empty: as it may be. Asked before anything is changed;
// its error is the act's.
using Only = std::function<Status(const Release&)>;

enum class Verb : std::uint8_t { approve, promote, pause, resume, rollback };
std::string_view name_of(Verb verb);

// How far the proxies are with what a release waits for now.
struct Progress {
  bool waiting = false;  // for ACKs
  std::uint32_t proxies = 0, acked = 0;
  std::vector<std::string> missing = {};
  std::string waits_for = {};  // for people: "3 of 4 instances are ready", "approval by ann or bob"

  bool operator==(const Progress&) const = default;
};

// What stands now; immutable.
struct View {
  std::uint64_t change = 0;  // grows with every change of anything below
  std::shared_ptr<const World> world;
  std::vector<workload::Instance> instances;
  std::map<std::uint64_t, Progress> progress;  // of releases that are not over
  std::map<Name, std::string> unmeasured;      // lanes whose idle time is not counted, and why
  std::string trouble;  // why the engine does nothing: the store's or the mesh's error; else empty
};
using ViewPtr = std::shared_ptr<const View>;

struct Parts {
  Store& store;
  workload::Runtime& runtime;
  Mesh& mesh;
  Judge& judge;
  const Clock& clock;
  Usage* usage = nullptr;  // null: nobody measures, and no lane is known to be idle
};

class Engine {
 public:
  // Reads the store. Does nothing yet.
  static Result<std::unique_ptr<Engine>> open(const Parts& parts);

  // Objects of graymesh.io as the folders have them now, all of them: what is new or changed is
  // applied, a GrayRelease is started, and what is declared no more is taken back. Problems go to
  // problems(). Files lead: what they declare cannot be changed by apply() and remove().
  void declare(const std::vector<model::ObjectPtr>& objects);
  std::vector<model::Problem> problems() const;

  // Applies an Application, Lane or Environment, or starts a GrayRelease; returns the release's id,
  // else 0. A failed plan is failed_precondition with every reason, a line each.
  Result<std::uint64_t> apply(const Actor& who, const model::ObjectPtr& object,
                              const std::string& reason = {}, const Once& once = {});
  // Application, Lane (with all of its releases), Environment. not_found, failed_precondition.
  Status remove(const Actor& who, const model::Key& key, const std::string& reason = {},
                const Once& once = {});
  // not_found; failed_precondition if the phase does not allow it; permission_denied by policy.
  Status act(const Actor& who, std::uint64_t release, Verb verb, const std::string& reason = {},
             const Once& once = {}, const Only& only = {});
  // Starts in another environment what `release` proved in its own: `object`, a GrayRelease of that
  // other namespace, says how, and every application runs the very artefact that `release` runs.
  // Returns the new release's id. not_found; failed_precondition if it is not proven, an
  // Environment does not allow it, or the plan does not hold; already_exists if it runs there.
  Result<std::uint64_t> promote_to(const Actor& who, std::uint64_t release,
                                   const model::ObjectPtr& object, const std::string& reason = {},
                                   const Once& once = {}, const Only& only = {});
  // What `check` says of a GrayRelease, without starting it.
  Result<std::vector<std::string>> plan(const model::ObjectPtr& release) const;

  ViewPtr view() const;
  // The view once its `change` is above `after`, or when `patience` is over.
  ViewPtr wait(std::uint64_t after, std::chrono::milliseconds patience) const;
  // The release that "web/feature-a" means in a namespace: the newest of the tag with that
  // application, over or not. By id: "12". Null if there is none.
  static const Release* find(const World& world, const std::string& namespace_,
                             const std::string& words);

  // Does all that can be done now. Returns when to be called again if nothing happens before.
  std::optional<Clock::Wall> step();

  // Calls step() on a thread of its own, when poked and when it is time, until stop().
  void start();
  void poke();  // instances, proxies or verdicts may have changed. Any thread.
  void stop();
  ~Engine();

 private:
  class Core;
  explicit Engine(std::unique_ptr<Core> core);
  template <typename Do>
  auto command(const Once& once, Do act);

  std::unique_ptr<Core> core_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool poked_ = false;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace graymesh::release
