// Rules that would never be met: those of a release behind another's, and another's behind those of
// the release. Compared are the ways of all gray versions and lanes of one application, in their
// order, and with them the VirtualServices that the team wrote for the same host at the same
// gateway, in the order in which fragments are merged (docs/translation.md 13.4):
//
//   others' `release` | our ways | others' `release` | the team's | others' `default` | our shares
#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <tuple>

#include "model/names.h"
#include "model/shadow.h"
#include "release/plan/routing.h"

namespace graymesh::release {
namespace {

using model::HttpMatch;
using model::HttpRoute;
using model::Precedence;

constexpr const char* mesh = "mesh";

// As http_match(), with each cookie and baggage entry for itself instead of in a regular
// expression: these compare.
HttpMatch comparable(const Way& way, const Name& app) {
  Way plain = way;
  plain.match.cookies.clear();
  plain.baggage.clear();
  HttpMatch out = http_match(plain, app);
  for (const auto& [name, value] : way.match.cookies) out.headers["cookie " + name] = value;
  if (!way.baggage.empty()) out.headers["baggage " + way.baggage] = {};
  return out;
}

// A host at a gateway, or in the mesh, where an application is met.
struct Place {
  std::string host, gateway;
};

std::vector<Place> places(const Application& app) {
  const std::string own = model::full_host(app.name.name, app.name.namespace_);
  std::vector<Place> out = {{own, mesh}};
  for (const std::string& written : app.spec().gateways) {
    const std::string gateway = model::gateway_name(written, app.name.namespace_);
    out.push_back({own, gateway});
    for (const std::string& host : app.spec().hosts) out.push_back({host, gateway});
  }
  return out;
}

bool exported_to(const model::Object& object, const std::string& gateway) {
  const auto& list = object.as<model::VirtualService>().export_to;
  const std::string where = gateway.substr(0, gateway.find('/'));
  return list.empty() || std::ranges::any_of(list, [&](const std::string& to) {
           if (gateway == mesh || to == "*") return true;
           return (to == "." ? object.meta.key.namespace_ : to) == where;
         });
}

bool speaks(const model::Object& object, const Place& place) {
  const auto& spec = object.as<model::VirtualService>();
  const std::string& namespace_ = object.meta.key.namespace_;
  const bool of_host = std::ranges::any_of(spec.hosts, [&](const std::string& host) {
    return model::full_host(host, namespace_) == place.host;
  });
  const bool at_gateway = spec.gateways.empty()
                              ? place.gateway == mesh
                              : std::ranges::any_of(spec.gateways, [&](const std::string& gateway) {
                                  return model::gateway_name(gateway, namespace_) == place.gateway;
                                });
  return of_host && at_gateway && exported_to(object, place.gateway);
}

// What of the route is about the gateway; nothing if it is about others only.
std::optional<HttpRoute> at(const HttpRoute& route, const Place& place,
                            const std::string& namespace_) {
  if (route.match.empty()) return route;
  HttpRoute out = route;
  std::erase_if(out.match, [&](const HttpMatch& match) {
    return !match.gateways.empty() &&
           std::ranges::none_of(match.gateways, [&](const std::string& gateway) {
             return model::gateway_name(gateway, namespace_) == place.gateway;
           });
  });
  if (out.match.empty()) return std::nullopt;
  for (HttpMatch& match : out.match) match.gateways.clear();
  return out;
}

// A rule that somebody wrote into a VirtualService.
struct Rule {
  HttpRoute route;
  Precedence precedence = Precedence::team;
  bool before_ours = false;  // of `release`: by age, then name, as fragments of a kind are ordered
  std::string name;          // http[1] "api" of VirtualService fe-pre/web
};

std::vector<Rule> rules_at(const Place& place, const Name& app,
                           std::span<const model::ObjectPtr> team) {
  std::vector<Rule> out;
  const std::string suffix = place.gateway == mesh ? "-release-mesh" : "-release";
  for (const auto& object : team) {
    if (!speaks(*object, place)) continue;
    const auto& spec = object->as<model::VirtualService>();
    const model::Key& key = object->meta.key;
    const bool before = std::tuple(object->meta.created, key.name, key.namespace_) <
                        std::tuple(std::int64_t{0}, app.name + suffix, app.namespace_);
    for (std::size_t i = 0; i < spec.http.size(); ++i) {
      auto route = at(spec.http[i], place, key.namespace_);
      if (!route) continue;
      std::string name = fmt::format("http[{}]", i);
      if (!route->name.empty()) name += fmt::format(" \"{}\"", route->name);
      out.push_back({*std::move(route), spec.precedence, before,
                     fmt::format("{} of {}", name, model::to_string(key))});
    }
  }
  return out;
}

class Compare {
 public:
  Compare(const World& world, const Release& release, std::span<const model::ObjectPtr> team)
      : world_(world), release_(release), team_(team) {}

  void look(const Application& app) {
    app_ = &app;
    if (!has_http(app)) return look_at_connections();
    routing_ = routing(world_, app);
    among(routing_.mesh);
    if (!app.spec().gateways.empty()) among(routing_.gateway);
    if (team_.empty()) return;
    std::size_t places_of_shares = 0;
    std::vector<std::string> taken;  // by what, where nobody gets a share
    for (const Place& place : places(app)) {
      const auto rules = rules_at(place, app.name, team_);
      with(rules, place.gateway == mesh ? routing_.mesh : routing_.gateway);
      ++places_of_shares;
      const auto all = std::ranges::find_if(rules, [](const Rule& rule) {
        return !rule.route.delegate && model::takes_all(rule.route);
      });
      if (all != rules.end()) taken.push_back(all->name);
    }
    const bool has_share = release_.member(app.name.name) != nullptr && weighs();
    if (has_share && taken.size() == places_of_shares)
      tell(fmt::format("the weights of {} would be met by nobody: {} takes every request before",
                       to_string(app.name), taken.front()));
  }

  std::vector<std::string> problems() && { return std::move(problems_); }

 private:
  bool mine(const Way& way) const { return way.tag == release_.spec.tag; }

  bool weighs() const {
    return std::ranges::any_of(release_.spec.steps,
                               [](const model::GrayStep& step) { return step.weight > 0; });
  }

  void look_at_connections() {
    if (release_.member(app_->name.name) == nullptr) return;
    if (!release_.spec.match.empty() || weighs())
      tell(
          fmt::format("{} has no HTTP port: connections have no headers and no shares, so match "
                      "and steps would be met by nobody",
                      to_string(app_->name)));
  }

  // "feature-a/match-1 of release 12".
  std::string name_of_way(const Way& way) const {
    const Release* release = world_.active(app_->name, way.tag);
    if (release == nullptr) return fmt::format("{} of lane {}", way.name, way.tag);
    return fmt::format("{} of release {}", way.name, release->id);
  }
  std::string own_name(const Way& way) const {
    return fmt::format("{} of {}", way.name, to_string(app_->name));
  }

  void among(const std::vector<Way>& ways) {
    std::vector<HttpMatch> matches;
    matches.reserve(ways.size());
    for (const Way& way : ways) matches.push_back(comparable(way, app_->name));
    for (std::size_t later = 1; later < ways.size(); ++later) {
      for (std::size_t earlier = 0; earlier < later; ++earlier) {
        if (!mine(ways[later]) && !mine(ways[earlier])) continue;
        if (!model::covers(matches[earlier], matches[later])) continue;
        if (mine(ways[later])) {
          tell(fmt::format("{} would be met by nobody: it is hidden by {}", own_name(ways[later]),
                           name_of_way(ways[earlier])));
        } else {
          tell(fmt::format("{} would hide {}", own_name(ways[earlier]), name_of_way(ways[later])));
        }
        break;
      }
    }
  }

  void with(const std::vector<Rule>& rules, const std::vector<Way>& ways) {
    for (const Way& way : ways) {
      if (!mine(way)) continue;
      HttpRoute ours;
      ours.match.push_back(http_match(way, app_->name));
      for (const Rule& rule : rules) {
        const bool first = rule.precedence == Precedence::release && rule.before_ours;
        if (first && !rule.route.delegate && model::covers(rule.route, ours)) {
          tell(fmt::format("{} would be met by nobody: it is hidden by {}", own_name(way),
                           rule.name));
        } else if (!first && model::covers(ours, rule.route)) {
          tell(fmt::format("{} would hide {}", own_name(way), rule.name));
        }
      }
    }
  }

  void tell(std::string problem) {
    if (std::ranges::find(problems_, problem) == problems_.end())
      problems_.push_back(std::move(problem));
  }

  const World& world_;
  const Release& release_;
  const std::span<const model::ObjectPtr> team_;
  const Application* app_ = nullptr;
  Routing routing_;
  std::vector<std::string> problems_;
};

}  // namespace

std::vector<std::string> hidden(const World& world, const Release& release,
                                std::span<const model::ObjectPtr> team) {
  Compare compare(world, release, team);
  for (const auto& [name, app] : world.applications) {
    if (name.namespace_ != release.name.namespace_ || app.leaving || app.spec().gateway) continue;
    // Gateways of other applications learn of a lane as well, for which only the team's rules
    // matter: their ways are those of the lane's own members, compared there.
    const bool member = release.member(name.name) != nullptr;
    const bool spoken_of = std::ranges::any_of(places(app), [&](const Place& place) {
      return std::ranges::any_of(team, [&](const auto& object) { return speaks(*object, place); });
    });
    if (member || spoken_of) compare.look(app);
  }
  return std::move(compare).problems();
}

}  // namespace graymesh::release
