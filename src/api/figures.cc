#include "api/figures.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "api/pages.h"
#include "base/json.h"

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

// One release that came to an end, as the log of acts tells it: also of those that the engine has
// forgotten since.
struct End {
  Phase phase = Phase::promoted;
  std::string namespace_ = {}, team = {};
  Clock::Wall at{};
  std::optional<Clock::Wall> started = {};
  // Of a rollback, asked by a person or by the engine itself; reached when every proxy has ACKed.
  std::optional<Clock::Wall> asked = {}, reached = {};
};

Clock::Wall time_of(const release::Act& act) {
  return Clock::Wall(std::chrono::milliseconds(act.at_ms));
}

// Fills `end` from what was done before, going back in time.
void take_earlier(const release::Act& act, const std::string& phase, End& end) {
  if (act.verb == "start" && !end.started) end.started = time_of(act);
  if (end.phase != Phase::rolled_back || end.asked) return;
  // Whatever follows the ACKs of a rollback; the earliest is right behind them. One of what was
  // still starting has nothing to wait for, and is no figure.
  if (phase == "back-subset" || (phase == "back-stopping" && !end.reached))
    end.reached = time_of(act);
  if (act.verb == "rollback" || phase == "back-routes") end.asked = time_of(act);
}

// The newest end of each release, of acts from the newest to the oldest.
std::map<std::string, End> ends_of(const std::vector<release::Act>& acts, const Span& span) {
  std::map<std::string, End> out;
  for (const auto& act : acts) {
    if (!act.object.starts_with("release/")) continue;
    const json detail = json::parse(act.detail, nullptr, false);
    std::string phase;
    if (act.verb == "advance" && detail.is_object()) phase = detail.value("phase", "");
    if (const auto known = out.find(act.object); known != out.end()) {
      take_earlier(act, phase, known->second);
      continue;
    }
    const auto named = release::phase_named(phase);
    if (!named || !ended(*named)) continue;
    End end{.phase = *named, .namespace_ = act.namespace_, .at = time_of(act)};
    end.team = detail.value("team", "");
    if (const std::int64_t started = detail.value("started_ms", std::int64_t{0}); started != 0)
      end.started = Clock::Wall(std::chrono::milliseconds(started));
    out.emplace(act.object, std::move(end));
  }
  std::erase_if(out, [&](const auto& entry) {
    return entry.second.at < span.from || entry.second.at > span.to ||
           entry.second.phase == Phase::superseded;
  });
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
  for (const auto& [object, end] : ends_of(acts, span)) {
    each(end.namespace_, end.team, [&of_one = end](Tally& tally) {
      if (of_one.phase == Phase::promoted) {
        ++tally.promoted;
        if (of_one.started) tally.lead_times.push_back(seconds(of_one.at - *of_one.started));
      } else {
        ++tally.rolled_back;
        if (of_one.asked && of_one.reached)
          tally.rollbacks.push_back(seconds(*of_one.reached - *of_one.asked));
      }
    });
  }
  for (const auto& act : acts) {
    const Clock::Wall at = time_of(act);
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
