// A Runtime without processes: instances become what a test says. It plans as the real one does, so
// that a test of the release engine sees the same names, the same roll and the same holding.
#pragma once

#include <mutex>
#include <set>

#include "release/workload/address.h"
#include "release/workload/workload.h"

namespace graymesh::workload {

class FakeRuntime final : public Runtime {
 public:
  // `on_change` is called by whoever changed something, on his thread, before his call returns.
  explicit FakeRuntime(
      const Clock& clock, std::function<void()> on_change = [] {})
      : clock_(clock), on_change_(std::move(on_change)) {}

  Status apply(std::vector<Group> wanted) override;
  std::vector<Instance> instances() const override;
  void release(const std::string& namespace_, const std::string& name) override;

  // What the world does. False if there is no such instance.
  bool become(const std::string& namespace_, const std::string& name, Instance::Phase phase,
              const std::string& message = "");
  bool become_ready(const std::string& namespace_, const std::string& name);
  void all_become_ready();  // that are not on their way out
  // It dies, and waits for its next start.
  bool kill(const std::string& namespace_, const std::string& name);
  void hold_max_passes();  // every terminating instance goes

  // From now on instances are ready as soon as they are started.
  void ready_at_once() { ready_at_once_ = true; }
  std::vector<Group> wanted() const;

 private:
  bool set(const std::string& namespace_, const std::string& name, Instance::Phase phase,
           const std::string& message, int more_restarts);
  void settle();
  Instance* find(const std::string& namespace_, const std::string& name);

  struct Made {
    Instance instance;
    Template pod;
  };

  const Clock& clock_;
  const std::function<void()> on_change_;
  bool ready_at_once_ = false;
  mutable std::mutex mutex_;
  std::vector<Group> wanted_;
  std::vector<Made> made_;    // sorted by namespace and name
  std::set<Loopback> taken_;  // never again: not even much later
};

}  // namespace graymesh::workload
