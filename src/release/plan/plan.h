// What a release is, and what must stand in the mesh for it. Pure functions from the World (every
// application, lane and release as it is now) to three things that shall be:
//
//   groups(world)               the instances that must run
//   objects(world, instances)   Services, DestinationRules, VirtualServices, all our own
//   check(world, release)       whether the road of a release from start to end holds at every step
//
// A version is (stage, canarytag, revision). The revision counts what an application ever ran, so
// that two artefacts under one tag, or the old and the new baseline, never share a subset. A
// release moves through phases, and each phase has a Shape: which of its instances, subset, routes
// and weight are there. Everything is derived from shapes, so what must be true after a kill at any
// instruction is known from the World alone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "model/model.h"

namespace graymesh::release {

using Seconds = std::chrono::duration<double>;

// "fe-pre/web".
struct Name {
  std::string namespace_ = {}, name = {};

  auto operator<=>(const Name&) const = default;
};
std::string to_string(const Name& name);

// One artefact of an application, run so many times.
struct Artefact {
  std::uint32_t revision = 0;
  std::uint32_t replicas = 1;
  model::Run run = {};

  bool operator==(const Artefact&) const = default;
};

struct Application {
  Name name = {};
  model::ObjectPtr object = {};  // as declared; of kind Application
  std::uint32_t number = 0;      // of its virtual IP; never used again
  std::uint32_t last_revision = 0;
  Artefact baseline = {};
  // Hash of the declared run that the baseline follows. A promotion leaves it, so that the promoted
  // artefact leads until somebody declares another.
  std::uint64_t follows = 0;
  bool declared = false;  // by a file, which leads
  // A baseline on its way: started, then switched to, then the old one stops.
  struct Change {
    Artefact next = {};
    enum class Phase : std::uint8_t { starting, switching } phase = Phase::starting;
    Clock::Wall since{};
    bool operator==(const Change&) const = default;
  };
  std::optional<Change> change = {};
  bool leaving = false;  // declared no more: its instances stop

  bool operator==(const Application&) const = default;
  const model::Application& spec() const { return object->as<model::Application>(); }
};

// Of a release, in the order of its life.
enum class Phase : std::uint8_t {
  starting,      // instances come up
  subset,        // the proxies learn the new subset
  routes,        // matches lead to it
  step,          // `step` of its weights stands; waits for its pause
  gray,          // all steps done; waits for promote or rollback
  new_baseline,  // promotion: instances of the new baseline come up
  switching,     // the baseline's subset selects them
  unrouting,     // matches and weights go
  unsubsetting,  // the subset goes
  stopping,      // what is not needed stops
  promoted,      // the end
  back_routes,   // rollback: routes go, before everything else
  back_subset,
  back_baseline,   // rollback behind a promotion: instances of the former baseline come up
  back_switching,  // the baseline's subset selects them
  back_stopping,
  rolled_back,  // the end
  superseded,   // the end: a newer release of the tag took its place
};
std::string_view name_of(Phase phase);
std::optional<Phase> phase_named(std::string_view name);
bool ended(Phase phase);
// With what a rollback begins that is asked for in this phase. What is still starting has no routes
// and no subset, so there is nothing to wait for; and a subset that it wrote only now would take
// the place of that of the release before it, whose tag it has and which goes on.
Phase back_from(Phase phase);
bool rolling_back(Phase phase);
bool promoting(Phase phase);
bool returning(Phase phase);  // behind a promotion that was over

// What is there of a release in a phase.
struct Shape {
  bool instances = false;
  bool subset = false;
  bool routes = false;
  std::uint32_t weight = 0;
  bool new_baseline = false;  // its instances
  bool switched = false;      // the baseline's subset selects them
  bool waits_for_acks = false;

  bool operator==(const Shape&) const = default;
};

struct Member {
  std::string application = {};
  Artefact gray = {};
  std::uint32_t baseline_revision = 0;  // of the new baseline, from new_baseline on
  // What the baseline was before a promotion: what a rollback behind it brings back, as a revision
  // of its own.
  std::optional<Artefact> old_baseline = {};
  std::uint32_t back_revision = 0;

  bool operator==(const Member&) const = default;
};

// Who did what: written down for every act.
struct Actor {
  std::string name = {};  // "ann"; "engine"
  std::string from = {};  // address, or "file fe-pre/web.yaml"

  bool operator==(const Actor&) const = default;
};

struct Receipt {          // proof that a change reached the proxies concerned
  std::string what = {};  // "routes", "rollback"
  std::uint32_t proxies = 0, acked = 0;
  double p50_ms = 0, p99_ms = 0, last_ms = 0;
  std::string last = {};                  // the proxy that was last
  std::vector<std::string> missing = {};  // node ids
  std::vector<std::string> refused = {};  // those of `missing` that said no
  Clock::Wall at{};

  bool operator==(const Receipt&) const = default;
};

// Where a release was promoted to from its environment, as another release there.
struct Passage {
  std::string namespace_ = {};
  std::uint64_t release = 0;

  bool operator==(const Passage&) const = default;
};

struct Release {
  std::uint64_t id = 0;
  Name name = {};  // of the GrayRelease
  model::GrayRelease spec = {};
  std::vector<Member> members = {};
  Phase phase = Phase::starting;
  std::size_t step = 0;  // index into spec.steps, in Phase::step
  bool held = false;     // paused by a person
  bool promote_asked = false;
  std::vector<Actor> approvals = {};  // of the step, or of the promotion, that waits
  Actor started_by = {};
  Clock::Wall started{}, since{}, over{};  // `since`: of the phase
  std::uint64_t content = 0;               // hash of the GrayRelease's text
  std::uint64_t from = 0;  // the release of another environment that proved what it runs; 0: none
  std::vector<Passage> promoted_to = {};
  bool stays = false;       // goes on nowhere, whatever spec.promote_to says; `reason` has why
  std::string reason = {};  // why it is where it is: "rolled back by ann: errors on checkout"
  bool declared = false;    // by a file: its going takes the release back
  std::map<std::string, Receipt> receipts = {};  // by phase

  bool operator==(const Release&) const = default;
  const Member* member(std::string_view application) const;
};

struct Lane {
  Name name = {};
  model::Lane spec = {};
  Actor created_by = {};
  Clock::Wall created{}, used{};
  bool declared = false;
  bool leaving = false;  // goes when its releases are over

  bool operator==(const Lane&) const = default;
};

struct Environment {
  model::ObjectPtr object = {};  // of kind Environment
  bool declared = false;

  bool operator==(const Environment&) const = default;
  const model::Environment& spec() const { return object->as<model::Environment>(); }
};

struct World {
  std::map<Name, Application> applications = {};
  std::map<std::uint64_t, Release> releases = {};  // by id; ended ones stay for a while
  std::map<Name, Lane> lanes = {};
  std::map<std::string, Environment> environments = {};  // by namespace
  std::uint64_t last_release = 0;
  std::uint32_t last_number = 0;

  // The newest that has not ended; null if there is none.
  const Release* active(const Name& application, std::string_view tag) const;
};

Shape shape(const Release& release, Phase phase, std::size_t step);
inline Shape shape(const Release& release) { return shape(release, release.phase, release.step); }

// The phase after this one when all that it waits for has come.
Phase after(const Release& release, Phase phase);

// The artefact that becomes a member's baseline: of a promotion the gray one, of a rollback behind
// one the former. Replicas are the baseline's.
Artefact coming_baseline(const Release& release, const Member& member, const Application& app);

// What runs: the workload room's Group, in our own words, since a plan does not know processes.
struct Group {
  Name name = {};  // "fe-pre/web-feature-a-3"
  std::string application = {};
  model::Labels labels = {};
  std::string tag = {};  // empty: the baseline
  Artefact artefact = {};

  bool operator==(const Group&) const = default;
};
std::vector<Group> groups(const World& world);

struct Instance {
  std::string namespace_ = {}, group = {}, name = {}, address = {};
  model::Labels labels = {};
  bool ready = false;
  bool leaving = false;  // terminating or stopping: no new requests

  bool operator==(const Instance&) const = default;
};

// Every object of ours, as one YAML text by "Kind namespace/name". Deterministic.
std::map<std::string, std::string> objects(const World& world,
                                           const std::vector<Instance>& instances);

// Every reason why `release` (not yet in `world`) cannot go its whole way, each with the state that
// breaks it: "at unrouting, with proxies on the old routes: VirtualService fe-pre/web-release
// http[0] leads to subset feature-a, which is not there". `team`: the VirtualServices that people
// wrote, whose rules it must not hide.
std::vector<std::string> check(const World& world, const Release& release,
                               std::span<const model::ObjectPtr> team = {});

// Promoted, and still to be released where its GrayRelease promotes to.
bool goes_on(const Release& release);

// Why what `release` runs is not proven where it runs; empty if it is: it was promoted there, or
// stands at gray (or on its way from there to promoted) and every phase has its receipt, without a
// proxy missing.
std::string unproven(const Release& release);
// The newest release of a namespace that proves this run of an application; null if none does.
const Release* proof(const World& world, const std::string& namespace_,
                     const std::string& application, const model::Run& run);
// Why an application of `namespace_` may not run this: Environments promote to it, and none of them
// has proved it. Empty if it may.
std::string not_from(const World& world, const std::string& namespace_,
                     const std::string& application, const model::Run& run);

// An Application's or a release's first artefact: what the GrayRelease gives, else the Application.
model::Run merged(const model::Run& base, const model::Run& over);

// Equal for equal runs, also after a restart.
std::uint64_t run_hash(const model::Run& run);

// The World as JSON documents by key ("application/fe-pre/web", "release/12"), and back.
// data_loss names the key and the fault.
std::map<std::string, std::string> save(const World& world);
Result<World> load(const std::map<std::string, std::string>& documents);

// What save() would say otherwise of `after` than of `before`; only that is made into text.
struct Difference {
  std::map<std::string, std::optional<std::string>> documents = {};  // none: gone
  std::set<std::string> namespaces = {};                             // of what differs
};
Difference difference(const World& before, const World& after);

// What of the World is of one namespace. Groups and objects of a namespace follow from it alone.
World part(const World& world, const std::string& namespace_);

// Cookie, query parameter, header and baggage entry that carry a lane.
inline constexpr std::string_view lane_header = "canarytag";

}  // namespace graymesh::release
