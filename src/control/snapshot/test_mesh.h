// A mesh as users write it, for tests: YAML in, Snapshots out.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "control/snapshot/snapshot.h"

namespace graymesh::snapshot {

class TestMesh {
 public:
  TestMesh() = default;
  explicit TestMesh(std::string_view yaml) { apply(yaml); }

  // Adds the documents, or puts them in the place of those of the same name.
  TestMesh& apply(std::string_view yaml, const std::string& file = "mesh.yaml") {
    for (const auto& document : model::read(yaml, file)) {
      for (const auto& error : document.errors) ADD_FAILURE() << model::to_string(error);
      if (!document.object) continue;
      auto& known = objects_[document.object->meta.key];
      if (!known || known->text != document.object->text || known->meta.position.file != file) {
        known = document.object;
      }
    }
    built_ = false;
    return *this;
  }

  TestMesh& remove(model::Kind kind, std::string namespace_, std::string name) {
    EXPECT_EQ(objects_.erase({kind, std::move(namespace_), std::move(name)}), 1U);
    built_ = false;
    return *this;
  }

  model::MeshConfig& config() {
    built_ = false;
    return config_;
  }

  // Of what is there now, built upon the Snapshot before.
  const Snapshot& snapshot() {
    if (!built_) {
      const auto config = std::make_shared<const model::MeshConfig>(config_);
      ++number_;
      snapshot_ = snapshot_ ? build(changes(), config, *snapshot_, number_)
                            : build(all(), config, nullptr, number_);
      was_ = objects_;
      built_ = true;
    }
    return *snapshot_;
  }

  SnapshotPtr snapshot_ptr() { return snapshot(), snapshot_; }

  // As people read them.
  std::vector<std::string> problems() {
    std::vector<std::string> result;
    for (const auto& problem : snapshot().problems()) result.push_back(model::to_string(problem));
    return result;
  }

  // "10.0.0.1:8080 10.0.0.2:8080", of one port of a service.
  std::string endpoints(std::string_view host, std::size_t port = 0) {
    const auto service = snapshot().service(host);
    if (!service) return "no service";
    const auto endpoints = snapshot().endpoints(*service);
    if (port >= endpoints->by_port.size()) return "no port";
    std::string result;
    for (const auto& endpoint : endpoints->by_port[port]) {
      if (!result.empty()) result += ' ';
      result += endpoint.address + ':' + std::to_string(endpoint.port);
      if (endpoint.health == Health::unhealthy) result += " (unhealthy)";
      if (endpoint.health == Health::draining) result += " (draining)";
    }
    return result;
  }

 private:
  std::vector<model::ObjectPtr> all() const {
    std::vector<model::ObjectPtr> all;
    for (const auto& [key, object] : objects_) all.push_back(object);
    return all;
  }
  Changes changes() const {
    const auto differing = [](const auto& from, const auto& to) {
      std::vector<model::ObjectPtr> found;
      for (const auto& [key, object] : from) {
        const auto other = to.find(key);
        if (other == to.end() || other->second != object) found.push_back(object);
      }
      return found;
    };
    return {.gone = differing(was_, objects_), .come = differing(objects_, was_)};
  }

  std::map<model::Key, model::ObjectPtr> objects_, was_;  // now, and when it was built
  model::MeshConfig config_;
  SnapshotPtr snapshot_;
  bool built_ = false;
  std::uint64_t number_ = 0;
};

// "a.shop.svc.cluster.local b.shop.svc.cluster.local"
inline std::string hosts_of(const std::vector<SeenService>& services) {
  std::string result;
  for (const auto& seen : services) result += (result.empty() ? "" : " ") + seen.service->host;
  return result;
}

inline std::string names_of(const std::vector<VirtualServicePtr>& services) {
  std::string result;
  for (const auto& service : services) {
    result += (result.empty() ? "" : " ") + service->origin.namespace_ + '/' + service->origin.name;
  }
  return result;
}

inline DestinationRulePtr rule_for(const View& view, std::string_view host) {
  for (const auto& seen : view.services) {
    if (seen.service->host == host) return seen.rule;
  }
  return nullptr;
}

}  // namespace graymesh::snapshot
