// For tests: a mesh of proxies that ACK when they are told to, and a judge of few words.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "release/engine/engine.h"
#include "release/workload/fake.h"

namespace graymesh::release::testing {

// Proxies are there by name; each reaches the newest revision at once, or when it is told to.
class FakeMesh final : public Mesh {
 public:
  explicit FakeMesh(const Clock& clock) : clock_(clock) {}

  Result<std::uint64_t> write(const std::map<std::string, std::string>& objects) override {
    if (!fault.empty()) return Error{Code::unavailable, fault};
    if (objects != history.rbegin()->second) history[++revision] = objects;
    if (acks_at_once) all_ack();
    return revision;
  }

  std::vector<Proxy> proxies() const override {
    std::vector<Proxy> out;
    for (const auto& [id, proxy] : connected) out.push_back(proxy);
    return out;
  }

  Objects virtual_services() const override {
    return std::make_shared<const std::vector<model::ObjectPtr>>(team);
  }

  void connect(const std::string& id, const std::string& address = "") {
    connected[id] = {.id = id,
                     .address = address,
                     .reached = 0,
                     .at = clock_.wall(),
                     .refuses = false,
                     .tells = tells};
    if (acks_at_once) ack(id);
  }
  void ack(const std::string& id) { ack(id, revision); }
  void ack(const std::string& id, std::uint64_t reached) {
    Proxy& proxy = connected.at(id);
    if (reached <= proxy.reached) return;
    proxy.reached = reached;
    proxy.at = clock_.wall();
  }
  void all_ack() {
    for (auto& [id, proxy] : connected) ack(id);
  }

  const std::map<std::string, std::string>& objects() const { return history.at(revision); }

  bool acks_at_once = true;
  bool tells = true;  // those that connect from now on
  std::string fault;
  std::vector<model::ObjectPtr> team;  // VirtualServices that people wrote
  std::uint64_t revision = 0;
  std::map<std::uint64_t, std::map<std::string, std::string>> history{{0, {}}};
  std::map<std::string, Proxy> connected;

 private:
  const Clock& clock_;
};

// A real one in memory, whose disk may be full.
class FullStore final : public Store {
 public:
  Result<std::map<std::string, std::string>> documents() override { return store_->documents(); }
  Status commit(const Batch& batch) override {
    if (full) return Error{Code::unavailable, "store.db: database or disk is full"};
    return store_->commit(batch);
  }
  Result<std::vector<Act>> acts(const ActFilter& filter) override { return store_->acts(filter); }
  Result<std::optional<std::string>> reply(const std::string& key) override {
    return store_->reply(key);
  }
  bool full = false;

 private:
  std::unique_ptr<Store> store_ = std::move(*Store::open(":memory:"));
};

class FakeJudge final : public Judge {
 public:
  Word verdict(const Release&, const model::GrayStep&) override { return word; }
  Word word{Verdict::not_yet, ""};
};

// Lanes are used when a test says so.
class FakeUsage final : public Usage {
 public:
  explicit FakeUsage(Clock::Wall since) : since_(since) {}
  void follow(const World& world) override {
    followed.clear();
    for (const auto& [name, lane] : world.lanes) followed.insert(name);
  }
  std::optional<Clock::Wall> last(const Name& lane) const override {
    const auto found = used.find(lane);
    return found == used.end() ? std::nullopt : std::optional(found->second);
  }
  Clock::Wall since() const override { return since_; }

  std::set<Name> followed;
  std::map<Name, Clock::Wall> used;

 private:
  Clock::Wall since_;
};

inline const Actor ann{"ann", "127.0.0.1"}, bob{"bob", "127.0.0.1"};

}  // namespace graymesh::release::testing
