// Runs versions. A Group is what a ReplicaSet is: so many equal instances of one version. Here an
// instance is a process of the application with its own sidecar, on loopback addresses of its own;
// on Kubernetes the same Group becomes a ReplicaSet and the sidecar is injected.
//
// Say what shall run, as often as you like; the Runtime brings it about and tells what is.
// Instances live apart from us: each has a keeper (`graymesh instance run`), a process of its own
// that starts, probes, restarts and stops the application and its sidecar. So the death of
// graymeshd stops nothing, and the next one finds what the last one started.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace graymesh::workload {

using Labels = std::map<std::string, std::string, std::less<>>;

// As Kubernetes' probes. Ports are the application's own.
struct Probe {
  enum class Kind : std::uint8_t { none, http, tcp, command };
  Kind kind = Kind::none;
  std::string path = {};   // http
  std::uint16_t port = 0;  // 0: the first port
  std::vector<std::string> command = {};
  std::chrono::milliseconds initial_delay{0};
  std::chrono::milliseconds period{1000};
  std::chrono::milliseconds timeout{1000};
  int failures_max = 3;   // in a row, and it has failed
  int successes_min = 1;  // in a row, and it has succeeded

  bool operator==(const Probe&) const = default;
};

struct Port {
  std::string name = {};
  std::uint16_t number = 0;

  bool operator==(const Port&) const = default;
};

// How one instance is run. In `command`, `environment` and probe commands, $(ADDRESS), $(PORT) (of
// the first port), $(PORT_<NAME>), $(INSTANCE), $(PROXY) are replaced; all of these are also in the
// environment, with http_proxy=$(PROXY). Commands may name what is in `environment`, too, as in
// Kubernetes. A `$(` that names nothing known stays as it is. The
// application must listen at $(ADDRESS): the twin of the instance's address, which its sidecar
// holds. Without a sidecar that is the instance's own, PROXY is empty and http_proxy is not set.
struct Template {
  Labels labels = {};
  std::vector<std::string> command = {};  // empty: a sidecar alone (a gateway)
  std::map<std::string, std::string> environment = {};
  std::string directory = {};  // empty: where graymeshd was started
  std::vector<Port> ports = {};
  Probe readiness = {};  // none: ready when all ports accept connections
  Probe liveness = {};
  Probe startup = {};
  // Asked to stop: the sidecar drains first (`drain` at most), then SIGTERM to the application,
  // then, after `stop`, SIGKILL.
  std::chrono::milliseconds drain{1000};
  std::chrono::milliseconds stop{10'000};
  std::uint64_t memory_bytes_max =
      0;                 // 0: no limit. By cgroup where one can be made, else RLIMIT_AS
  double cpus_max = 0;   // by cgroup; 0, or no cgroup: no limit
  bool gateway = false;  // its proxy is a `router`
  bool sidecar = true;
  std::string service_account = "default";

  bool operator==(const Template&) const = default;
};

// Named once per namespace, as a ReplicaSet: "web-baseline-1", "web-feature-a". A Group whose
// template changes is rolled: as many new instances become ready first, then the old ones go.
struct Group {
  std::string namespace_ = {};
  std::string name = {};
  int replicas = 1;
  Template pod = {};

  bool operator==(const Group&) const = default;
};

struct Instance {
  enum class Phase : std::uint8_t {
    starting,  // not yet ready for the first time
    ready,     // application and sidecar are ready for requests
    unready,   // was ready; its probe fails or its process died and is being restarted
    crashing,  // waits before the next start: `message` says how often it fell, how and when next
    terminating,  // must go, and waits for release() or `hold_max`: takes requests still. One that
                  // takes none, because it is not ready, does not wait
    stopping,     // drains, then ends
  };
  std::string namespace_ = {};
  std::string group = {};
  std::string name = {};  // "web-feature-a-1": of the pod
  std::string address = {};
  Labels labels = {};
  std::vector<Port> ports = {};
  Phase phase = Phase::starting;
  int restarts = 0;
  std::string message = {};  // why it is not ready, for people
  Clock::Wall since{};       // of `phase`
  std::filesystem::path log = {};

  bool operator==(const Instance&) const = default;
};

std::string_view name_of(Instance::Phase phase);  // "starting", as above

class Runtime {
 public:
  virtual ~Runtime() = default;

  // All Groups that shall be; what is there and not named goes. Returns at once. invalid_argument
  // names what cannot be run (and then nothing changes).
  virtual Status apply(std::vector<Group> wanted) = 0;

  // All instances there are, sorted by namespace and name. Any thread.
  virtual std::vector<Instance> instances() const = 0;

  // A terminating instance gets no requests any more: it may stop. Unknown names are passed over.
  virtual void release(const std::string& namespace_, const std::string& name) = 0;
};

// Instances as processes of this machine.
struct ProcessOptions {
  std::filesystem::path folder = {};   // one folder below for each instance; made if missing
  std::filesystem::path program = {};  // `graymesh`, which keeps instances
  std::vector<std::string> control_planes = {};  // of the sidecars
  int block = 1;                                 // addresses are 127.<block>.y.z
  std::chrono::milliseconds hold_max{10'000};
  int sidecar_concurrency = 1;
  std::vector<std::string> sidecar_args = {};  // of every `graymesh sidecar run`, appended
};

// Takes over what runs in `folder` already; nothing of it is stopped before the first apply().
// failed_precondition while another Runtime has the folder. `on_change` is called on a thread of
// the Runtime after every change of what instances() tells. The Runtime's own end leaves the
// instances running.
Result<std::unique_ptr<Runtime>> process_runtime(const ProcessOptions& options,
                                                 std::function<void()> on_change);

// The keeper of one instance: runs what `folder`/spec.json says until SIGTERM. Its state is in
// `folder`/status.json, replaced whole at each change; `folder`/lock is held while it lives. The
// exit code of `graymesh instance run`: 0 all ended in order, 4 something had to be killed, 1 it
// could not begin. The sidecar is our own program, called as `graymesh sidecar run`. Blocks; to be
// called from the main thread of a program that has no other.
int keep(const std::filesystem::path& folder);

}  // namespace graymesh::workload
