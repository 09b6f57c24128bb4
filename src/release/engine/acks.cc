// What is waited for: that all proxies have ACKed, that all instances are ready. What is missing is
// said by name; a receipt tells how long the ACKs took.
#include <fmt/core.h>

#include <algorithm>

#include "release/engine/core.h"

namespace graymesh::release {
namespace {

double millis(std::chrono::nanoseconds span) {
  return std::chrono::duration<double, std::milli>(span).count();
}

Receipt receipt_of(std::string what, const Wait& wait, const Progress& progress,
                   const std::vector<Mesh::Proxy>& proxies, Clock::Wall now) {
  Receipt out;
  out.what = std::move(what);
  out.proxies = progress.proxies;
  out.acked = progress.acked;
  out.missing = progress.missing;
  out.at = now;
  for (const auto& proxy : proxies) {
    const auto& missing = out.missing;
    if (proxy.refuses && std::find(missing.begin(), missing.end(), proxy.id) != missing.end())
      out.refused.push_back(proxy.id);
  }
  std::vector<std::pair<double, const std::string*>> taken;
  for (const auto& [id, at] : wait.reached)
    taken.emplace_back(std::max(0.0, millis(at - wait.begun)), &id);
  if (taken.empty()) return out;
  std::sort(taken.begin(), taken.end());
  const auto at_share = [&](std::size_t percent) {
    return taken[(taken.size() * percent + 99) / 100 - 1].first;
  };
  out.p50_ms = at_share(50);
  out.p99_ms = at_share(99);
  out.last_ms = taken.back().first;
  out.last = *taken.back().second;
  return out;
}

}  // namespace

std::string Engine::Core::waits_key(const Release& release) {
  return fmt::format("release/{}", release.id);
}

Wait& Engine::Core::wait_for(const std::string& key, const std::string& what, Clock::Wall since) {
  Wait& wait = waits_[key];
  if (wait.what != what) {
    wait = {.what = what,
            .revision = revision_,
            .begun = written_at_ >= since ? written_at_ : parts_.clock.wall(),
            .reached = {}};
  }
  return wait;
}

bool Engine::Core::has_acked(Wait& wait, Progress& progress) const {
  progress.waiting = true;
  std::set<std::string> connected;
  for (const auto& proxy : proxies_) {
    connected.insert(proxy.address);
    if (isolated_.contains(proxy.address)) continue;
    ++progress.proxies;
    if (proxy.reached >= wait.revision) {
      wait.reached.try_emplace(proxy.id, std::max(proxy.at, wait.begun));
      ++progress.acked;
    } else {
      progress.missing.push_back(proxy.id);
    }
  }
  // A ready instance whose proxy has lost us goes on by what it knew.
  for (const auto& instance : instances_) {
    if (instance.phase != workload::Instance::Phase::ready ||
        connected.contains(instance.address) || isolated_.contains(instance.address))
      continue;
    ++progress.proxies;
    progress.missing.push_back(
        fmt::format("{}.{} (not connected)", instance.name, instance.namespace_));
  }
  return progress.missing.empty();
}

// The receipt of what `release` waits for, once it is there.
std::optional<Receipt> Engine::Core::acked(const Release& release, const std::string& what) {
  const std::string key = waits_key(release);
  const std::string phase = fmt::format("{} {} {}", name_of(release.phase), release.step,
                                        release.since.time_since_epoch().count());
  Wait& wait = wait_for(key, phase, release.since);
  Progress& progress = progress_[release.id];
  const auto now = parts_.clock.wall();
  if (has_acked(wait, progress)) return receipt_of(what, wait, progress, proxies_, now);

  const auto patience = release.spec.laggards_after.value_or(laggards_after_default);
  const auto until = wait.begun + std::chrono::duration_cast<Clock::Wall::duration>(patience);
  progress.waits_for = fmt::format("{} of {} proxies have ACKed", progress.acked, progress.proxies);
  if (now < until) {
    wake_at(until);
    return std::nullopt;
  }
  using Laggards = model::GrayRelease::Laggards;
  if (release.spec.laggards == Laggards::go_on)
    return receipt_of(what, wait, progress, proxies_, now);
  if (release.spec.laggards == Laggards::isolate) {
    bool more = false;
    for (const auto& instance : instances_) {
      const auto proxy = std::find_if(proxies_.begin(), proxies_.end(), [&](const auto& it) {
        return it.address == instance.address;
      });
      const bool behind = proxy == proxies_.end() || proxy->reached < wait.revision;
      if (behind && instance.phase == workload::Instance::Phase::ready)
        more |= isolated_.insert(instance.address).second;
    }
    looks_same_ = looks_same_ && !more;
    // Without them once more, from now on: their going is a change of its own.
    if (more) waits_.erase(key);
    if (more) wake_at(now);
  }
  return std::nullopt;
}

bool Engine::Core::all_ready(const Name& application, const Artefact& artefact,
                             const std::string& tag, Progress& progress) const {
  const std::string group =
      fmt::format("{}-{}-{}", application.name, tag.empty() ? "baseline" : tag, artefact.revision);
  std::uint32_t ready = 0;
  std::string message;
  for (const auto& instance : instances_) {
    if (instance.namespace_ != application.namespace_ || instance.group != group) continue;
    if (instance.phase == workload::Instance::Phase::ready)
      ++ready;
    else if (!instance.message.empty())
      message = fmt::format("{}: {}", instance.name, instance.message);
  }
  if (ready >= artefact.replicas) return true;
  progress.waits_for =
      fmt::format("{} of {} instances of {} are ready", ready, artefact.replicas, group);
  if (!message.empty()) progress.waits_for += "; " + message;
  return false;
}

}  // namespace graymesh::release
