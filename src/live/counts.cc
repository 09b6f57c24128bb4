#include <algorithm>
#include <cmath>

#include "live/live.h"

namespace graymesh::live {
namespace {

constexpr double exact_ms = 10;  // whole milliseconds below it
constexpr double growth = 1.1;

template <typename Key>
void add(std::vector<std::pair<Key, double>>& to, Key key, double count) {
  const auto at = std::lower_bound(to.begin(), to.end(), key,
                                   [](const auto& entry, Key k) { return entry.first < k; });
  if (at != to.end() && at->first == key)
    at->second += count;
  else
    to.emplace(at, key, count);
}

// False where `now` has less than `before`: it began anew.
template <typename Key>
bool subtract(const std::vector<std::pair<Key, double>>& before,
              const std::vector<std::pair<Key, double>>& now,
              std::vector<std::pair<Key, double>>& out) {
  auto old = before.begin();
  for (const auto& [key, count] : now) {
    double less = 0;
    if (old != before.end() && old->first < key) return false;
    if (old != before.end() && old->first == key) less = (old++)->second;
    if (count < less) return false;
    if (count > less) out.emplace_back(key, count - less);
  }
  return old == before.end();
}

}  // namespace

std::size_t bucket_of(double ms) {
  if (!(ms > 0)) return 0;
  if (ms < exact_ms) return static_cast<std::size_t>(ms);
  const double steps = std::floor(std::log(ms / exact_ms) / std::log(growth) + 1e-9);
  return static_cast<std::size_t>(std::min(exact_ms + steps, static_cast<double>(buckets - 1)));
}

double lower_bound(std::size_t bucket) {
  const auto at = static_cast<double>(bucket);
  return at < exact_ms ? at : exact_ms * std::pow(growth, at - exact_ms);
}

void Counts::answered(std::uint16_t code, double count) {
  if (code >= 100 && code < 600) classes.at(code / 100 - 1U) += count;
  add(codes, code, count);
}

void Counts::took(double ms_each, double count) {
  add(ms, static_cast<std::uint8_t>(bucket_of(ms_each)), count);
}

Counts& Counts::operator+=(const Counts& more) {
  for (std::size_t i = 0; i < classes.size(); ++i) classes[i] += more.classes[i];
  for (const auto& [code, count] : more.codes) add(codes, code, count);
  for (const auto& [bucket, count] : more.ms) add(ms, bucket, count);
  retries += more.retries;
  return *this;
}

std::optional<double> Counts::quantile(double q) const {
  double all = 0;
  for (const auto& [bucket, count] : ms) all += count;
  if (all <= 0) return std::nullopt;
  double below = 0;
  for (const auto& [bucket, count] : ms) {
    if (below + count >= q * all) {
      const double low = lower_bound(bucket), high = lower_bound(bucket + std::size_t{1});
      return low + (high - low) * std::clamp((q * all - below) / count, 0.0, 1.0);
    }
    below += count;
  }
  return lower_bound(ms.back().first + std::size_t{1});
}

std::optional<Counts> more_than(const Counts& before, const Counts& now) {
  Counts out;
  bool goes_on = now.retries >= before.retries && subtract(before.codes, now.codes, out.codes) &&
                 subtract(before.ms, now.ms, out.ms);
  for (std::size_t i = 0; i < out.classes.size(); ++i) {
    out.classes[i] = now.classes[i] - before.classes[i];
    goes_on = goes_on && out.classes[i] >= 0;
  }
  if (!goes_on) return std::nullopt;
  out.retries = now.retries - before.retries;
  return out;
}

Counts since(const Counts& before, const Counts& now) {
  return more_than(before, now).value_or(now);
}

}  // namespace graymesh::live
