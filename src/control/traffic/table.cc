#include <utility>

#include "base/hash.h"
#include "control/traffic/traffic.h"

namespace graymesh::traffic {
namespace {

// A request at one proxy: the same request at another is another.
std::uint64_t key_of(const Teller& teller, const Request& request) {
  return hash64(teller.proxy + "\n" + request.id);
}

Name name_of_service(const std::string& to) {
  const auto dot = to.find('.');
  if (dot == std::string::npos) return {};
  return {to.substr(dot + 1), to.substr(0, dot)};
}

void add(const Passed& from, Passed& to) {
  to.received += from.received;
  for (const auto& [service, counts] : from.calls) {
    for (std::size_t i = 0; i < carrier_count; ++i) to.calls[service][i] += counts[i];
  }
  for (const auto& [service, count] : from.lost) to.lost[service] += count;
}

}  // namespace

std::string_view name_of(Carrier carrier) {
  switch (carrier) {
    case Carrier::header:
      return "header";
    case Carrier::stamp:
      return "stamp";
    case Carrier::baggage:
      return "baggage";
    case Carrier::match:
      return "match";
  }
  return "";
}

template <typename Value>
void Table::Recent<Value>::put(std::uint64_t id, Value value) {
  if (!by_id.insert_or_assign(id, std::move(value)).second) return;
  order.push_back(id);
  if (order.size() <= ids_max) return;
  by_id.erase(order.front());
  order.pop_front();
}

void Table::know(Known known) {
  std::lock_guard lock(mutex_);
  if (known == known_) return;
  known_ = std::move(known);
  std::erase_if(last_, [&](const auto& entry) { return !known_.lanes.contains(entry.first); });
  for (Window* of : {&now_, &before_}) {
    std::erase_if(of->lanes,
                  [&](const auto& entry) { return !known_.lanes.contains(entry.first); });
    std::erase_if(of->others, [&](const auto& entry) {
      return !known_.applications.contains({entry.first.namespace_, entry.first.application});
    });
  }
}

// Counts that are a window old become the ones before; what is older falls out.
void Table::turn_locked() {
  const auto now = clock_.wall();
  if (now < began_ + window) return;
  before_ = now < began_ + 2 * window ? std::move(now_) : Window();
  now_ = {};
  began_ = now;
}

Table::Counts Table::record(const Teller& teller, const std::vector<Request>& requests) {
  std::lock_guard lock(mutex_);
  turn_locked();
  counts_ = {};
  for (const Request& request : requests) record_locked(teller, request);
  return counts_;
}

// A call counts once, at its caller.
void Table::time_locked(const Teller& teller, const Request& request) {
  if (teller.side == Teller::Side::inbound) return;
  const auto [space, service] = name_of_service(request.to);
  if (service.empty() || !known_.applications.contains({space, service})) return;
  if (!request.lane.empty() && !known_.lanes.contains({space, request.lane})) return;
  latencies_.record({space, service, request.lane}, request, clock_.wall());
}

void Table::record_locked(const Teller& teller, const Request& request) {
  time_locked(teller, request);
  if (teller.side == Teller::Side::gateway) {
    if (request.lane.empty()) {
      ++counts_.others;
      return;
    }
    const Name lane{name_of_service(request.to).first, request.lane};
    const bool known = known_.lanes.contains(lane);
    if (known) last_[lane] = clock_.wall();
    ++(known ? counts_.in_lanes : counts_.unknown);
    return;
  }
  const Who& who = teller.who;
  const bool version_known = who.tag.empty() || known_.lanes.contains({who.namespace_, who.tag});
  if (!version_known || !known_.applications.contains({who.namespace_, who.application})) {
    ++counts_.unknown;
    return;
  }
  if (request.lane.empty()) return record_other_locked(teller, request);
  const Name lane{who.namespace_, request.lane};
  if (known_.lanes.contains(lane))
    record_lane_locked(teller, request, lane);
  else
    ++counts_.unknown;
}

// Null, and counted as such, if there is no room for another.
template <typename Map>
typename Map::mapped_type* Table::row_locked(Map& map, const typename Map::key_type& key) {
  const auto found = map.find(key);
  if (found != map.end()) return &found->second;
  if (now_.rows >= rows_max) {
    ++counts_.full;
    return nullptr;
  }
  ++now_.rows;
  return &map[key];
}

Passed* Table::passed_locked(const Name& lane, const Who& who) {
  auto* of_lane = row_locked(now_.lanes, lane);
  return of_lane == nullptr ? nullptr : row_locked(*of_lane, who);
}

void Table::record_lane_locked(const Teller& teller, const Request& request, const Name& lane) {
  ++counts_.in_lanes;
  last_[lane] = clock_.wall();
  Passed* passed = passed_locked(lane, teller.who);
  if (passed == nullptr) return;
  if (teller.side == Teller::Side::outbound) {
    if (!known_.applications.contains(name_of_service(request.to))) return;
    if (auto* counts = row_locked(passed->calls, request.to))
      ++(*counts)[static_cast<std::size_t>(request.carrier)];
    return;
  }
  ++passed->received;
  if (request.id.empty()) return;
  const std::uint64_t id = key_of(teller, request);
  in_lane_.put(id, request.lane);
  // A call ends before the request that caused it, and may be told first.
  if (const auto called = without_.by_id.extract(id))
    lost_locked(teller.who, request.lane, called.mapped());
}

void Table::record_other_locked(const Teller& teller, const Request& request) {
  ++counts_.others;
  if (teller.side != Teller::Side::outbound ||
      !known_.applications.contains(name_of_service(request.to)))
    return;
  if (auto* services = row_locked(now_.others, teller.who)) {
    if (auto* count = row_locked(*services, request.to)) ++*count;
  }
  if (request.id.empty()) return;
  const std::uint64_t id = key_of(teller, request);
  const auto lane = in_lane_.by_id.find(id);
  if (lane != in_lane_.by_id.end())
    lost_locked(teller.who, lane->second, request.to);
  else
    without_.put(id, request.to);
}

void Table::lost_locked(const Who& who, const std::string& tag, const std::string& to) {
  Passed* passed = passed_locked({who.namespace_, tag}, who);
  if (passed == nullptr) return;
  if (auto* count = row_locked(passed->lost, to)) ++*count;
}

Report Table::report(const Name& lane) const {
  std::lock_guard lock(mutex_);
  Report out;
  const auto now = clock_.wall();
  // Nobody may have turned the windows since.
  const bool old = now >= began_ + window;
  const bool older = now >= began_ + 2 * window;
  out.from = std::max(since_, old ? began_ : began_ - window);
  if (const auto found = last_.find(lane); found != last_.end()) out.last = found->second;
  const auto take = [&](const Window& of) {
    if (const auto found = of.lanes.find(lane); found != of.lanes.end()) {
      for (const auto& [who, passed] : found->second) add(passed, out.passed[who]);
    }
  };
  const auto take_others = [&](const Window& of) {
    for (const auto& [who, passed] : out.passed) {
      const auto found = of.others.find(who);
      if (found == of.others.end()) continue;
      for (const auto& [service, count] : found->second) out.others[who][service] += count;
    }
  };
  if (!old) take(before_);
  if (!older) take(now_);
  if (!old) take_others(before_);
  if (!older) take_others(now_);
  return out;
}

std::string Table::latencies(bool exemplars) const {
  std::lock_guard lock(mutex_);
  return latencies_.page(exemplars, clock_.wall());
}

bool Table::knows(const Name& lane) const {
  std::lock_guard lock(mutex_);
  return known_.lanes.contains(lane);
}

std::optional<Clock::Wall> Table::last(const Name& lane) const {
  std::lock_guard lock(mutex_);
  const auto found = last_.find(lane);
  return found == last_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace graymesh::traffic
