#include "control/gather/gather.h"

namespace graymesh::gather {
namespace {

// Beyond what the uptime lags behind by itself: a main thread that is busy sets it late.
constexpr std::chrono::seconds busy{2};

}  // namespace

std::map<std::string, live::Counts> Followed::of(const live::Service& service) {
  std::lock_guard lock(mutex_);
  return sums_[service];
}

void Followed::keep(const std::set<live::Service>& services) {
  std::lock_guard lock(mutex_);
  std::erase_if(sums_, [&](const auto& entry) { return !services.contains(entry.first); });
}

Followed::Sums Followed::begin() const {
  std::lock_guard lock(mutex_);
  Sums out;
  for (const auto& [service, subsets] : sums_) out[service];
  return out;
}

void Followed::add(const Sums& sums) {
  std::lock_guard lock(mutex_);
  for (const auto& [service, subsets] : sums) {
    const auto known = sums_.find(service);
    if (known == sums_.end()) continue;
    for (const auto& [subset, counts] : subsets) known->second[subset] += counts;
  }
}

void add_steady(const Page& before, const Page& now, std::chrono::nanoseconds elapsed,
                Followed::Sums& sums) {
  const bool anew =
      now.uptime < before.uptime || now.uptime + flush + busy < before.uptime + elapsed;
  if (anew || sums.empty()) return;
  static const live::Counts none;
  // None: one of its subsets counts anew, as after it was taken away and came back.
  std::map<live::Service, std::optional<std::map<std::string, live::Counts>>> came;
  for (const auto& [name, counts] : now.clusters) {
    const auto target = live::target_of(name);
    if (!target) continue;
    const live::Service service{.namespace_ = target->namespace_, .name = target->service};
    if (!sums.contains(service)) continue;
    auto& subsets = came.try_emplace(service, std::in_place).first->second;
    const auto old = before.clusters.find(name);
    const auto more = live::more_than(old == before.clusters.end() ? none : old->second, counts);
    if (!more)
      subsets.reset();
    else if (subsets && *more != none)
      (*subsets)[target->subset] += *more;
  }
  for (const auto& [service, subsets] : came) {
    if (!subsets) continue;
    for (const auto& [subset, counts] : *subsets) sums[service][subset] += counts;
  }
}

}  // namespace graymesh::gather
