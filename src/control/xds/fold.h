// For tests: a Witness that adds up what it is told of one stream, as a record does.
#pragma once

#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "control/resource/witness.h"

namespace graymesh::xds {

class Fold final : public resource::Witness {
 public:
  using Names = std::map<std::string, std::string>;  // and bodies; of what is claimed "?"

  const Names& of(resource::Type type) const { return at_[index(type)].held; }

  void opened(StreamId, const resource::Node& node, const std::string&, bool) override {
    log += "opened " + node.id + "\n";
  }
  void holds(StreamId, const resource::Possession& all) override {
    auto& at = at_[index(all.type)];
    at.held.clear();
    const auto [held, claimed] = all.all();
    for (const auto& resource : held) at.held[resource->name()] = resource->body();
    for (const auto& name : claimed) at.held[name] = "?";
  }
  void sent(StreamId, const resource::Delivery& delivery) override {
    auto& at = at_[index(delivery.type)];
    at.pending.clear();
    for (const auto& change : delivery.changes) {
      if (change.now)
        at.pending[(*change.now)->name()] = {true, std::string((*change.now)->body())};
      else
        at.pending[(*change.before)->name()] = {false, ""};
    }
    log += std::string(short_name(delivery.type)) + " sent\n";
  }
  void acked(StreamId, resource::Type type) override {
    auto& at = at_[index(type)];
    for (auto& [name, to] : std::exchange(at.pending, {})) {
      if (to.first)
        at.held[name] = std::move(to.second);
      else
        at.held.erase(name);
    }
    log += std::string(short_name(type)) + " acked\n";
  }
  void refused(StreamId, resource::Type type, const std::string& error) override {
    at_[index(type)].pending.clear();
    log += std::string(short_name(type)) + " refused: " + error + "\n";
  }
  void dropped(StreamId, resource::Type type, std::span<const std::string> names) override {
    auto& at = at_[index(type)];
    for (const auto& name : names) {
      at.held.erase(name);
      at.pending.erase(name);
    }
  }
  void reached(StreamId, std::uint64_t snapshot) override {
    log += "reached " + std::to_string(snapshot) + "\n";
  }
  void closed(StreamId) override { log += "closed\n"; }

  std::string log;

 private:
  struct At {
    Names held;
    std::map<std::string, std::pair<bool, std::string>> pending;
  };
  static std::size_t index(resource::Type type) { return static_cast<std::size_t>(type); }
  std::array<At, resource::type_count> at_;
};

}  // namespace graymesh::xds
