#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "control/gather/gather.h"

namespace graymesh::gather {
namespace {

bool has_code(const std::string& wanted, std::uint16_t code) {
  if (wanted.size() == 3 && wanted.ends_with("xx")) return wanted[0] - '0' == code / 100;
  return wanted == std::to_string(code);
}

bool has_lane(const std::string& wanted, const std::string& lane) {
  return wanted == "-" ? lane.empty() : wanted == lane;
}

bool is_wanted(const TapWanted& wanted, const live::Edge& edge, const traffic::Request& request) {
  if (!wanted.lane.empty() && !has_lane(wanted.lane, edge.lane)) return false;
  if (!wanted.code.empty() && !has_code(wanted.code, request.code)) return false;
  if (!live::is_wanted(wanted.edge, edge)) return false;
  const auto& details = request.details;
  return (wanted.path.empty() || (details && details->path.starts_with(wanted.path))) &&
         (wanted.method.empty() || (details && details->method == wanted.method));
}

}  // namespace

bool may_match(const TapWanted& wanted, const Proxy& proxy) {
  return live::is_wanted({.from = wanted.edge.from}, {.from = proxy.who});
}

void Tap::record(const live::Edge& edge, const traffic::Teller& teller,
                 const traffic::Request& request) {
  if (!is_wanted(wanted, edge, request)) return;
  std::lock_guard lock(mutex_);
  ++told_.matched;
  const auto now = clock_.now();
  if (now >= second_ + std::chrono::seconds(1)) {
    second_ = now;
    in_second_ = 0;
  }
  // Who does not take what came gets no more of it either.
  if (++in_second_ > per_second_ || told_.requests.size() >= per_second_max) {
    ++told_.over;
    return;
  }
  told_.requests.push_back({edge, teller.proxy, request});
  came_.notify_one();
}

Told Tap::take(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  came_.wait_for(lock, patience, [this] { return !told_.requests.empty(); });
  Told out = told_;
  told_.requests.clear();
  return out;
}

std::uint32_t share_for(double per_second) {
  if (per_second <= Taps::asked_per_second) return Taps::all;
  return static_cast<std::uint32_t>(
      std::max(1.0, std::floor(Taps::all * Taps::asked_per_second / per_second)));
}

Result<std::shared_ptr<Tap>> Taps::open(TapWanted wanted, std::size_t per_second) {
  std::lock_guard lock(mutex_);
  if (taps_.size() >= taps_max)
    return Error{Code::resource_exhausted, fmt::format("{} tap already, must be fewer", taps_max)};
  taps_.push_back(std::make_shared<Tap>(std::move(wanted), per_second, parts_.clock));
  count_ = taps_.size();
  return taps_.back();
}

void Taps::close(const std::shared_ptr<Tap>& tap) {
  {
    std::lock_guard lock(mutex_);
    std::erase(taps_, tap);
    count_ = taps_.size();
  }
  renew();
}

bool Taps::tell(const Proxy& proxy, std::uint32_t share) {
  if (proxy.admin.empty()) return false;
  const auto silent = silent_until_.find(proxy.id);
  if (silent != silent_until_.end() && parts_.clock.now() < silent->second) return false;
  // No value: as configured, which is none.
  const Status told =
      parts_.post(fmt::format("http://{}/runtime_modify?graymesh.tap={}", proxy.admin,
                              share == 0 ? "" : std::to_string(share)));
  if (told)
    silent_until_.erase(proxy.id);
  else
    silent_until_[proxy.id] = parts_.clock.now() + leave_alone;
  return told.has_value();
}

Taps::Reached Taps::renew() {
  std::lock_guard telling(telling_);
  std::vector<std::shared_ptr<Tap>> taps;
  {
    std::lock_guard lock(mutex_);
    taps = taps_;
  }
  Reached out;
  std::map<std::string, std::uint32_t> told;
  for (const Proxy& proxy : parts_.proxies()) {
    std::uint32_t share = 0;
    for (const auto& tap : taps) {
      if (may_match(tap->wanted, proxy)) share = std::max<std::uint32_t>(share, tap->share);
    }
    const auto known = told_.find(proxy.id);
    const std::uint32_t before = known == told_.end() ? 0 : known->second;
    // Told again each time: it may have restarted, and forgotten.
    const bool nothing = share == 0 && before == 0;
    const bool reached = nothing || tell(proxy, share);
    if (reached)
      ++out.proxies;
    else
      out.out_of_reach.push_back(proxy);
    if (const std::uint32_t now = reached ? share : before; now != 0) told[proxy.id] = now;
  }
  told_ = std::move(told);
  std::erase_if(silent_until_,
                [now = parts_.clock.now()](const auto& entry) { return entry.second <= now; });
  return out;
}

void Taps::meet(const Proxy& proxy) {
  std::lock_guard telling(telling_);
  told_.erase(proxy.id);
  silent_until_.erase(proxy.id);
  (void)tell(proxy, 0);  // it is asked again when somebody taps
}

void Taps::record(const traffic::Teller& teller, const std::vector<traffic::Request>& requests) {
  // Each call once: as its caller saw it.
  if (!any() || teller.side == traffic::Teller::Side::inbound) return;
  std::vector<std::shared_ptr<Tap>> taps;
  {
    std::lock_guard lock(mutex_);
    taps = taps_;
  }
  const live::Party from = party_of(teller);
  for (const traffic::Request& request : requests) {
    live::Edge edge{.from = from, .to = {}, .lane = request.lane};
    if (auto target = live::target_of(request.cluster)) edge.to = std::move(*target);
    for (const auto& tap : taps) tap->record(edge, teller, request);
  }
}

}  // namespace graymesh::gather
