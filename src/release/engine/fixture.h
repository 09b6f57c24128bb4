// For tests: an engine with a clock that stands still, instances that become ready and proxies that
// ACK when they are told to.
#pragma once

#include <fmt/core.h>
#include <gmock/gmock.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "release/engine/testing.h"
#include "release/plan/testing.h"

namespace graymesh::release::testing {

class EngineFixture : public ::testing::Test {
 public:
  EngineFixture() { restart(); }

  // As after kill -9: what is not in the store is forgotten.
  void restart() {
    engine.reset();
    auto opened = Engine::open(
        {.store = *store, .runtime = runtime, .mesh = mesh, .judge = judge, .clock = clock});
    ASSERT_TRUE(opened) << opened.error().message;
    engine = std::move(*opened);
  }
  // Until nothing moves any more: instances become ready, proxies of instances connect.
  void settle() {
    for (int turn = 0; turn < 20; ++turn) {
      runtime.all_become_ready();
      connect_ready();
      engine->step();
    }
  }
  void connect_ready() {
    std::set<std::string> there;
    for (const auto& instance : runtime.instances()) {
      const auto [id, fresh] = there.insert(proxy_of(instance.name, instance.namespace_));
      if (!mesh.connected.contains(*id)) mesh.connect(*id, instance.address);
    }
    std::erase_if(mesh.connected, [&](const auto& entry) {
      return entry.first.starts_with("sidecar~") && !there.contains(entry.first);
    });
  }
  static std::string proxy_of(const std::string& instance,
                              const std::string& namespace_ = "fe-pre") {
    return fmt::format("sidecar~{}.{}", instance, namespace_);
  }

  static std::string release_yaml(const std::string& tag, const std::string& more = "",
                                  const std::string& applications = "[{name: web}]",
                                  const std::string& namespace_ = "fe-pre") {
    return fmt::format(
        "apiVersion: graymesh.io/v1alpha1\nkind: GrayRelease\nmetadata: {{name: {}, namespace: "
        "{}}}\nspec:\n  tag: {}\n  applications: {}\n{}",
        tag, namespace_, tag, applications, more);
  }
  static std::string environment_yaml(const std::string& spec,
                                      const std::string& namespace_ = "fe-pre") {
    return fmt::format(
        "apiVersion: graymesh.io/v1alpha1\nkind: Environment\nmetadata: {{name: policy, "
        "namespace: {}}}\nspec: {{{}}}\n",
        namespace_, spec);
  }

  const Release& release(std::uint64_t id) { return engine->view()->world->releases.at(id); }
  Phase phase(std::uint64_t id) { return release(id).phase; }
  std::vector<std::string> running() {
    std::vector<std::string> names;
    for (const auto& instance : runtime.instances()) names.push_back(instance.name);
    return names;
  }

  FakeClock clock;
  std::unique_ptr<FullStore> store = std::make_unique<FullStore>();
  workload::FakeRuntime runtime{clock};
  FakeMesh mesh{clock};
  FakeJudge judge;
  std::unique_ptr<Engine> engine;
};

// Applications `web` and others of fe-pre, and their releases.
class EngineTest : public EngineFixture {
 public:
  void apply(const std::string& yaml, const Actor& who = ann) {
    const auto applied = engine->apply(who, object_of(yaml));
    ASSERT_TRUE(applied) << applied.error().message;
    engine->step();
  }
  void application(const std::string& name, const std::string& more = "") {
    apply(application_object(name, 2, more)->text);
    settle();
  }
  std::uint64_t start(const std::string& tag, const std::string& more = "",
                      const std::string& applications = "[{name: web}]", const Actor& who = ann) {
    const auto id = engine->apply(who, object_of(release_yaml(tag, more, applications)));
    EXPECT_TRUE(id) << id.error().message;
    return id ? *id : 0;
  }
  std::string waits_for(std::uint64_t id) { return engine->view()->progress.at(id).waits_for; }
  std::string object(const std::string& key) {
    const auto& objects = mesh.objects();
    return objects.contains(key) ? objects.at(key) : "";
  }
};

}  // namespace graymesh::release::testing
