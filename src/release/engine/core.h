// Inside the room: the engine without its thread. Everything happens under one mutex: commands
// change a copy of the World, which becomes the World when the store has it.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "release/engine/engine.h"

namespace graymesh::release {

// Who does what nobody asked for at that moment.
inline const Actor engine_actor{"engine", ""};

// How long a hook's word is good for before it is asked again.
inline constexpr std::chrono::seconds verdict_every{1};
inline constexpr std::chrono::seconds laggards_after_default{10};
inline constexpr std::chrono::minutes ready_within_default{5};
// How often a lane's last request is written down.
inline constexpr std::chrono::minutes used_every{1};
// How often what was refused of files is tried again: freezes end, and disks are emptied.
inline constexpr std::chrono::minutes refused_again{1};
// Releases that are over are kept for lists and figures; all that was ever done is in the acts.
inline constexpr std::size_t over_kept_max = 1000;

// Who has taken a revision since it was written.
struct Wait {
  std::string what;  // phase and step, to notice that it is another one
  std::uint64_t revision = 0;
  Clock::Wall begun{};
  std::map<std::string, Clock::Wall> reached;  // by node id
};

class Engine::Core {
 public:
  explicit Core(const Parts& parts) : parts_(parts) {}
  Status load();

  // engine.h has what these do. The caller holds the mutex.
  void declare(const std::vector<model::ObjectPtr>& objects);
  Result<std::uint64_t> apply(const Actor& who, const model::ObjectPtr& object,
                              const std::string& reason, bool declared);
  Status remove(const Actor& who, const model::Key& key, const std::string& reason, bool declared);
  Status act(const Actor& who, std::uint64_t id, Verb verb, const std::string& reason);
  Result<std::uint64_t> promote_to(const Actor& who, std::uint64_t id,
                                   const model::ObjectPtr& object, const std::string& reason);
  // `source`: the release whose artefacts it runs; null: what the GrayRelease and the baselines
  // say.
  Result<Release> planned(const World& world, const Actor& who, const model::ObjectPtr& object,
                          const Release* source, World& next) const;
  Status holds(std::uint64_t release, const Only& only) const;
  std::optional<Clock::Wall> step();
  void publish();  // a new `view`, if anything in it changed

  Once once;  // of the command that is carried out; taken by its commit

  mutable std::mutex mutex;
  mutable std::condition_variable changed;  // of `view`
  ViewPtr view;
  std::vector<model::Problem> problems;

 private:
  // commands.cc
  Status apply_application(const Actor& who, const model::ObjectPtr& object, bool declared,
                           World& next) const;
  Status apply_environment(const model::ObjectPtr& object, bool declared, World& next) const;
  Status add_release(Release release, World& next) const;
  Status frozen(const std::string& namespace_) const;
  Status approve(const Actor& who, Release& release) const;

  // declare.cc
  bool has_already(const model::ObjectPtr& declared) const;
  void take_back_undeclared(const std::set<model::Key>& declared);
  void retry_refused();

  // passage.cc: back behind a promotion, and on to another environment.
  Status may_return(const Release& release) const;
  Status give_back(Release& release, World& next) const;
  Status may_go_on(const Release& release, const std::string& to) const;
  static void settle_return(const Release& release, World& next);
  // One that is promoted, to where its GrayRelease says. Says whether it made a change.
  bool go_on(const Release& release);
  bool stay(const Release& release, const std::string& why);

  // core.cc
  // `release`: for the reply to a command that may be sent twice.
  Status commit(World next, std::vector<Act> acts, std::uint64_t release = 0);
  Act act_of(const Actor& who, std::string verb, const std::string& namespace_, std::string object,
             const std::string& reason = {}, std::string detail = {}) const;
  void observe();
  bool reconcile();  // false: in trouble
  void derive();
  void let_go();
  void wake_at(Clock::Wall time);

  // decide.cc: each makes one change at most, and says whether it did.
  bool decide();
  bool keep(World next, std::vector<Act> acts);  // commit(); the fault becomes `trouble_`
  bool reclaim(const Lane& lane);
  bool forget();
  // advance.cc: a release.
  bool advance(const Release& release);
  bool move(const Release& release, Phase phase, const std::string& why = {});
  bool keep_receipt(const Release& release, const std::string& key, const Receipt& receipt);
  bool come_up(const Release& release);  // the instances that it waits for
  bool promotes(const Release& release);
  // Where a step leads, and why; none while it waits.
  std::optional<std::pair<Phase, std::string>> after_step(const Release& release);
  // baseline.cc: an application without one.
  bool advance_change(const Application& app);
  bool follow_declared(const Application& app);
  // acks.cc: what is waited for, and how long that took.
  std::optional<Receipt> acked(const Release& release, const std::string& what);
  bool has_acked(Wait& wait, Progress& progress) const;
  bool all_ready(const Name& application, const Artefact& artefact, const std::string& tag,
                 Progress& progress) const;
  Wait& wait_for(const std::string& key, const std::string& what, Clock::Wall since);
  static std::string waits_key(const Release& release);
  // idle.cc: a lane that was not used for so long goes as one does whose time is over.
  bool note_used();
  // Since when it is idle; none while somebody needs it, or while that cannot be known.
  std::optional<Clock::Wall> idle_since(const Lane& lane);
  std::string unmeasured(const Lane& lane) const;
  std::optional<model::Duration> idle_max(const Lane& lane) const;

  const model::Environment* environment(const std::string& namespace_) const;

  Parts parts_;
  World world_;
  std::vector<model::ObjectPtr> declared_;
  std::set<model::Key> refused_;         // of those: tried again with every declare()
  std::optional<Clock::Wall> retry_at_;  // and then by themselves

  // What is seen, and what was last said.
  std::vector<workload::Instance> instances_;
  std::vector<Mesh::Proxy> proxies_;
  // What follows from the World and `instances_`, namespace by namespace, so that a change costs
  // what its own namespace costs.
  struct Derived {
    std::vector<Instance> seen = {};
    std::map<std::string, std::string> objects = {};
    std::vector<workload::Group> groups = {};
  };
  std::map<std::string, Derived> derived_;
  std::set<std::string> stale_;                 // namespaces whose World has changed since
  bool looks_same_ = false;                     // so have not `instances_` and `isolated_`
  std::map<std::string, std::string> objects_;  // of all namespaces
  bool written_ = false;                        // `objects_`
  bool applied_ = false;                        // all groups
  std::uint64_t revision_ = 0;                  // at which `objects_` are served
  Clock::Wall written_at_{};
  std::map<std::string, Wait> waits_;  // by "release/12", "application/fe-pre/web"
  // Terminating instances, by the revision from which on no endpoint names them.
  std::map<std::pair<std::string, std::string>, std::uint64_t> leaving_;
  std::set<std::string> isolated_;  // addresses of instances whose proxies lag behind
  std::map<std::uint64_t, Progress> progress_;
  struct Refused {
    std::string why = {};
    Clock::Wall again{};  // when it is tried again
  };
  std::map<std::uint64_t, Refused> refused_there_;  // releases that go on, by id
  std::map<Name, std::string> unmeasured_;
  std::map<Name, Clock::Wall> blind_at_;  // when a request of the lane would last have been missed
  std::string trouble_;
  std::optional<Clock::Wall> wake_;
  std::uint64_t change_ = 0;
  bool world_changed_ = true;  // since the last view
};

}  // namespace graymesh::release
