#include "api/carriage.h"

namespace graymesh::api {
namespace {

using nlohmann::json;
using Counts = std::array<std::uint64_t, traffic::carrier_count>;

json counts_json(const Counts& counts) {
  json out;
  for (std::size_t i = 0; i < counts.size(); ++i)
    out[std::string(name_of(static_cast<traffic::Carrier>(i)))] = counts[i];
  return out;
}

std::uint64_t sum(const Counts& counts) {
  std::uint64_t all = 0;
  for (const auto count : counts) all += count;
  return all;
}

json loss(const std::string& to, std::uint64_t count, const char* proof) {
  return {{"to", to}, {"count", count}, {"proof", proof}};
}

json lost_json(const traffic::Passed& passed, std::uint64_t carried,
               const std::map<std::string, std::uint64_t>& others) {
  json out = json::array();
  for (const auto& [to, count] : passed.lost) out.push_back(loss(to, count, "request id"));
  if (passed.received < likely_min || carried > 0) return out;
  for (const auto& [to, count] : others) {
    if (!passed.lost.contains(to)) out.push_back(loss(to, count, "likely"));
  }
  return out;
}

// "header", "stamp, baggage", "no call seen".
std::string word(const traffic::Passed& passed, const Counts& all, bool lost) {
  std::string out;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i] == 0) continue;
    out += out.empty() ? "" : ", ";
    out += name_of(static_cast<traffic::Carrier>(i));
  }
  if (!out.empty()) return out;
  if (lost) return "nothing";
  return passed.received == 0 ? "no request seen yet" : "no call seen";
}

}  // namespace

void carriage_json(const traffic::Who& who, const traffic::Report* report, json& out) {
  out["traffic"] = nullptr;
  out["carriedBy"] = "not measured";
  if (report == nullptr) return;
  const auto found = report->passed.find(who);
  const traffic::Passed passed = found == report->passed.end() ? traffic::Passed() : found->second;
  const auto others = report->others.find(who);
  Counts all{};
  json calls = json::array();
  for (const auto& [to, counts] : passed.calls) {
    for (std::size_t i = 0; i < counts.size(); ++i) all[i] += counts[i];
    calls.push_back({{"to", to}, {"by", counts_json(counts)}});
  }
  std::uint64_t elsewhere = 0;
  const traffic::Who first{.namespace_ = who.namespace_, .application = who.application};
  for (auto it = report->passed.lower_bound(first); it != report->passed.end(); ++it) {
    const auto& [other, theirs] = *it;
    if (other.namespace_ != who.namespace_ || other.application != who.application) break;
    if (other != who) elsewhere += theirs.received;
  }
  json lost = lost_json(
      passed, sum(all),
      others == report->others.end() ? std::map<std::string, std::uint64_t>() : others->second);
  out["carriedBy"] = word(passed, all, !lost.empty());
  out["traffic"] = {{"received", passed.received},
                    {"receivedByOtherVersions", elsewhere},
                    {"calls", std::move(calls)},
                    {"lost", std::move(lost)}};
}

}  // namespace graymesh::api
