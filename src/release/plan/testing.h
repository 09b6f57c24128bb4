// For tests: a World in a few words.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "release/plan/plan.h"

namespace graymesh::release::testing {

inline model::ObjectPtr object_of(const std::string& yaml) {
  const auto documents = model::read(yaml, "test.yaml");
  if (documents.size() != 1 || documents.front().object == nullptr) {
    ADD_FAILURE() << yaml;
    for (const auto& document : documents) {
      for (const auto& error : document.errors) ADD_FAILURE() << model::to_string(error);
    }
    return nullptr;
  }
  return documents.front().object;
}

// Of one HTTP port 8080 in fe-pre; served at the gateway as <name>.shop.example.
inline model::ObjectPtr application_object(const std::string& name, std::uint32_t replicas = 2,
                                           const std::string& more = "") {
  return object_of("apiVersion: graymesh.io/v1alpha1\nkind: Application\nmetadata: {name: " + name +
                   ", namespace: fe-pre}\nspec:\n  ports: [{name: http, port: 8080}]\n  hosts: [" +
                   name + ".shop.example]\n  gateways: [ingress/shop]\n  run: {command: [./" +
                   name + "], version: v1}\n  replicas: " + std::to_string(replicas) + "\n" + more);
}

inline void set_environment(World& world, const std::string& spec) {
  world.environments["fe-pre"].object = object_of(
      "apiVersion: graymesh.io/v1alpha1\nkind: Environment\nmetadata: {name: policy, "
      "namespace: fe-pre}\nspec: {" +
      spec + "}\n");
}

inline void add_application(World& world, const std::string& name, std::uint32_t replicas = 2) {
  Application app;
  app.name = {"fe-pre", name};
  app.object = application_object(name, replicas);
  app.number = ++world.last_number;
  app.last_revision = 1;
  app.baseline = {.revision = 1, .replicas = replicas, .run = app.spec().run};
  world.applications.emplace(app.name, app);
}

inline Release release_of(World& world, const std::string& tag,
                          const std::vector<std::string>& applications,
                          const std::vector<std::uint32_t>& weights = {}) {
  Release release;
  release.id = ++world.last_release;
  release.name = {"fe-pre", applications.front() + "-" + tag};
  release.spec.tag = tag;
  for (const std::uint32_t weight : weights) release.spec.steps.emplace_back().weight = weight;
  for (const std::string& application : applications) {
    Application& app = world.applications.at({"fe-pre", application});
    Member member{.application = application,
                  .gray = {.revision = ++app.last_revision, .replicas = 1, .run = app.spec().run}};
    member.gray.run.version = tag;
    release.members.push_back(member);
  }
  return release;
}

}  // namespace graymesh::release::testing
