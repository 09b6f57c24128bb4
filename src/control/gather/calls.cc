#include "control/gather/gather.h"

namespace graymesh::gather {

live::Party party_of(const traffic::Teller& teller) {
  const bool gateway = teller.side == traffic::Teller::Side::gateway;
  return {.namespace_ = teller.who.namespace_,
          .workload = teller.who.application,
          .tag = teller.who.tag,
          .version = teller.version,
          .gateway = gateway};
}

void Calls::turn_locked() {
  const auto now = clock_.wall();
  if (now < from_ + slot) return;
  if (!sums_.empty() || !others_.empty())
    rounds_.add(from_, now, std::exchange(sums_, {}), std::exchange(others_, {}));
  from_ = now;
}

void Calls::record(const traffic::Teller& teller, const std::vector<traffic::Request>& requests,
                   const traffic::Table& known) {
  if (teller.side == traffic::Teller::Side::inbound) return;
  std::lock_guard lock(mutex_);
  turn_locked();
  for (const traffic::Request& request : requests) {
    if (request.lane.empty()) continue;
    const auto target = live::target_of(request.cluster);
    if (!target) continue;
    // A gateway's lanes are those of whom it calls.
    const bool gateway = teller.side == traffic::Teller::Side::gateway;
    if (!known.knows({gateway ? target->namespace_ : teller.who.namespace_, request.lane}))
      continue;
    live::Counts one;
    one.answered(request.code);
    one.took(request.ms);
    add_bounded({.from = party_of(teller), .to = *target, .lane = request.lane}, one, sums_,
                others_);
  }
}

live::Window Calls::window(const std::string& lane, std::chrono::seconds last) {
  const auto now = clock_.wall();
  {
    std::lock_guard lock(mutex_);
    if (!sums_.empty() || !others_.empty())
      rounds_.add(from_, now, std::exchange(sums_, {}), std::exchange(others_, {}));
    from_ = now;
  }
  live::Window out = rounds_.window(last, now);
  std::erase_if(out.rows, [&](const live::Row& row) { return row.edge.lane != lane; });
  // Slots without a request are not kept: the time is what was asked for, or all there was.
  out.to = now;
  out.from = std::max(since_, now - last);
  out.source = "requests";
  return out;
}

}  // namespace graymesh::gather
