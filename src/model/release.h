// What teams write to release: Application, GrayRelease, Lane, Environment (graymesh.io/v1alpha1).
// docs/schemas/ has the same as JSON schemas.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/analysis.h"
#include "model/traffic.h"

namespace graymesh::model {

struct ApplicationPort {
  std::string name;
  std::uint32_t number = 0;
  std::string protocol = "HTTP";  // as Istio's: HTTP, HTTP2, GRPC, TCP, ...
  Position position;

  bool operator==(const ApplicationPort&) const = default;
};

// What is started, once for each instance. $(ADDRESS), $(PORT), $(VERSION), ... are replaced.
struct Run {
  std::string version;               // of the artefact, for people: "1.4.2", a commit
  std::vector<std::string> command;  // empty only for gateways
  Labels environment;
  std::string directory;
  std::uint64_t memory_bytes = 0;  // 0: no limit
  double cpus = 0;

  bool operator==(const Run&) const = default;
};

struct HealthProbe {
  enum class Kind : std::uint8_t { http, tcp, command };
  Kind kind = Kind::tcp;
  std::string path = "/";
  std::uint32_t port = 0;  // 0: the first
  std::vector<std::string> command;
  std::optional<Duration> initial_delay, period, timeout;
  int failures = 3;
  int successes = 1;

  bool operator==(const HealthProbe&) const = default;
};

// What an Application's callers may expect over 30 days. Nothing in the mesh acts on it: `graymesh
// render --monitoring` makes alerts of it.
struct Slo {
  double availability = 0;            // percent of requests that are not answered 5xx
  std::optional<Duration> threshold;  // of latency; a bound of Envoy's histogram
  double target = 99;                 // percent of requests within `threshold`

  bool operator==(const Slo&) const = default;
};

struct Application {
  std::string team;
  std::vector<ApplicationPort> ports;  // at least one
  std::vector<std::string> hosts;      // beside its own name in the mesh
  std::vector<std::string> gateways;   // "namespace/name" where `hosts` are served
  Run run;
  std::uint32_t replicas = 1;  // of the baseline
  std::optional<HealthProbe> readiness, liveness, startup;
  std::optional<Duration> drain, stop;  // before SIGTERM; before SIGKILL
  // Its instances are proxies alone, labelled for Istio's Gateways.
  bool gateway = false;
  // Which requests may be sent again when a connection breaks after they were sent (an instance
  // died): of methods that are safe by RFC 9110 9.2.1, of idempotent ones (9.2.2), or none.
  enum class Repeat : std::uint8_t { safe, idempotent, none };
  Repeat repeat = Repeat::safe;
  std::optional<Slo> slo;

  bool operator==(const Application&) const = default;
};

// One way into a gray version: all that is given must hold.
struct GrayMatch {
  NamedMatches headers, cookies, query;
  std::string source_application;  // "web", of the same namespace, or "web.fe-pre"

  bool operator==(const GrayMatch&) const = default;
};

// A step of weight; then it waits: for a time, for a person, for a verdict; for nothing if none is
// given. One at most judges it: a hook or an analysis.
struct GrayStep {
  std::uint32_t weight = 0;  // percent
  std::optional<Duration> pause;
  bool approval = false;
  std::string hook;  // URL of a verdict hook; empty: none
  std::optional<Analysis> analysis;
  Position position;

  bool judged() const { return !hook.empty() || analysis.has_value(); }
  bool operator==(const GrayStep&) const = default;
};

struct GrayApplication {
  std::string name;
  Run run;  // what differs from the Application's
  std::uint32_t replicas = 1;
  Position position;

  bool operator==(const GrayApplication&) const = default;
};

struct GrayRelease {
  std::string tag;                            // canarytag of its instances
  std::vector<GrayApplication> applications;  // all or nothing
  // Any of them. Empty: the lane header `canarytag: <tag>`, its cookie, query and baggage.
  std::vector<GrayMatch> match;
  std::vector<GrayStep> steps;  // empty: matches only
  std::string sticky_cookie;    // of weighted requests; empty: graymesh-<application>
  enum class Laggards : std::uint8_t { hold, isolate, go_on };
  Laggards laggards = Laggards::hold;
  std::optional<Duration> laggards_after;  // 10 s
  std::optional<Duration> ready_within;    // of its instances; 5 min, then it rolls back
  bool promote = false;                    // by itself after the last step
  std::string promote_to;  // namespace where it is released when it was promoted; empty: none

  bool operator==(const GrayRelease&) const = default;
};

struct Lane {
  std::string owner, branch;
  std::optional<Duration> time_to_live, idle;  // else the Environment's
  bool strict = false;  // where an application is not in the lane: 503 instead of the baseline

  bool operator==(const Lane&) const = default;
};

// The policy of the namespace it is in.
struct Environment {
  struct Freeze {
    std::int64_t from = 0, to = 0;  // seconds since 1970
    std::string reason;
    bool operator==(const Freeze&) const = default;
  };
  bool lanes = true, weights = true;   // what is allowed
  std::uint32_t approvals = 0;         // before a promotion
  bool four_eyes = false;              // not by who started it
  std::vector<std::string> approvers;  // names; empty: anybody
  std::optional<Duration> lane_time_to_live, lane_idle;
  std::uint32_t baseline_minimum = 1;  // ready instances of each application
  std::vector<Freeze> freezes;
  std::string promote_to;     // namespace
  std::string cookie_domain;  // of the lane's cookie

  bool operator==(const Environment&) const = default;
};

}  // namespace graymesh::model
