#include "metrics/metrics.h"

#include <fmt/core.h>

#include <algorithm>
#include <cassert>
#include <cmath>

namespace graymesh::metrics {
namespace {

enum Kind : int { counter_kind, gauge_kind, histogram_kind };

constexpr std::string_view name_of(int kind) {
  switch (kind) {
    case counter_kind:
      return "counter";
    case gauge_kind:
      return "gauge";
    default:
      return "histogram";
  }
}

// A label value escapes backslash, quote and line feed; a help text has no quotes to escape.
std::string escaped(std::string_view text, bool quote) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '\n')
      out += "\\n";
    else if (c == '"' && quote)
      out += "\\\"";
    else
      out += c;
  }
  return out;
}

// `a="1",b="2"`: the key of a series, and what its line shows.
std::string text_of(const Labels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    if (!out.empty()) out += ',';
    out += name + "=\"" + escaped(value, true) + '"';
  }
  return out;
}

std::string text_of(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

void line(std::string& out, std::string_view name, std::string_view labels,
          std::string_view value) {
  out += name;
  if (!labels.empty()) out.append("{").append(labels).append("}");
  out.append(" ").append(value).append("\n");
}

void lines(std::string& out, const std::string& name, const std::string& labels,
           const Histogram& histogram) {
  const std::string before = labels.empty() ? "" : labels + ",";
  const auto& bounds = histogram.bounds();
  std::uint64_t count = 0;  // read once: +Inf must equal the count, whatever comes meanwhile
  for (std::size_t at = 0; at <= bounds.size(); ++at) {
    count = histogram.cumulative(at);
    const std::string bound = at < bounds.size() ? text_of(bounds[at]) : "+Inf";
    line(out, name + "_bucket", fmt::format("{}le=\"{}\"", before, bound), std::to_string(count));
  }
  line(out, name + "_sum", labels, text_of(histogram.sum()));
  line(out, name + "_count", labels, std::to_string(count));
}

}  // namespace

struct Registry::Family {
  int kind = counter_kind;
  std::string help;
  // By label text. Node-based: references given out stay valid.
  std::map<std::string, Counter> counters;
  std::map<std::string, Gauge> gauges;
  std::map<std::string, Histogram> histograms;
};

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), buckets_(bounds_.size() + 1) {
  assert(std::ranges::is_sorted(bounds_));
}

void Histogram::observe(double value) {
  const auto at = std::ranges::lower_bound(bounds_, value) - bounds_.begin();
  buckets_[static_cast<std::size_t>(at)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

std::uint64_t Histogram::count() const { return cumulative(bounds_.size()); }

std::uint64_t Histogram::cumulative(std::size_t at) const {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i <= at; ++i) sum += buckets_[i].load(std::memory_order_relaxed);
  return sum;
}

std::vector<double> duration_bounds() {
  return {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
}

Registry::Registry() = default;
Registry::~Registry() = default;

Registry::Family& Registry::family(std::string_view name, std::string_view help, int kind) {
  auto found = families_.find(name);
  if (found == families_.end()) {
    found = families_.emplace(std::string(name), std::make_unique<Family>()).first;
    found->second->kind = kind;
    found->second->help = help;
  }
  assert(found->second->kind == kind && "a name has one kind");
  return *found->second;
}

Counter& Registry::counter(std::string_view name, std::string_view help, const Labels& labels) {
  std::lock_guard lock(mutex_);
  return family(name, help, counter_kind).counters.try_emplace(text_of(labels)).first->second;
}

Gauge& Registry::gauge(std::string_view name, std::string_view help, const Labels& labels) {
  std::lock_guard lock(mutex_);
  return family(name, help, gauge_kind).gauges.try_emplace(text_of(labels)).first->second;
}

Histogram& Registry::histogram(std::string_view name, std::string_view help,
                               const std::vector<double>& bounds, const Labels& labels) {
  std::lock_guard lock(mutex_);
  auto& series = family(name, help, histogram_kind).histograms;
  return series.try_emplace(text_of(labels), bounds).first->second;
}

void Registry::before_page(std::function<void()> refresh) {
  std::lock_guard lock(mutex_);
  refresh_.push_back(std::move(refresh));
}

std::string Registry::page() const {
  // Called outside the lock: what they set may be an instrument asked for just now.
  std::vector<std::function<void()>> refresh;
  {
    std::lock_guard lock(mutex_);
    refresh = refresh_;
  }
  for (const auto& call : refresh) call();

  std::lock_guard lock(mutex_);
  std::string out;
  for (const auto& [name, family] : families_) {
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, escaped(family->help, false), name,
                       name_of(family->kind));
    for (const auto& [labels, counter] : family->counters)
      line(out, name, labels, std::to_string(counter.value()));
    for (const auto& [labels, gauge] : family->gauges)
      line(out, name, labels, text_of(gauge.value()));
    for (const auto& [labels, histogram] : family->histograms) lines(out, name, labels, histogram);
  }
  return out;
}

std::string open_metrics(std::string_view page) {
  constexpr std::string_view total = "_total";
  std::string out;
  out.reserve(page.size() + 16);
  while (!page.empty()) {
    const auto size = std::min(page.find('\n'), page.size() - 1) + 1;
    const std::string_view line = page.substr(0, size);
    page.remove_prefix(size);
    // "# HELP name text", "# TYPE name counter"
    const auto end = line.starts_with("# ") ? line.find(' ', sizeof("# TYPE")) : line.npos;
    if (end != line.npos && line.substr(0, end).ends_with(total))
      out.append(line.substr(0, end - total.size())).append(line.substr(end));
    else
      out.append(line);
  }
  return out + "# EOF\n";
}

}  // namespace graymesh::metrics
