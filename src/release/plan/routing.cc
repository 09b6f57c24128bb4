// Which version answers whom. For a gray version with the lane's own match there are four ways in,
// the surest first: the lane header, the query (a link), the cookie (a browser that followed one),
// and W3C baggage (an application that forwards only that). The header decides where it is present.
#include "release/plan/routing.h"

#include <algorithm>
#include <set>

namespace graymesh::release {
namespace {

model::StringMatch exactly(const std::string& value) {
  return {.kind = model::StringMatch::Kind::exact, .value = value};
}

// Where a lane's requests go at one application: to its version there, or, where it has none, to
// the baseline (only at gateways, so that later hops learn the lane), or nowhere if it is strict.
struct LaneHere {
  std::string tag;
  std::string to;
  bool by_gateways_only = false;
};

void add_lane(const LaneHere& lane, bool with_header, const std::string& kind, Way way,
              std::vector<Way>& ways) {
  way.name = lane.tag + "/" + kind;
  way.to = lane.to;
  way.tag = lane.tag;
  way.without_header = !with_header;
  way.set_header = !with_header;
  ways.push_back(std::move(way));
}

void add_lanes(const std::vector<LaneHere>& lanes, Routing& out) {
  const std::string key(lane_header);
  // Kind by kind, so that a header of one lane goes before the cookie of another.
  for (const LaneHere& lane : lanes) {
    Way way;
    way.match.headers[key] = exactly(lane.tag);
    if (!lane.by_gateways_only) {
      add_lane(lane, true, "header", way, out.mesh);
      add_lane(lane, true, "header", way, out.gateway);
    }
  }
  for (const LaneHere& lane : lanes) {
    Way way;
    way.match.query[key] = exactly(lane.tag);
    way.set_cookie = true;
    add_lane(lane, false, "query", way, out.gateway);
  }
  for (const LaneHere& lane : lanes) {
    Way way;
    way.match.cookies[key] = exactly(lane.tag);
    add_lane(lane, false, "cookie", way, out.gateway);
  }
  for (const LaneHere& lane : lanes) {
    if (lane.by_gateways_only) continue;
    Way way;
    way.baggage = lane.tag;
    add_lane(lane, false, "baggage", way, out.mesh);
    add_lane(lane, false, "baggage", way, out.gateway);
  }
}

bool is_strict(const World& world, const std::string& namespace_, const std::string& tag) {
  const auto lane = world.lanes.find({namespace_, tag});
  return lane != world.lanes.end() && lane->second.spec.strict;
}

// The release that a subset belongs to: of several of one tag the newest that has reached so far.
std::map<std::string, const Release*> holders(const World& world, const Application& app,
                                              bool Shape::*there) {
  std::map<std::string, const Release*> found;
  for (const auto& [id, release] : world.releases) {
    if (release.name.namespace_ != app.name.namespace_ || !release.member(app.name.name)) continue;
    if (shape(release).*there) found[release.spec.tag] = &release;
  }
  return found;
}

std::uint32_t baseline_revision(const World& world, const Application& app) {
  for (const auto& [id, release] : world.releases) {
    if (release.name.namespace_ != app.name.namespace_) continue;
    const Member* member = release.member(app.name.name);
    if (member && member->baseline_revision != 0 && shape(release).switched)
      return member->baseline_revision;
  }
  if (app.change && app.change->phase == Application::Change::Phase::switching)
    return app.change->next.revision;
  return app.baseline.revision;
}

// Lanes of the namespace that are met anywhere: those of releases that have routes.
std::set<std::string> lanes_met(const World& world, const std::string& namespace_) {
  std::set<std::string> tags;
  for (const auto& [id, release] : world.releases) {
    if (release.name.namespace_ == namespace_ && release.spec.match.empty() &&
        shape(release).routes)
      tags.insert(release.spec.tag);
  }
  for (const auto& [name, lane] : world.lanes) {
    if (name.namespace_ == namespace_ && lane.spec.strict) tags.insert(name.name);
  }
  return tags;
}

void add_own_matches(const Release& release, Routing& out) {
  std::size_t number = 0;
  for (const model::GrayMatch& match : release.spec.match) {
    Way way;
    way.name = release.spec.tag + "/match-" + std::to_string(++number);
    way.match = match;
    way.to = release.spec.tag;
    way.tag = release.spec.tag;
    way.set_header = true;
    out.mesh.push_back(way);
    out.gateway.push_back(std::move(way));
  }
}

}  // namespace

Routing routing(const World& world, const Application& app) {
  Routing out;
  out.subsets.push_back({std::string(baseline), baseline_revision(world, app), false});
  for (const auto& [tag, release] : holders(world, app, &Shape::subset)) {
    out.subsets.push_back({tag, release->member(app.name.name)->gray.revision,
                           !is_strict(world, app.name.namespace_, tag)});
  }

  const auto routed = holders(world, app, &Shape::routes);
  std::vector<LaneHere> lanes;
  for (const auto& [tag, release] : routed) {
    if (release->spec.match.empty())
      lanes.push_back({tag, tag, false});
    else
      add_own_matches(*release, out);
  }
  for (const std::string& tag : lanes_met(world, app.name.namespace_)) {
    if (routed.contains(tag)) continue;
    if (is_strict(world, app.name.namespace_, tag))
      lanes.push_back({tag, {}, false});
    else
      lanes.push_back({tag, std::string(baseline), true});
  }
  add_lanes(lanes, out);

  std::uint32_t rest = 100;
  // Oldest first: while one grows, those before it do not move.
  std::vector<const Release*> by_age;
  by_age.reserve(routed.size());
  for (const auto& [tag, release] : routed) by_age.push_back(release);
  std::sort(by_age.begin(), by_age.end(),
            [](const Release* a, const Release* b) { return a->id < b->id; });
  for (const Release* release : by_age) {
    const std::uint32_t weight = std::min(shape(*release).weight, rest);
    if (weight == 0) continue;
    out.shares.push_back({release->spec.tag, weight});
    rest -= weight;
    if (out.sticky_cookie.empty()) out.sticky_cookie = release->spec.sticky_cookie;
  }
  if (rest > 0) out.shares.push_back({std::string(baseline), rest});
  if (out.sticky_cookie.empty()) out.sticky_cookie = "graymesh-" + app.name.name;
  return out;
}

}  // namespace graymesh::release
