// One proxy beside one instance: who it is (Identity), what Envoy is told at start (bootstrap), and
// its life from the first process to the last connection (run). This is what istio-agent does in a
// pod; here it also works without iptables, on loopback addresses: the sidecar binds the instance's
// address and the application listens on the twin of it.
//
// Readiness is answered by us, from what we last learned, and never by Envoy: Envoy's admin answers
// on the thread that applies configuration, so a big push would make a healthy proxy look dead.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace graymesh::sidecar {

// Who the proxy is; becomes Istio's node id and node metadata.
struct Identity {
  enum class Type : std::uint8_t { sidecar, router };

  Type type = Type::sidecar;
  std::string address = {};  // the instance's IP, IPv4 or IPv6
  std::string name = {};     // of the pod: web-0
  std::string namespace_ = "default";
  std::map<std::string, std::string> labels = {};
  std::map<std::string, std::string> annotations = {};
  std::string service_account = "default";
  std::string workload = {};  // empty: label app, else the name
  std::string cluster_id = "Kubernetes";
  std::string mesh_id = "cluster.local";
  std::string network = {};    // empty: the default network
  std::string node_name = {};  // of the machine; empty: unknown
  std::string dns_domain = "cluster.local";
  std::string interception_mode = "NONE";  // NONE, REDIRECT or TPROXY
  // Where the application listens, for a sidecar with interception NONE. Empty: the twin of a
  // loopback `address`, else `address` itself.
  std::string app_address = {};
  std::string locality = {};          // region/zone/subzone, the later parts optional
  std::uint16_t http_proxy_port = 0;  // of the explicit HTTP proxy; 0: MeshConfig's proxyHttpPort

  bool operator==(const Identity&) const = default;
};

// sidecar~127.1.2.3~web-0.fe-pre~fe-pre.svc.cluster.local
std::string node_id(const Identity& identity);

// `workload`, or what stands for it.
std::string workload_of(const Identity& identity);

// Whose spans a proxy sends, as OTEL_RESOURCE_ATTRIBUTES has it (OpenTelemetry, SDK environment
// variables): "service.name=web.fe-pre,service.namespace=fe-pre,service.instance.id=web-0.fe-pre",
// and service.version, canarytag and stage where labels have them.
std::string span_attributes(const Identity& identity);

// 127.65.2.3 for 127.1.2.3: the second octet + 64. Empty for what is not 127.0.0.0/10.
std::string loopback_twin(std::string_view address);

// Istio's ports. 15001 and 15006 are listeners that the control plane sends (MeshConfig's
// proxyHttpPort, proxyListenPort, proxyInboundListenPort), and so not here.
struct Ports {
  std::uint16_t admin = 15000;
  std::uint16_t readiness = 15021;
  std::uint16_t stats = 15090;  // 0: no such listener

  bool operator==(const Ports&) const = default;
};

struct BootstrapOptions {
  std::vector<std::string> control_planes = {"127.0.0.1:15010"};  // host:port, each the same mesh
  bool delta = true;  // delta xDS; false: state of the world
  // Which statistics Envoy keeps: those that dashboards, verdicts and `graymesh` read, or all.
  // With 3,360 clusters the needed ones save 100 MB and scrape in 0.03 s instead of 1.3 s.
  bool all_stats = false;
  // Envoy counts requests under Istio's names (docs/adr/0014).
  bool request_metrics = true;
  // Virtual hosts one by one (docs/translation.md 4.12); nullopt: as the mesh has it.
  std::optional<bool> vhds = {};
  Ports ports = {};
};

// Where Envoy's admin is: at the instance's address if that is loopback, else at 127.0.0.1, because
// whoever reaches the admin owns the proxy.
std::string admin_address(const Identity& identity);

// Envoy's bootstrap as JSON. invalid_argument names every field that cannot be.
Result<std::string> bootstrap(const Identity& identity, const BootstrapOptions& options);

// `asked` if not empty; else $GRAYMESH_ENVOY, `envoy` beside our own program, or on PATH.
Result<std::filesystem::path> find_envoy(const std::filesystem::path& asked);

struct RunOptions {
  Identity identity = {};
  BootstrapOptions bootstrap = {};
  std::filesystem::path envoy_path = {};     // empty: see find_envoy
  std::vector<std::string> envoy_args = {};  // appended
  std::uint32_t concurrency = 2;             // worker threads
  std::string log_level = "warning";         // Envoy's own
  std::filesystem::path bootstrap_file =
      {};  // also written here for people to read; empty: nowhere
  // SIGTERM to the end of Envoy: it stops being ready and asks clients to go for `drain_duration`;
  // when no connection is left after `drain_min`, it does not wait for the rest.
  std::chrono::milliseconds drain_duration = std::chrono::seconds(5);
  std::chrono::milliseconds drain_min = std::chrono::seconds(1);
  std::chrono::milliseconds kill_after = std::chrono::seconds(5);  // asked to quit, then SIGKILL
  // One line for people about each thing that happens. Null: to standard error.
  std::function<void(std::string_view)> report = {};
};

// What `run` came to, as the exit code of `graymesh sidecar run`. An Error is a set-up that cannot
// work (bad option, no Envoy, readiness port taken): exit code 1.
enum class Outcome : std::uint8_t {
  stopped = 0,          // asked to stop, and everything ended in order
  would_not_start = 3,  // Envoy ended several times without having once been live
  killed = 4,  // asked to stop, but Envoy did not quit and was killed, or a second signal came
};

// Envoy gets this process's environment, and OTEL_RESOURCE_ATTRIBUTES (span_attributes) unless it
// is set.
//
// Runs one proxy until SIGTERM or SIGINT; a second one hastens. Restarts an Envoy that dies.
// Blocks; to be called from the main thread of a program: the death of the calling thread kills
// Envoy.
Result<Outcome> run(const RunOptions& options);

}  // namespace graymesh::sidecar
