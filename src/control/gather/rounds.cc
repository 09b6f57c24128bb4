#include <algorithm>

#include "control/gather/gather.h"

namespace graymesh::gather {

void add_bounded(const live::Edge& edge, const live::Counts& counts, Rounds::Sums& sums,
                 live::Counts& others) {
  const auto found = sums.find(edge);
  if (found != sums.end())
    found->second += counts;
  else if (sums.size() < Rounds::edges_max)
    sums.emplace(edge, counts);
  else
    others += counts;
}

void Rounds::add(Clock::Wall from, Clock::Wall to, Sums sums, live::Counts others) {
  std::lock_guard lock(mutex_);
  cells_ += sums.size();
  rounds_.push_back({from, to, std::move(sums), std::move(others)});
  while (!rounds_.empty() && (cells_ > cells_max || rounds_.front().to + age_max < to)) {
    cells_ -= rounds_.front().sums.size();
    rounds_.pop_front();
  }
}

live::Window Rounds::window(std::chrono::seconds last, Clock::Wall now) const {
  live::Window out{.from = now, .to = now};
  Sums sums;
  {
    std::lock_guard lock(mutex_);
    bool first = true;
    for (auto round = rounds_.rbegin(); round != rounds_.rend(); ++round) {
      if (round->to + last <= now || (!first && out.from + last <= now)) break;
      if (first) out.to = round->to;
      first = false;
      out.from = round->from;
      out.others += round->others;
      for (const auto& [edge, counts] : round->sums) sums[edge] += counts;
    }
  }
  out.rows.reserve(sums.size());
  for (auto& [edge, counts] : sums) out.rows.push_back({edge, std::move(counts)});
  return out;
}

}  // namespace graymesh::gather
