// Counts from a Prometheus: for each query how many requests, and how many bad ones, each version
// had in a window. Windows stand end to end, so that no request is counted twice.
#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "release/analysis/analysis.h"
#include "release/verdict/answers.h"

namespace graymesh::release {
namespace {

using namespace std::chrono_literals;

// Shorter ones are between two scrapes.
constexpr auto window_min = 60s;

// As a Prometheus keeps what callers' proxies count (docs/monitoring.md; relabel.cc of monitoring);
// a version without a failure yet has no series of failures, which the second part of `bad` says
// is none.
constexpr const char* total_default =
    R"q(sum(increase(envoy_cluster_upstream_rq{namespace="$(NAMESPACE)",service="$(APPLICATION)",)q"
    R"q($(VERSION)}[$(WINDOW)])))q";
constexpr const char* bad_default =
    R"q(sum(increase(envoy_cluster_upstream_rq{namespace="$(NAMESPACE)",service="$(APPLICATION)",)q"
    R"q($(VERSION),response_code_class="5xx"}[$(WINDOW)])) or vector(0))q";

// The labels of a version there.
std::string version_labels(const std::string& subset) {
  return subset == "baseline" ? R"(stage="normal")" : fmt::format(R"(canarytag="{}")", subset);
}

std::string replaced(std::string text, std::string_view what, const std::string& by) {
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

std::string encoded(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  }
  return out;
}

class PrometheusMetrics final : public MetricsQuery {
 public:
  PrometheusMetrics(Fetch fetch, const Clock& clock) : fetch_(std::move(fetch)), clock_(clock) {}

  Result<std::optional<verdict::Sample>> counts(const Target& target) override {
    auto& [asked, step] = asked_[target.release][target.application.name];
    const auto now = clock_.now();
    const auto window = std::max<std::chrono::nanoseconds>(
        window_min, target.analysis.interval.value_or(window_min));
    // A window that began before the step did is not of the step.
    const bool other_step = std::exchange(step, target.step) != target.step;
    if (!asked || other_step) asked = now;
    if (now - *asked < window) return std::optional<verdict::Sample>();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - *asked);
    asked = now;
    verdict::Sample sample;
    for (const auto& query : target.analysis.queries) {
      const auto gray = TRY(arm(target, query, target.tag, seconds));
      const auto baseline = TRY(arm(target, query, "baseline", seconds));
      if (!gray || !baseline) continue;
      sample.custom[query.name] = {*gray, *baseline};
      // The first tells how much traffic there is, where the proxies do not.
      if (!target.analysis.proxies && sample.custom.size() == 1)
        sample.requests = {*gray, *baseline};
    }
    if (sample.custom.empty()) return std::optional<verdict::Sample>();
    return std::optional(sample);
  }

  void keep(const std::set<std::uint64_t>& releases) override {
    std::erase_if(asked_, [&](const auto& entry) { return !releases.contains(entry.first); });
  }

 private:
  // None where one of both numbers is none.
  Result<std::optional<verdict::Arm>> arm(const Target& target, const model::Analysis::Query& query,
                                          const std::string& subset, std::chrono::seconds window) {
    const auto number = [&](const std::string& text,
                            const char* otherwise) -> Result<std::optional<double>> {
      std::string words = text.empty() ? otherwise : text;
      words = replaced(std::move(words), "$(VERSION)", version_labels(subset));
      words = replaced(std::move(words), "$(NAMESPACE)", target.application.namespace_);
      words = replaced(std::move(words), "$(APPLICATION)", target.application.name);
      words = replaced(std::move(words), "$(SUBSET)", subset);
      words = replaced(std::move(words), "$(WINDOW)", fmt::format("{}s", window.count()));
      std::string address = target.analysis.prometheus;
      if (address.ends_with('/')) address.pop_back();
      const std::string page =
          TRY(fetch_(fmt::format("{}/api/v1/query?query={}", address, encoded(words))));
      auto read = verdict::read_prometheus(page);
      if (!read)
        return Error{read.error().code,
                     fmt::format("query {}: {}", query.name, read.error().message)};
      return read;
    };
    const auto total = TRY(number(query.total, total_default));
    const auto bad = TRY(number(query.bad, bad_default));
    if (!total || !bad || *total < 0 || *bad < 0) return std::optional<verdict::Arm>();
    return std::optional(verdict::Arm{std::min(*bad, *total), *total});
  }

  const Fetch fetch_;
  const Clock& clock_;
  struct Asked {
    std::optional<Clock::Steady> last = {};
    std::size_t step = 0;
  };
  std::map<std::uint64_t, std::map<std::string, Asked>> asked_;
};

}  // namespace

std::unique_ptr<MetricsQuery> prometheus_metrics(Fetch fetch, const Clock& clock) {
  return std::make_unique<PrometheusMetrics>(std::move(fetch), clock);
}

}  // namespace graymesh::release
