#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "release/analysis/analysis.h"

namespace graymesh::release {
namespace {

using Json = nlohmann::json;
using namespace std::chrono_literals;

constexpr double alarm_of_a_release = 0.005, pass_of_a_step = 0.05;
constexpr auto interval_default = 5s;
// How long a step is looked at, at least and at most.
constexpr auto minimum_default = 30s;
constexpr auto maximum_default = 1h;

// Since when the weight of the step stands at all proxies; none if it does not, or if none is
// there.
std::optional<Clock::Wall> stands_since(const Release& release) {
  if (release.phase != Phase::step || release.step >= release.spec.steps.size())
    return std::nullopt;
  const auto receipt = release.receipts.find(fmt::format("step-{}", release.step + 1));
  if (receipt == release.receipts.end() || receipt->second.at < release.since) return std::nullopt;
  return receipt->second.at;
}

// The analysis that stands now; null if none does.
const model::Analysis* standing(const Release& release) {
  if (!stands_since(release)) return nullptr;
  const auto& analysis = release.spec.steps[release.step].analysis;
  return analysis ? &*analysis : nullptr;
}

// The different things that the steps of a release compare; steps that compare the same share
// their evidence.
std::vector<std::vector<verdict::Metric>> comparisons_of(const Release& release) {
  std::vector<std::vector<verdict::Metric>> out;
  for (const model::GrayStep& step : release.spec.steps) {
    if (!step.analysis) continue;
    auto metrics = metrics_of(*step.analysis);
    if (std::find(out.begin(), out.end(), metrics) == out.end()) out.push_back(std::move(metrics));
  }
  return out;
}

std::string key_of(const Release& release, const std::string& application,
                   const std::vector<verdict::Metric>& metrics) {
  const auto all = comparisons_of(release);
  return fmt::format("{}@{}", application,
                     std::find(all.begin(), all.end(), metrics) - all.begin());
}

std::string document_of(std::uint64_t release) {
  return fmt::format("{}{}", evidence_prefix, release);
}

// What `found` means for the step: nothing before the minimum but that a bad version goes back, and
// after the maximum what the release says.
Judge::Word decided(const Release& release, const model::Analysis& analysis,
                    const verdict::Verdict& found, Clock::Wall now) {
  using Found = verdict::Verdict::Word;
  using Inconclusive = model::Analysis::Inconclusive;
  using Word = Judge::Verdict;
  const auto since = *stands_since(release);
  const auto end = [&](std::optional<model::Duration> given, model::Duration otherwise) {
    return since + std::chrono::duration_cast<Clock::Wall::duration>(given.value_or(otherwise));
  };
  const auto least = end(analysis.minimum, minimum_default);
  const auto most = std::max(least, end(analysis.maximum, maximum_default));
  const std::string words = fmt::format("{}{}: {}", analysis.dry_run ? "dry run: " : "",
                                        found.word == Found::healthy     ? "healthy"
                                        : found.word == Found::unhealthy ? "unhealthy"
                                                                         : "not yet",
                                        found.why);
  if (!analysis.dry_run && found.word == Found::unhealthy) return {Word::unhealthy, found.why};
  if (now < least)
    return {Word::not_yet,
            fmt::format("{:.0f} s more at least; {}", Seconds(least - now).count(), words)};
  if (analysis.dry_run || found.word == Found::healthy) return {Word::healthy, words};
  if (now < most) return {Word::not_yet, words};
  const std::string none =
      fmt::format("none after {:.0f} s; {}", Seconds(now - since).count(), words);
  switch (analysis.inconclusive) {
    case Inconclusive::hold:
      return {Word::not_yet, none + "; approve the step to go on without"};
    case Inconclusive::advance:
      return {Word::healthy, "verdict: " + none};
    case Inconclusive::rollback:
      return {Word::unhealthy, "verdict: " + none};
  }
  return {};
}

void merge(verdict::Sample& to, verdict::Sample from) {
  const auto add = [](verdict::Arm& sum, const verdict::Arm& more) {
    sum.bad += more.bad;
    sum.all += more.all;
  };
  add(to.requests.gray, from.requests.gray);
  add(to.requests.baseline, from.requests.baseline);
  if (from.gray_ms) to.gray_ms = from.gray_ms;
  if (from.baseline_ms) to.baseline_ms = from.baseline_ms;
  to.custom.merge(from.custom);
}

}  // namespace

std::vector<verdict::Metric> metrics_of(const model::Analysis& analysis) {
  using Kind = verdict::Metric::Kind;
  std::vector<verdict::Metric> out;
  if (analysis.compares_requests()) {
    out.push_back({.kind = Kind::success, .margin = analysis.success_margin / 100});
    out.push_back({.kind = Kind::latency,
                   .name = fmt::format("p{:g} latency", analysis.latency.percentile),
                   .margin = analysis.latency.margin / 100,
                   .quantile = analysis.latency.percentile / 100,
                   .slower = analysis.latency.slower / 100});
  }
  for (const auto& query : analysis.queries)
    out.push_back({.kind = Kind::custom, .name = query.name, .margin = query.margin / 100});
  return out;
}

verdict::Chances chances_of(const Release& release) {
  std::size_t compared = 0;
  for (const auto& metrics : comparisons_of(release))
    compared += metrics.size() * release.members.size();
  return {.alarm = alarm_of_a_release / static_cast<double>(std::max<std::size_t>(1, compared)),
          .pass = pass_of_a_step};
}

Result<std::unique_ptr<Analyst>> Analyst::open(Parts parts) {
  std::unique_ptr<Analyst> out(new Analyst(std::move(parts)));
  TRY(out->load());
  return out;
}

Status Analyst::load() {
  for (const auto& [key, text] : TRY(parts_.store.documents())) {
    if (!key.starts_with(evidence_prefix)) continue;
    const std::uint64_t release = std::strtoull(key.c_str() + evidence_prefix.size(), nullptr, 10);
    Watched& watched = watched_[release];  // also what cannot be read goes when the release is over
    const Json kept = Json::parse(text, nullptr, false);
    if (!kept.is_object()) {
      unreadable_[release] = "the evidence that was kept cannot be read, and begins anew";
      continue;
    }
    for (const auto& [name, state] : kept.items()) {
      if (auto loaded = verdict::load(state.dump()))
        watched.states[name] = std::move(*loaded);
      else
        unreadable_[release] = loaded.error().message + "; it begins anew";
    }
  }
  return {};
}

Judge::Word Analyst::word(const Release& release) const {
  std::lock_guard lock(mutex_);
  const auto found = words_.find(release.id);
  if (found == words_.end() || found->second.of != release.since)
    return {Judge::Verdict::not_yet, "nothing is measured yet"};
  return found->second.word;
}

std::string Analyst::observe(const Release& release, const Member& member,
                             const std::string& baseline_version, Clock::Wall now,
                             Clock::Wall& counted, verdict::State& state) {
  const model::Analysis& analysis = *standing(release);
  const Target target{.release = release.id,
                      .application = {release.name.namespace_, member.application},
                      .tag = release.spec.tag,
                      .version = member.gray.run.version,
                      .baseline = baseline_version,
                      .analysis = analysis,
                      .step = release.step};
  verdict::Sample sample{.seconds = std::max(0.0, Seconds(now - counted).count())};
  bool any = false;
  std::string fault;
  const auto ask = [&](MetricsQuery& query) {
    auto counts = query.counts(target);
    if (!counts) fault += (fault.empty() ? "" : "; ") + counts.error().message;
    if (!counts || !*counts) return;
    merge(sample, std::move(**counts));
    any = true;
  };
  if (analysis.proxies) ask(parts_.proxies);
  if (!analysis.prometheus.empty()) ask(parts_.prometheus);
  if (any) {
    verdict::observe(state, metrics_of(analysis), sample);
    counted = now;
  }
  return fault;
}

void Analyst::look_at(const World& world, const Release& release, Clock::Wall now) {
  Watched& watched = watched_[release.id];
  const model::Analysis& analysis = *standing(release);
  const auto metrics = metrics_of(analysis);
  watched.looked = now;
  std::string fault;
  std::map<std::string, verdict::State> judged;
  for (const Member& member : release.members) {
    const std::string key = key_of(release, member.application, metrics);
    verdict::State& state = watched.states[key];
    if (state.step != release.step) verdict::begin_step(state, release.step);
    Clock::Wall& counted = watched.counted.try_emplace(key, now).first->second;
    const auto app = world.applications.find({release.name.namespace_, member.application});
    const std::string none = observe(
        release, member, app == world.applications.end() ? "" : app->second.baseline.run.version,
        now, counted, state);
    if (!none.empty()) fault = none;
    judged[member.application] = state;
  }
  auto found = verdict::judge(judged, metrics, chances_of(release));
  if (!fault.empty()) found.why += fmt::format(" (no evidence: {})", fault);
  if (unreadable_.contains(release.id)) found.why += fmt::format(" ({})", unreadable_[release.id]);
  Json kept = Json::object();
  for (const auto& [key, state] : watched.states) kept[key] = Json::parse(verdict::save(state));
  const Status committed =
      parts_.store.commit({.documents = {{document_of(release.id), kept.dump()}}});
  if (!committed) found.why += fmt::format(" (not kept: {})", committed.error().message);
  std::lock_guard lock(mutex_);
  words_[release.id] = {release.since, decided(release, analysis, found, now)};
}

// Of releases that are over nothing is asked any more.
void Analyst::forget_others(const World& world) {
  std::set<std::uint64_t> alive;
  for (const auto& [id, release] : world.releases)
    if (!ended(release.phase)) alive.insert(id);
  parts_.proxies.keep(alive);
  parts_.prometheus.keep(alive);
  for (auto it = watched_.begin(); it != watched_.end();) {
    // What cannot be deleted now is tried again with the next look.
    if (alive.contains(it->first) ||
        !parts_.store.commit({.documents = {{document_of(it->first), std::nullopt}}})) {
      ++it;
      continue;
    }
    std::lock_guard lock(mutex_);
    words_.erase(it->first);
    unreadable_.erase(it->first);
    it = watched_.erase(it);
  }
}

Clock::Wall Analyst::look() {
  const auto now = parts_.clock.wall();
  auto next = now + 1s;  // a step may begin
  const ViewPtr view = parts_.view();
  if (view == nullptr) return next;
  forget_others(*view->world);
  bool looked = false;
  for (const auto& [id, release] : view->world->releases) {
    if (stopping()) break;  // sources may take seconds
    const model::Analysis* analysis = standing(release);
    if (analysis == nullptr) continue;
    const auto found = watched_.find(id);
    const auto interval = std::chrono::duration_cast<Clock::Wall::duration>(
        analysis->interval.value_or(interval_default));
    const auto due =
        found == watched_.end() || !found->second.looked ? now : *found->second.looked + interval;
    // A clock that was put back does not stop it.
    if (due <= now || due > now + interval) {
      look_at(*view->world, release, now);
      looked = true;
    }
    next = std::min(next, due <= now ? now + interval : due);
  }
  if (looked) parts_.heard();
  return next;
}

void Analyst::start() {
  thread_ = std::thread([this] {
    for (;;) {
      const auto next = look();
      std::unique_lock lock(mutex_);
      const auto left = std::clamp<Clock::Wall::duration>(next - parts_.clock.wall(), 10ms, 1s);
      if (wake_.wait_for(lock, left, [this] { return stop_; })) return;
    }
  });
}

bool Analyst::stopping() const {
  std::lock_guard lock(mutex_);
  return stop_;
}

void Analyst::stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

}  // namespace graymesh::release
