// Counts from the proxies themselves, as their admins tell them.
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "release/analysis/analysis.h"
#include "release/verdict/answers.h"

namespace graymesh::release {
namespace {

using namespace std::chrono_literals;
using verdict::ClusterCounts;

constexpr std::size_t proxies_max = 200;  // in one look: some 1 ms each
constexpr auto look_max = 5s;             // some that hang, with Fetch's patience for each
constexpr auto leave_alone = 30s;
constexpr std::string_view baseline_subset = "baseline";

// "outbound|8080|feature-a|web.fe-pre.svc.cluster.local": "feature-a". Empty if it is no such name,
// or not of `host`.
std::string_view subset_of(std::string_view cluster, std::string_view host) {
  const auto port = cluster.find('|');
  const auto subset = cluster.find('|', port == cluster.npos ? port : port + 1);
  const auto name = cluster.find('|', subset == cluster.npos ? subset : subset + 1);
  if (name == cluster.npos || !cluster.substr(name + 1).starts_with(host)) return {};
  return cluster.substr(subset + 1, name - subset - 1);
}

void add(ClusterCounts& to, const ClusterCounts& more) {
  to.requests += more.requests;
  to.failures += more.failures;
  for (std::size_t i = 0; i < verdict::latency_buckets; ++i) to.ms[i] += more.ms[i];
}

class ProxyMetrics final : public MetricsQuery {
 public:
  ProxyMetrics(Fetch fetch, std::function<std::vector<std::string>()> addresses, const Clock& clock)
      : fetch_(std::move(fetch)), addresses_(std::move(addresses)), clock_(clock) {}

  Result<std::optional<verdict::Sample>> counts(const Target& target) override {
    Reading& reading = readings_[target.release][target.application.name];
    const std::string host =
        fmt::format("{}.{}.svc.", target.application.name, target.application.namespace_);
    if (std::exchange(reading.step, target.step) != target.step) reading.proxies.clear();
    const auto addresses = chosen(reading);
    const auto end = clock_.now() + look_max;
    ClusterCounts gray, baseline;
    std::size_t answered = 0;
    bool compared = false;
    std::string fault = "no proxy is known";
    for (const std::string& address : addresses) {
      if (clock_.now() >= end) break;
      ++reading.turn;
      auto clusters = ask(address, host);
      if (!clusters) {
        fault = clusters.error().message;
        continue;
      }
      ++answered;
      const auto before = reading.proxies.find(address);
      if (before != reading.proxies.end()) {
        compared = true;
        for (const auto& [name, now] : *clusters) {
          const auto subset = subset_of(name, host);
          const ClusterCounts more = verdict::since(before->second[name], now);
          if (subset == target.tag) add(gray, more);
          if (subset == baseline_subset) add(baseline, more);
        }
      }
      reading.proxies[address] = std::move(*clusters);
    }
    if (answered == 0)
      return Error{Code::unavailable,
                   fmt::format("none of {} proxies answers: {}", addresses.size(), fault)};
    // What each had counted before is of another time.
    if (!compared) return std::optional<verdict::Sample>();
    verdict::Sample sample;
    sample.requests = {{gray.failures, gray.requests}, {baseline.failures, baseline.requests}};
    sample.gray_ms = gray.ms;
    sample.baseline_ms = baseline.ms;
    return std::optional(sample);
  }

  void keep(const std::set<std::uint64_t>& releases) override {
    std::erase_if(readings_, [&](const auto& entry) { return !releases.contains(entry.first); });
  }

 private:
  using Clusters = std::map<std::string, ClusterCounts>;
  struct Reading {
    std::map<std::string, Clusters> proxies = {};
    std::size_t turn = 0;  // of whom is asked first
    std::size_t step = 0;
  };

  // Some of those that are there now, the others the next time.
  std::vector<std::string> chosen(Reading& reading) {
    std::vector<std::string> all = addresses_();
    const std::set<std::string> there(all.begin(), all.end());
    std::erase_if(reading.proxies, [&](const auto& entry) { return !there.contains(entry.first); });
    std::erase_if(silent_, [&](const auto& entry) { return entry.second < clock_.now(); });
    std::erase_if(all, [&](const std::string& address) { return silent_.contains(address); });
    if (all.empty()) return all;
    std::ranges::rotate(all, all.begin() + static_cast<std::ptrdiff_t>(reading.turn % all.size()));
    all.resize(std::min(all.size(), proxies_max));
    return all;
  }

  Result<Clusters> ask(const std::string& address, const std::string& host) {
    auto page = fetch_("http://" + address + verdict::envoy_stats_path(host));
    if (!page) {
      silent_[address] = clock_.now() + leave_alone;
      return page.error();
    }
    auto read = verdict::read_envoy_stats(*page);
    if (!read) return Error{read.error().code, address + ": " + read.error().message};
    return read;
  }

  const Fetch fetch_;
  const std::function<std::vector<std::string>()> addresses_;
  const Clock& clock_;
  std::map<std::uint64_t, std::map<std::string, Reading>> readings_;
  std::map<std::string, Clock::Steady> silent_;
};

}  // namespace

std::unique_ptr<MetricsQuery> proxy_metrics(Fetch fetch,
                                            std::function<std::vector<std::string>()> addresses,
                                            const Clock& clock) {
  return std::make_unique<ProxyMetrics>(std::move(fetch), std::move(addresses), clock);
}

}  // namespace graymesh::release
