#include "api/figures.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "api/pages.h"

namespace graymesh::api {
namespace {

using nlohmann::json;
using release::Phase;

double seconds(Clock::Wall::duration span) { return std::chrono::duration<double>(span).count(); }

struct Tally {
  std::size_t promoted = 0, rolled_back = 0, baseline_changes = 0;
  std::vector<double> lead_times = {}, rollbacks = {};
};

json median(std::vector<double> values) {
  if (values.empty()) return nullptr;
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

json share(std::size_t part, std::size_t whole) {
  if (whole == 0) return nullptr;
  return static_cast<double>(part) / static_cast<double>(whole);
}

json of(const Tally& tally, double days) {
  const std::size_t releases = tally.promoted + tally.rolled_back;
  return {{"releases", releases},
          {"releasesPerDay", static_cast<double>(releases) / days},
          {"promoted", tally.promoted},
          {"rolledBack", tally.rolled_back},
          {"baselineChanges", tally.baseline_changes},
          {"grayShare", share(releases, releases + tally.baseline_changes)},
          {"rollbackRate", share(tally.rolled_back, releases)},
          {"leadTimeMedianSeconds", median(tally.lead_times)},
          {"rollbackMedianSeconds", median(tally.rollbacks)}};
}

std::string team_of(const release::World& world, const release::Name& application) {
  const auto found = world.applications.find(application);
  return found == world.applications.end() ? "" : found->second.spec().team;
}

// When each release was asked to go back: by a person, or by the engine itself.
std::map<std::string, std::int64_t> rollbacks_asked(const std::vector<release::Act>& acts) {
  std::map<std::string, std::int64_t> out;
  for (const auto& act : acts) {
    const bool asked = act.verb == "rollback" ||
                       (act.verb == "advance" && act.detail == R"({"phase":"back-routes"})");
    if (!asked) continue;
    const auto [known, first] = out.emplace(act.object, act.at_ms);
    if (!first) known->second = std::min(known->second, act.at_ms);
  }
  return out;
}

}  // namespace

json figures(const release::World& world, const std::vector<release::Act>& acts, const Span& span) {
  Tally all;
  std::map<std::string, Tally> namespaces, teams;
  const auto each = [&](const std::string& namespace_, const std::string& team, auto add) {
    add(all);
    add(namespaces[namespace_]);
    if (!team.empty()) add(teams[team]);
  };
  const auto asked = rollbacks_asked(acts);
  for (const auto& [id, release] : world.releases) {
    if (!ended(release.phase) || release.over < span.from || release.over > span.to) continue;
    if (release.phase == Phase::superseded || release.members.empty()) continue;
    std::optional<double> rollback;
    const auto receipt = release.receipts.find("rollback");
    const auto when = asked.find("release/" + std::to_string(id));
    if (receipt != release.receipts.end() && when != asked.end())
      rollback = std::max(
          0.0, seconds(receipt->second.at - Clock::Wall(std::chrono::milliseconds(when->second))));
    const release::Name first{release.name.namespace_, release.members.front().application};
    each(release.name.namespace_, team_of(world, first), [&, &of_one = release](Tally& tally) {
      if (of_one.phase == Phase::promoted) {
        ++tally.promoted;
        tally.lead_times.push_back(seconds(of_one.over - of_one.started));
      } else {
        ++tally.rolled_back;
        if (rollback) tally.rollbacks.push_back(*rollback);
      }
    });
  }
  for (const auto& act : acts) {
    const Clock::Wall at{std::chrono::milliseconds(act.at_ms)};
    if (at < span.from || at > span.to || act.verb != "advance") continue;
    if (act.detail != R"({"baseline":"switched"})") continue;
    const std::string name = act.object.substr(act.object.find('/') + 1);
    each(act.namespace_, team_of(world, {act.namespace_, name}),
         [](Tally& tally) { ++tally.baseline_changes; });
  }
  const double days = std::max(seconds(span.to - span.from), 1.0) / 86'400;
  json out = {{"from", to_text(span.from)},
              {"to", to_text(span.to)},
              {"all", of(all, days)},
              {"namespaces", json::object()},
              {"teams", json::object()}};
  for (const auto& [name, tally] : namespaces) out["namespaces"][name] = of(tally, days);
  for (const auto& [name, tally] : teams) out["teams"][name] = of(tally, days);
  return out;
}

}  // namespace graymesh::api
