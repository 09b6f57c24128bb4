#include "control/xds/pace.h"

#include <algorithm>

namespace graymesh::xds {
namespace {

constexpr std::size_t halvings_max = 3;  // 25 of 200: below, the trips cost more than they spare
constexpr int fast_to_grow = 2;
// Of the answers that never come, no more is remembered than a stream can have in flight.
constexpr std::size_t unproved_max = 2 * resource::type_count;

}  // namespace

Pace::Pace(const Bounds& bounds) : bounds_(bounds) {
  for (auto& type : of_) type.chunk = bounds_.chunk_max;
}

void Pace::sent(std::uint64_t number, resource::Type type, std::size_t resources,
                Clock::Steady now) {
  if (unproved_.size() >= unproved_max) unproved_.erase(unproved_.begin());
  unproved_.push_back({number, type, resources, now});
}

void Pace::written(std::uint64_t number, Clock::Steady now) {
  if (!unproved_.empty() && unproved_.back().number == number) unproved_.back().at = now;
}

// Of the responses that are applied by now, one type stands for all: clusters before the rest, as
// endpoints sent behind them are part of the matter.
void Pace::answered(std::uint64_t number, const Answer& answer) {
  const auto end =
      std::ranges::find_if(unproved_, [&](const Sent& it) { return it.number > number; });
  if (end == unproved_.begin()) return;
  const auto begun = std::max(unproved_.front().at, free_at_);
  const auto weight = [](resource::Type type) {
    return type == resource::Type::endpoints ? resource::type_count
                                             : static_cast<std::size_t>(type);
  };
  const auto type = std::min_element(unproved_.begin(), end, [&](const Sent& a, const Sent& b) {
                      return weight(a.type) < weight(b.type);
                    })->type;
  std::size_t resources = 0;
  for (auto it = unproved_.begin(); it != end; ++it) {
    if (it->type == type) resources += it->resources;
  }
  unproved_.erase(unproved_.begin(), end);
  free_at_ = answer.at;
  const auto took = answer.at - begun - answer.distance;
  if (answer.telling && resources > 0)
    learn(of_[static_cast<std::size_t>(type)], resources, std::max(took, took.zero()));
}

void Pace::learn(OfType& type, std::size_t resources, std::chrono::nanoseconds took) const {
  const auto each = took / resources;
  type.each = type.each.count() == 0 ? each : (3 * type.each + each) / 4;
  if (took > bounds_.hold_max) {
    type.fast_in_row = 0;
    const std::size_t least = std::max<std::size_t>(1, bounds_.chunk_max >> halvings_max);
    // One resource that takes so long (a whole route table) is no reason to cut others smaller.
    while (resources > 1 && type.chunk / 2 >= least && each * type.chunk > bounds_.hold_max)
      type.chunk /= 2;
    return;
  }
  const bool full = 2 * resources >= type.chunk;
  type.fast_in_row = full && 4 * took < bounds_.hold_max ? type.fast_in_row + 1 : 0;
  if (type.fast_in_row < fast_to_grow) return;
  type.fast_in_row = 0;
  type.chunk = std::min(bounds_.chunk_max, 2 * type.chunk);
}

}  // namespace graymesh::xds
