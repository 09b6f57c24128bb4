// Counters, gauges and histograms, and the page that Prometheus reads (text format 0.0.4).
//
// Instruments are made once, by name and labels, and live as long as their Registry; to move one is
// an atomic operation without a lock. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace graymesh::metrics {

using Labels = std::vector<std::pair<std::string, std::string>>;  // in the order they are shown

class Counter {
 public:
  void add(std::uint64_t by = 1) { value_.fetch_add(by, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class Gauge {
 public:
  void set(double value) { value_.store(value, std::memory_order_relaxed); }
  void add(double by) { value_.fetch_add(by, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds);  // upper bounds, ascending, without +Inf
  void observe(double value);
  std::uint64_t count() const;
  double sum() const { return sum_.load(std::memory_order_relaxed); }
  const std::vector<double>& bounds() const { return bounds_; }
  // Observations at or below bounds()[at], and in all for at == bounds().size().
  std::uint64_t cumulative(std::size_t at) const;

 private:
  std::vector<double> bounds_;
  std::vector<std::atomic<std::uint64_t>> buckets_;  // one more than bounds
  std::atomic<double> sum_{0};
};

// 0.5 ms to 10 s: how long pushes and builds take.
std::vector<double> duration_bounds();

class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // The same name and labels give the same instrument; a name has one kind and one help text.
  Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels = {});
  Histogram& histogram(std::string_view name, std::string_view help,
                       const std::vector<double>& bounds, const Labels& labels = {});

  // Called just before each page is written, to set gauges that are cheaper to ask for than to
  // keep.
  void before_page(std::function<void()> refresh);

  // The page: families by name, series by labels; values escaped as the format asks.
  std::string page() const;

 private:
  struct Family;
  Family& family(std::string_view name, std::string_view help, int kind);
  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Family>, std::less<>> families_;
  std::vector<std::function<void()>> refresh_;
};

// A page in the format 0.0.4 as OpenMetrics 1.0, the one that may have exemplars: a counter's
// family is named without `_total`, and the end is told.
std::string open_metrics(std::string_view page);

}  // namespace graymesh::metrics
