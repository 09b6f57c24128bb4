// Counts from the proxies that call an application: what came between two of graymeshd's looks at
// all of them.
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "release/analysis/analysis.h"

namespace graymesh::release {
namespace {

constexpr const char* baseline_subset = "baseline";

// A try that was repeated is a request that failed: else a version whose failures somebody else
// makes good would look well.
verdict::Arm arm_of(const live::Counts& counts) {
  const double all = counts.requests() + counts.retries;
  // Statistics are read one after the other, while requests end.
  return {std::min(counts.failures() + counts.retries, all), all};
}

verdict::Latencies latencies_of(const live::Counts& counts) {
  verdict::Latencies out{};
  for (const auto& [bucket, count] : counts.ms)
    verdict::add(out, live::lower_bound(bucket), live::lower_bound(bucket + std::size_t{1}), count);
  return out;
}

class ProxyMetrics final : public MetricsQuery {
 public:
  explicit ProxyMetrics(Figures& figures) : figures_(figures) {}

  Result<std::optional<verdict::Sample>> counts(const Target& target) override {
    live::Tally now = figures_.of(target.application);
    Reading& reading = readings_[target.release][target.application];
    if (reading.step != target.step) {
      reading.step = target.step;
      reading.after = now.begun;
      reading.before.reset();
    }
    if (now.ended > 0 && now.read == 0)
      return Error{Code::unavailable,
                   now.silent == 0
                       ? "no proxy is known"
                       : fmt::format("none of {} proxies answers: {}", now.silent, now.fault)};
    // A look that had begun by then may have read some proxies before the step.
    if (now.ended <= reading.after) return std::optional<verdict::Sample>();
    const auto before = std::exchange(reading.before, std::move(now));
    if (!before || before->ended == reading.before->ended) return std::optional<verdict::Sample>();
    const live::Counts gray = came(*before, *reading.before, target.tag);
    const live::Counts baseline = came(*before, *reading.before, baseline_subset);
    return std::optional(verdict::Sample{.requests = {arm_of(gray), arm_of(baseline)},
                                         .gray_ms = latencies_of(gray),
                                         .baseline_ms = latencies_of(baseline)});
  }

  void keep(const std::set<std::uint64_t>& releases) override {
    std::erase_if(readings_, [&](const auto& entry) { return !releases.contains(entry.first); });
    std::set<Name> applications;
    for (const auto& [release, readings] : readings_) {
      for (const auto& [application, reading] : readings) applications.insert(application);
    }
    figures_.keep(applications);
  }

 private:
  struct Reading {
    std::optional<std::size_t> step = {};
    std::uint64_t after = 0;  // looks that began later are of the step
    std::optional<live::Tally> before = {};
  };

  static live::Counts came(const live::Tally& before, const live::Tally& now,
                           const std::string& subset) {
    const auto of = [&](const live::Tally& tally) {
      const auto found = tally.subsets.find(subset);
      return found == tally.subsets.end() ? live::Counts() : found->second;
    };
    return live::since(of(before), of(now));
  }

  Figures& figures_;
  std::map<std::uint64_t, std::map<Name, Reading>> readings_;
};

}  // namespace

std::unique_ptr<MetricsQuery> proxy_metrics(Figures& figures) {
  return std::make_unique<ProxyMetrics>(figures);
}

}  // namespace graymesh::release
