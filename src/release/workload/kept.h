// One instance and its keeper, as the Runtime's thread knows them: what stands in the folder, who
// keeps it, how often that fell, and what the two together are to be called.
//
// Nothing here waits: a keeper's end comes by its pidfd, its news by status.json, and whoever has
// all of them (process_runtime.cc) asks again.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/result.h"
#include "release/workload/backoff.h"
#include "release/workload/record.h"
#include "release/workload/workload.h"

namespace graymesh::workload {

// A folder that is being made has this before its name.
inline constexpr std::string_view making = ".new-";

// What an instance, and its folder, is known by: "fe-pre.web-1".
std::string key_of(const std::string& namespace_, const std::string& name);

struct Kept {
  static constexpr auto never = Clock::Steady::max();

  std::filesystem::path folder;
  Spec spec;
  std::string fault;  // of spec.json or status.json; empty: both can be read
  State told;         // by the keeper, or by the one before it
  Descriptor keeper;  // a pidfd; none: it does not run
  pid_t pid = 0;
  Clock::Steady started{};
  Backoff backoff;
  Clock::Steady next_start = never;  // of the keeper
  std::string keeper_end;
  int watch = -1;
  bool ever_ready = false;
  Clock::Steady leaves = never;  // terminating: when at the latest
  bool terminating = false;
  bool stopping = false;  // the keeper was told
  Clock::Steady stop_deadline = never;
  Instance shown;

  // Writes the folder of a new instance below `folder`. It has its name when all is in it.
  static Result<Kept> make(const std::filesystem::path& folder, const Spec& spec);
  // What somebody before us has made, and who keeps it now. If it cannot be read there is a fault,
  // and the spec is no more than its name.
  static Kept found(const std::filesystem::path& folder, Clock::Steady now);

  void refresh();  // `told`, from status.json
  // Finds the keeper that holds the instance's lock. False: there is none.
  bool attach(Clock::Steady now);
  // A process that cannot be had is tried again at `next_start`.
  void start_keeper(const std::string& program, Clock::Steady now);
  void stop(Clock::Steady now);
  // When one that begins to stop now must have ended: then it is stuck.
  Clock::Steady stops_until(Clock::Steady now) const;
  // Its pidfd says so: notes how, and when the next one starts. Unless there is another already.
  void keeper_ended(Clock::Steady now);

  bool told_by_keeper() const { return keeper && told.keeper == pid; }
  bool ready() const {
    return fault.empty() && told_by_keeper() && told.phase == Instance::Phase::ready;
  }
  Instance::Phase phase() const;
  std::string message() const;
  Instance describe(Clock::Wall now) const;
};

}  // namespace graymesh::workload
