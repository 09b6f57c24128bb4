// What stands in the folder of an instance, as JSON: spec.json, what its keeper is told (written
// once, before the folder has its name), and status.json, what the keeper tells (replaced whole).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "release/workload/workload.h"

namespace graymesh::workload {

struct Spec {
  std::string namespace_ = {};
  std::string group = {};
  std::string name = {};
  std::string address = {};
  Template pod = {};
  std::vector<std::string> control_planes = {};
  int sidecar_concurrency = 1;
  std::vector<std::string> sidecar_args = {};

  bool operator==(const Spec&) const = default;
};

struct State {
  Instance::Phase phase = Instance::Phase::starting;
  bool ended = false;  // in order; the folder may go
  int restarts = 0;
  std::string message = {};
  std::int64_t since_ms = 0;  // of `phase`, Unix time
  int keeper = 0;             // process ids; 0: does not run
  int application = 0;
  int sidecar = 0;
  std::string limits = {};  // which limits hold, and by what; empty: none were asked for

  bool operator==(const State&) const = default;
};

// Readers take bytes that are not UTF-8, or not ours, for an error that begins with `where` and
// names each field at fault. A field that is missing has its default: it is younger than the file.
std::string write_spec(const Spec& spec);
Result<Spec> read_spec(std::string_view json, const std::string& where);
std::string write_state(const State& state);
Result<State> read_state(std::string_view json, const std::string& where);

// Where the application listens: the twin of `address` if a sidecar holds that, else `address`.
std::string application_address(const Spec& spec);

}  // namespace graymesh::workload
