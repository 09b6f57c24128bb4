// Thousands of lives of releases with random faults: people change their minds, instances die,
// proxies are slow, deaf or gone, the engine is killed between any two steps. After each step what
// must always hold is looked at; a failure names the seed, and GRAYMESH_LIFE_SEED=N replays it.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "release/engine/testing.h"
#include "release/plan/testing.h"

namespace graymesh::release {
namespace {

using namespace testing;
using namespace std::chrono_literals;

// What of a text the invariants look at.
struct Read {
  std::map<std::string, std::set<std::string>> subsets;  // by application
  std::map<std::string, std::string> baseline;           // revision, by application
  std::map<std::string, std::set<std::string>> routes;   // subsets led to, by application
  std::set<std::string> ready;                           // pods that get requests
};

Read read(const std::map<std::string, std::string>& objects) {
  Read out;
  for (const auto& [key, text] : objects) {
    const auto documents = model::read(text, key);
    const auto& object = documents.at(0).object;
    if (!object) {
      ADD_FAILURE() << key << "\n" << text;
      continue;
    }
    if (key.starts_with("DestinationRule")) {
      const auto& rule = object->as<model::DestinationRule>();
      for (const auto& subset : rule.subsets) out.subsets[rule.host].insert(subset.name);
      out.baseline[rule.host] = rule.subsets.at(0).labels.at("graymesh.io/revision");
    } else if (key.starts_with("VirtualService")) {
      for (const auto& route : object->as<model::VirtualService>().http) {
        for (const auto& to : route.route)
          out.routes[to.destination.host].insert(to.destination.subset);
      }
    } else if (key.starts_with("EndpointSlice")) {
      for (const auto& endpoint : object->as<model::EndpointSlice>().endpoints) {
        if (endpoint.ready) out.ready.insert(endpoint.pod);
      }
    }
  }
  return out;
}

class Life {
 public:
  explicit Life(std::uint32_t seed) : random_(seed) {
    mesh_.acks_at_once = false;
    restart();
  }

  void run(int steps) {
    for (const char* name : {"web", "cart"})
      (void)engine_->apply(ann, application_object(name));  // cannot fail: the first of its name
    settle();
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
      act();
      step();
    }
    end();
  }

 private:
  std::uint32_t upto(std::uint32_t most) {
    return static_cast<std::uint32_t>(random_() % (most + 1));
  }
  bool chance(std::uint32_t percent) { return random_() % 100 < percent; }

  void restart() {
    engine_.reset();
    auto opened = Engine::open(
        {.store = *store_, .runtime = runtime_, .mesh = mesh_, .judge = judge_, .clock = clock_});
    ASSERT_TRUE(opened) << opened.error().message;
    engine_ = std::move(*opened);
  }

  void act() {
    switch (upto(11)) {
      case 0:
        return start();
      case 1:
      case 2:
        return command();
      case 3: {
        const auto instances = runtime_.instances();
        if (!instances.empty()) {
          const auto& victim = instances[upto(static_cast<std::uint32_t>(instances.size() - 1))];
          runtime_.kill(victim.namespace_, victim.name);
        }
        return;
      }
      case 4:
        return runtime_.all_become_ready();
      case 5:
        return restart();
      case 6:
        clock_.advance(std::chrono::seconds(upto(30)));
        return;
      case 7:
        judge_.word.verdict = static_cast<Judge::Verdict>(upto(2));
        return;
      case 8: {
        if (!mesh_.connected.empty() && chance(30)) {
          auto it = mesh_.connected.begin();
          std::advance(it, upto(static_cast<std::uint32_t>(mesh_.connected.size() - 1)));
          mesh_.connected.erase(it);
        }
        return;
      }
      case 9:
        mesh_.fault = chance(20) ? "cut" : "";
        return;
      default:
        ack_some();
    }
  }

  void start() {
    const std::string tag = fmt::format("t{}", upto(2));
    std::string more;
    if (chance(50))
      more += fmt::format(
          "  steps: [{{weight: {}, pause: {{duration: 5s}}}}, {{weight: {}, pause: {{verdict: "
          "\"http://j\"}}}}]\n",
          upto(10), 10 + upto(30));
    if (chance(30)) more += "  promote: true\n";
    constexpr const char* policies[] = {"hold", "isolate", "goOn"};
    more += fmt::format("  laggards: {{policy: {}, after: 5s}}\n", policies[upto(2)]);
    const std::string applications = chance(30)   ? "[{name: web}, {name: cart}]"
                                     : chance(50) ? "[{name: web}]"
                                                  : "[{name: cart, replicas: 2}]";
    (void)engine_->apply(ann,
                         object_of(fmt::format(  // refused or not: both are lives
                             "apiVersion: graymesh.io/v1alpha1\nkind: GrayRelease\nmetadata: "
                             "{{name: {}, namespace: fe-pre}}\nspec:\n  tag: {}\n  applications: "
                             "{}\n{}",
                             tag, tag, applications, more)));
  }

  void command() {
    const auto world = engine_->view()->world;
    if (world->releases.empty()) return;
    auto it = world->releases.begin();
    std::advance(it, upto(static_cast<std::uint32_t>(world->releases.size() - 1)));
    (void)engine_->act(bob, it->first, static_cast<Verb>(upto(4)));  // allowed or not
  }

  void ack_some() {
    for (auto& [id, proxy] : mesh_.connected) {
      if (!chance(60)) continue;
      const std::uint64_t behind = mesh_.revision - proxy.reached;
      mesh_.ack(
          id, proxy.reached + upto(static_cast<std::uint32_t>(std::min<std::uint64_t>(behind, 5))));
    }
  }

  // Proxies of instances come and go with them; a new one takes the newest at once.
  void follow_instances() {
    std::set<std::string> there;
    for (const auto& instance : runtime_.instances()) {
      const std::string id = "sidecar~" + instance.name;
      there.insert(id);
      if (!mesh_.connected.contains(id) && chance(50)) {
        mesh_.connect(id, instance.address);
        mesh_.ack(id);
      }
    }
    for (auto it = mesh_.connected.begin(); it != mesh_.connected.end();)
      it = there.contains(it->first) ? std::next(it) : mesh_.connected.erase(it);
  }

  void step() {
    follow_instances();
    const auto before = runtime_.instances();
    const auto proxies = mesh_.connected;
    engine_->step();
    look(before, proxies);
  }

  void look(const std::vector<workload::Instance>& before,
            const std::map<std::string, Mesh::Proxy>& proxies) {
    for (; looked_ < mesh_.revision; ++looked_) {
      known_[looked_ + 1] = read(mesh_.history.at(looked_ + 1));
      look_at_pair(known_[looked_], known_[looked_ + 1], looked_ + 1);
    }
    // Who vanished was named by no configuration that a proxy may still have.
    std::set<std::string> now;
    for (const auto& instance : runtime_.instances()) now.insert(instance.name);
    for (const auto& instance : before) {
      using Phase = workload::Instance::Phase;
      const bool served = instance.phase == Phase::ready || instance.phase == Phase::terminating;
      if (now.contains(instance.name) || !served) continue;
      std::uint64_t last = 0;
      for (const auto& [revision, read] : known_) {
        if (read.ready.contains(instance.name)) last = revision;
      }
      for (const auto& [id, proxy] : proxies)
        EXPECT_GT(proxy.reached, last)
            << instance.name << " stopped while " << id << " may call it";
    }
  }

  static void look_at_pair(const Read& old, const Read& now, std::uint64_t revision) {
    for (const auto& [app, routes] : now.routes) {
      for (const auto& subset : routes) {
        EXPECT_TRUE(now.subsets.at(app).contains(subset))
            << app << " " << subset << " at " << revision;
        if (old.subsets.contains(app)) {
          EXPECT_TRUE(old.subsets.at(app).contains(subset))
              << app << ": a route to " << subset << " came with its subset at " << revision;
        }
      }
      if (!old.routes.contains(app)) continue;
      for (const auto& subset : old.routes.at(app))
        EXPECT_TRUE(now.subsets.at(app).contains(subset))
            << app << ": subset " << subset << " went with its route at " << revision;
    }
  }

  void settle() {
    mesh_.fault.clear();
    // Until nothing changes any more, with time for every pause and patience.
    for (int turn = 0, quiet = 0; turn < 200 && quiet < 12; ++turn) {
      const auto change = engine_->view()->change;
      runtime_.all_become_ready();
      follow_instances();
      mesh_.all_ack();
      clock_.advance(1s);
      step();
      quiet = engine_->view()->change == change ? quiet + 1 : 0;
    }
  }

  // Everybody recovers, everything is rolled back: the mesh is as if nothing had been.
  void end() {
    judge_.word.verdict = Judge::Verdict::healthy;
    settle();
    const auto world = engine_->view()->world;
    for (const auto& [id, release] : world->releases) {
      if (ended(release.phase)) continue;
      (void)engine_->act(ann, id, Verb::resume);    // fails where there is nothing to resume
      (void)engine_->act(ann, id, Verb::rollback);  // fails where it goes back or on already
    }
    settle();
    const auto view = engine_->view();
    EXPECT_EQ(view->trouble, "");
    for (const auto& [id, release] : view->world->releases)
      EXPECT_TRUE(ended(release.phase))
          << id << " " << name_of(release.phase) << ": " << view->progress.at(id).waits_for;
    EXPECT_EQ(view->instances.size(), 4u);
    // Derived anew from nothing it is the same as what changed step by step.
    EXPECT_EQ(mesh_.objects(), objects(*view->world, all_ready(view->instances)));
    const Read read_now = read(mesh_.objects());
    EXPECT_EQ(read_now.ready.size(), 4u);
    for (const auto& [app, subsets] : read_now.subsets)
      EXPECT_EQ(subsets, std::set<std::string>{"baseline"}) << app;
  }

  static std::vector<Instance> all_ready(const std::vector<workload::Instance>& instances) {
    std::vector<Instance> out;
    out.reserve(instances.size());
    for (const auto& instance : instances)
      out.push_back({.namespace_ = instance.namespace_,
                     .group = instance.group,
                     .name = instance.name,
                     .address = instance.address,
                     .labels = instance.labels,
                     .ready = true});
    return out;
  }

  std::mt19937 random_;
  FakeClock clock_;
  std::unique_ptr<Store> store_ = std::move(*Store::open(":memory:"));
  workload::FakeRuntime runtime_{clock_};
  FakeMesh mesh_{clock_};
  FakeJudge judge_;
  std::unique_ptr<Engine> engine_;
  std::map<std::uint64_t, Read> known_;
  std::uint64_t looked_ = 0;
};

TEST(ReleaseLives, HoldWhatMustHoldWhateverHappens) {
  std::uint32_t first = 1, lives = 15;
  if (const char* seed = std::getenv("GRAYMESH_LIFE_SEED")) {
    first = static_cast<std::uint32_t>(std::atoi(seed));
    lives = 1;
  }
  if (const char* count = std::getenv("GRAYMESH_LIVES"))
    lives = static_cast<std::uint32_t>(std::atoi(count));
  for (std::uint32_t seed = first; seed < first + lives; ++seed) {
    SCOPED_TRACE(fmt::format("GRAYMESH_LIFE_SEED={}", seed));
    Life(seed).run(80);
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace graymesh::release
