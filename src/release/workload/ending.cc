// What a Runtime would do last, done without one: each keeper is asked as the Runtime would ask it,
// and does the draining.
#include "release/workload/ending.h"

#include <fmt/core.h>
#include <poll.h>

extern "C" {  // which glibc 2.36 has forgotten
#include <sys/pidfd.h>
}

#include <algorithm>
#include <csignal>

#include "base/descriptor.h"
#include "base/file.h"
#include "release/workload/folder.h"
#include "release/workload/kept.h"
#include "release/workload/record.h"

namespace graymesh::workload {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

struct Going {
  fs::path folder;
  std::string name;
  Spec spec;  // as far as it can be read
  Descriptor keeper;
  Clock::Steady deadline{};
  bool killed = false;
};

// The keeper that holds the instance's lock; none if it is dead.
Descriptor keeper_of(const fs::path& folder) {
  const auto lock = folder / "lock";
  const pid_t pid = holder(lock);
  if (pid == 0) return Descriptor();
  Descriptor keeper(::pidfd_open(pid, 0));
  // Ended meanwhile: the number may be another's.
  return keeper && holder(lock) == pid ? std::move(keeper) : Descriptor();
}

std::vector<fs::path> instance_folders(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(making) && fs::exists(entry.path() / "spec.json", error))
      found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<Going> all_of(const fs::path& folder) {
  std::vector<Going> out;
  for (const auto& path : instance_folders(folder)) {
    Going going{
        .folder = path, .name = path.filename().string(), .spec = {}, .keeper = Descriptor()};
    if (const auto text = read_file(path / "spec.json")) {
      if (auto spec = read_spec(*text, "")) going.spec = *std::move(spec);
    }
    going.keeper = keeper_of(path);
    out.push_back(std::move(going));
  }
  return out;
}

bool ended_in_order(const fs::path& folder) {
  const auto text = read_file(folder / "status.json");
  const auto state = text ? read_state(*text, "") : Result<State>(text.error());
  return state && state->ended;
}

// Waits for `going`, all of which were asked to end; the late ones are killed.
void await(std::vector<Going*> going, EndedInstances& counts,
           const std::function<void(const Going&)>& ended) {
  const SystemClock clock;
  while (!going.empty()) {
    std::vector<pollfd> polled;
    auto until = Clock::Steady::max();
    for (const Going* one : going) {
      polled.push_back({one->keeper.get(), POLLIN, 0});
      until = std::min(until, one->deadline);
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock.now());
    const auto patience = std::clamp<std::chrono::milliseconds>(left, 0ms, 60'000ms);
    ::poll(polled.data(), polled.size(), static_cast<int>(patience.count()));
    std::vector<Going*> still;
    for (std::size_t i = 0; i < going.size(); ++i) {
      Going& one = *going[i];
      if (polled[i].revents == 0) {
        still.push_back(&one);
        if (clock.now() < one.deadline) continue;
        ::pidfd_send_signal(one.keeper.get(), SIGKILL, nullptr, 0);
        one.killed = true;
        one.deadline = clock.now() + 60s;
        continue;
      }
      one.keeper.reset();
      if (one.killed || !ended_in_order(one.folder)) {
        ++counts.killed;
        kill_leftovers(one.folder);
      }
      ++counts.ended;
      ended(one);
    }
    going = std::move(still);
  }
}

}  // namespace

std::vector<std::string> living_instances(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& path : instance_folders(folder)) {
    if (holder(path / "lock") != 0) names.push_back(path.filename().string());
  }
  return names;
}

Result<EndedInstances> end_instances(
    const fs::path& folder,
    const std::function<void(const std::string& name, std::size_t left)>& told) {
  if (const pid_t pid = holder(folder / "lock"); pid != 0) {
    return Error{Code::failed_precondition,
                 fmt::format("{} is in use by process {}, which would start its instances again",
                             folder.string(), pid)};
  }
  const SystemClock clock;
  std::vector<Going> all = all_of(folder);
  std::size_t left = static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [](const Going& one) { return bool(one.keeper); }));
  EndedInstances counts;
  for (const bool gateways : {true, false}) {
    std::vector<Going*> round;
    for (Going& one : all) {
      if (one.spec.pod.gateway != gateways) continue;
      if (!one.keeper) {
        kill_leftovers(one.folder);
        continue;
      }
      ::pidfd_send_signal(one.keeper.get(), SIGTERM, nullptr, 0);
      one.deadline = clock.now() + one.spec.pod.drain + one.spec.pod.stop + keeper_stops;
      round.push_back(&one);
    }
    await(std::move(round), counts, [&](const Going& one) { told(one.name, --left); });
  }
  return counts;
}

}  // namespace graymesh::workload
