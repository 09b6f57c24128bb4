// Which version answers whom. For a gray version with the lane's own match there are four ways in,
// the surest first: the lane header, the query (a link), the cookie (a browser that followed one),
// and W3C baggage (an application that forwards only that). The header decides where it is present.
#include "release/plan/routing.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <iterator>
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
    // A cookie that goes with every request, also one that another site posts, must be Secure.
    way.over_tls = true;
    add_lane(lane, false, "query-tls", way, out.gateway);
    way.over_tls = false;
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
      return coming_baseline(release, *member, app).revision;
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

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_') out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

model::StringMatch regex(std::string value) {
  return {.kind = model::StringMatch::Kind::regex, .value = std::move(value)};
}

// A cookie among others, by RFC 6265 4.2.1: name=value pairs, "; " between.
model::StringMatch cookie_match(const std::string& name, const model::StringMatch& match) {
  using Kind = model::StringMatch::Kind;
  std::string value = "[^;]*";
  if (match.kind == Kind::exact) value = escaped(match.value);
  if (match.kind == Kind::prefix) value = escaped(match.value) + "[^;]*";
  if (match.kind == Kind::regex) value = "(" + match.value + ")";
  return regex(fmt::format("(.*;\\s*)?{}={}(;.*)?", escaped(name), value));
}

// An entry among others, by W3C Baggage: key=value;properties, "," between.
model::StringMatch baggage_match(const std::string& tag) {
  return regex(fmt::format("(.*,)?\\s*{}\\s*=\\s*{}\\s*([;,].*)?", lane_header, escaped(tag)));
}

}  // namespace

model::HttpMatch http_match(const Way& way, const Name& app) {
  model::HttpMatch out;
  out.name = way.name;
  out.headers = way.match.headers;
  for (const auto& [name, value] : way.match.cookies)
    out.headers["cookie"] = cookie_match(name, value);
  if (!way.baggage.empty()) out.headers["baggage"] = baggage_match(way.baggage);
  if (way.over_tls) out.scheme = {.kind = model::StringMatch::Kind::exact, .value = "https"};
  if (way.without_header) out.without_headers[std::string(lane_header)] = {};
  out.query_params = way.match.query;
  const std::string& source = way.match.source_application;
  if (!source.empty()) {
    const auto dot = source.find('.');
    out.source_labels["app"] = source.substr(0, dot);
    out.source_namespace = dot == std::string::npos ? app.namespace_ : source.substr(dot + 1);
  }
  return out;
}

bool has_http(const Application& app) {
  constexpr std::string_view others[] = {"tcp", "tls", "mongo", "redis", "mysql", "https"};
  return std::ranges::any_of(app.spec().ports, [&](const model::ApplicationPort& port) {
    std::string lower;
    for (const char c : port.protocol)
      lower.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
    return std::ranges::find(others, lower) == std::end(others);
  });
}

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
