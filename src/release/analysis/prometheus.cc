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

// Less may lie between two scrapes.
constexpr auto window_default = 60s;

// As a Prometheus keeps what callers' proxies count (docs/monitoring.md; relabel.cc of monitoring);
// a version without a failure yet has no series of failures, which the second part of `bad` says
// is none. A try that was repeated is a request that failed, as in proxies.cc.
constexpr const char* total_default =
    R"q(sum(increase(envoy_cluster_upstream_rq{$(CALLS)}[$(WINDOW)])) + )q"
    R"q((sum(increase(envoy_cluster_upstream_rq_retry{$(CALLS)}[$(WINDOW)])) or vector(0)))q";
constexpr const char* bad_default =
    R"q((sum(increase(envoy_cluster_upstream_rq{$(CALLS),response_code_class="5xx"}[$(WINDOW)])) )q"
    R"q(or vector(0)) + )q"
    R"q((sum(increase(envoy_cluster_upstream_rq_retry{$(CALLS)}[$(WINDOW)])) or vector(0)))q";
constexpr const char* latency_default =
    R"q(sum by (le) (increase(envoy_cluster_upstream_rq_time_bucket{$(CALLS)}[$(WINDOW)])))q";
constexpr const char* calls = R"q(namespace="$(NAMESPACE)",service="$(APPLICATION)",$(LABELS))q";

// One of both versions.
struct Version {
  std::string subset = {}, artefact = {};
};

// The labels of a version there.
std::string labels_of(const Version& version) {
  return version.subset == "baseline" ? R"(stage="normal")"
                                      : fmt::format(R"(canarytag="{}")", version.subset);
}

// As part of a string in double quotes.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
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
        target.analysis.window.value_or(window_default), target.analysis.interval.value_or(0s));
    // A window that began before the step did is not of the step.
    const bool other_step = std::exchange(step, target.step) != target.step;
    if (!asked || other_step) asked = now;
    if (now - *asked < window) return std::optional<verdict::Sample>();
    const Question question{target, std::chrono::duration_cast<std::chrono::seconds>(now - *asked)};
    asked = now;
    const Version gray{target.tag, target.version}, baseline{"baseline", target.baseline};
    if (target.analysis.queries.empty()) return requests(question, gray, baseline);
    verdict::Sample sample;
    for (const auto& query : target.analysis.queries) {
      const auto of_gray = TRY(arm(question, query, gray));
      const auto of_baseline = TRY(arm(question, query, baseline));
      if (!of_gray || !of_baseline) continue;
      sample.custom[query.name] = {*of_gray, *of_baseline};
      // The first tells how much traffic there is, where the proxies do not.
      if (!target.analysis.proxies && sample.custom.size() == 1)
        sample.requests = {*of_gray, *of_baseline};
    }
    if (sample.custom.empty()) return std::optional<verdict::Sample>();
    return std::optional(sample);
  }

  void keep(const std::set<std::uint64_t>& releases) override {
    std::erase_if(asked_, [&](const auto& entry) { return !releases.contains(entry.first); });
  }

 private:
  struct Question {
    const Target& target;
    std::chrono::seconds window{};
  };

  // Success and latency. None where one of both versions is not there.
  Result<std::optional<verdict::Sample>> requests(const Question& question, const Version& gray,
                                                  const Version& baseline) const {
    const model::Analysis::Query own{.name = "success rate", .total = {}, .bad = {}};
    const auto of_gray = TRY(arm(question, own, gray));
    const auto of_baseline = TRY(arm(question, own, baseline));
    if (!of_gray || !of_baseline) return std::optional<verdict::Sample>();
    verdict::Sample sample{.requests = {*of_gray, *of_baseline}};
    sample.gray_ms = TRY(latencies(question, gray));
    sample.baseline_ms = TRY(latencies(question, baseline));
    return std::optional(sample);
  }

  Result<std::optional<verdict::Latencies>> latencies(const Question& question,
                                                      const Version& version) const {
    const std::string answer = TRY(page(question, latency_default, version));
    return verdict::read_prometheus_latencies(answer);
  }

  // None where one of both numbers is none.
  Result<std::optional<verdict::Arm>> arm(const Question& question,
                                          const model::Analysis::Query& query,
                                          const Version& version) const {
    const auto number = [&](const std::string& text,
                            const char* otherwise) -> Result<std::optional<double>> {
      const std::string answer = TRY(page(question, text.empty() ? otherwise : text, version));
      auto read = verdict::read_prometheus(answer);
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

  // What is answered to `words`, of one version.
  Result<std::string> page(const Question& question, std::string words,
                           const Version& version) const {
    const Target& target = question.target;
    words = replaced(std::move(words), "$(CALLS)", calls);
    words = replaced(std::move(words), "$(LABELS)", labels_of(version));
    words = replaced(std::move(words), "$(NAMESPACE)", target.application.namespace_);
    words = replaced(std::move(words), "$(APPLICATION)", target.application.name);
    words = replaced(std::move(words), "$(SUBSET)", version.subset);
    words = replaced(std::move(words), "$(VERSION)", escaped(version.artefact));
    words = replaced(std::move(words), "$(BASELINE)", escaped(target.baseline));
    words = replaced(std::move(words), "$(WINDOW)", fmt::format("{}s", question.window.count()));
    std::string address = target.analysis.prometheus;
    if (address.ends_with('/')) address.pop_back();
    return fetch_(fmt::format("{}/api/v1/query?query={}", address, encoded(words)));
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
