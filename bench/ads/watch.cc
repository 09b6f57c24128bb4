#include "bench/ads/watch.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <optional>
#include <utility>

namespace graymesh::ads {
namespace {

// Of fixed length, so that where one ends is known.
constexpr std::string_view endpoint_prefix = "10.253.1";
constexpr std::size_t endpoint_size = sizeof "10.253.1AA.1BB" - 1;
constexpr std::string_view route_prefix = "mark-";
constexpr std::size_t route_size = sizeof "mark-NNNNNN" - 1;

std::optional<std::uint32_t> digits(std::string_view text) {
  std::uint32_t value = 0;
  for (const char c : text) {
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) return std::nullopt;
    value = value * 10 + static_cast<std::uint32_t>(c - '0');
  }
  return value;
}

std::optional<std::uint32_t> number_of(Mark kind, std::string_view text) {
  if (kind == Mark::route) return digits(text.substr(route_prefix.size()));
  const auto high = digits(text.substr(8, 2)), low = digits(text.substr(12, 2));
  if (!high || !low || text.substr(10, 2) != ".1") return std::nullopt;
  return *high * 100 + *low;
}

}  // namespace

void Watch::begin(std::uint32_t from, std::uint32_t target_count) {
  first = from;
  targets = target_count;
  ++round;
  for (auto& kind : times) kind.clear();
}

void Watcher::look(const Watch& watch, std::string_view bytes) {
  if (!watch.on()) return;
  if (std::exchange(round_, watch.round) != watch.round) {
    met_.clear();
    tail_.clear();
    for (auto& kind : next_) kind.clear();
  }
  constexpr std::size_t seam = std::max(endpoint_size, route_size) - 1;
  if (!tail_.empty()) find(watch, tail_ + std::string(bytes.substr(0, seam)));
  find(watch, bytes);
  if (bytes.size() >= seam)
    tail_ = bytes.substr(bytes.size() - seam);
  else
    tail_ =
        (tail_ + std::string(bytes))
            .substr(tail_.size() + bytes.size() > seam ? tail_.size() + bytes.size() - seam : 0);
}

void Watcher::find(const Watch& watch, std::string_view bytes) {
  for (const Mark kind : {Mark::endpoint, Mark::route}) {
    const auto prefix = kind == Mark::endpoint ? endpoint_prefix : route_prefix;
    const std::size_t size = kind == Mark::endpoint ? endpoint_size : route_size;
    const char* at = bytes.data();
    const char* end = at + bytes.size();
    while (const void* found =
               ::memmem(at, static_cast<std::size_t>(end - at), prefix.data(), prefix.size())) {
      at = static_cast<const char*>(found);
      if (static_cast<std::size_t>(end - at) < size) break;
      if (const auto number = number_of(kind, {at, size})) meet(watch, kind, *number);
      at += prefix.size();
    }
  }
}

void Watcher::meet(const Watch& watch, Mark kind, std::uint32_t number) {
  if (number < watch.first) return;
  auto& next = next_[static_cast<std::size_t>(kind)];
  const std::uint32_t target = number % watch.targets;
  const auto found = next.find(target);
  if (found == next.end() || found->second <= number) met_.push_back({kind, number});
}

void Watcher::arrived(Watch& watch, std::int64_t now) {
  for (const auto [kind, number] : std::exchange(met_, {})) {
    auto& next = next_[static_cast<std::size_t>(kind)];
    const std::uint32_t target = number % watch.targets;
    auto [it, added] = next.try_emplace(target, 0);
    if (added) {
      it->second = watch.first / watch.targets * watch.targets + target;
      if (it->second < watch.first) it->second += watch.targets;
    }
    for (; it->second <= number; it->second += watch.targets)
      watch.times[static_cast<std::size_t>(kind)][it->second].push_back(now);
  }
}

void Watcher::tables_came(Watch& watch, std::int64_t now) {
  if (!watch.on() || std::exchange(round_of_tables_, watch.round) == watch.round) return;
  watch.times[static_cast<std::size_t>(Mark::tables)][0].push_back(now);
}

}  // namespace graymesh::ads
