// Inside the room: which subsets an application has and which routes lead to them, as values that
// both the objects and the check look at.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "release/plan/plan.h"

namespace graymesh::release {

inline constexpr std::string_view baseline = "baseline";

struct SubsetOf {
  std::string name;  // "baseline", or the tag
  std::uint32_t revision = 0;
  bool falls_back = false;

  bool operator==(const SubsetOf&) const = default;
};

// One condition under which a request meets a version.
struct Way {
  std::string name;  // "feature-a/header"
  model::GrayMatch match;
  std::string baggage;          // the tag that must be in it; with no lane header
  bool without_header = false;  // only requests without the lane header
  std::string to;               // subset; empty: refused with 503
  std::string tag;              // the lane that later hops shall know
  bool set_header = false;      // it is not in the request yet
  bool set_cookie = false;
  bool over_tls = false;  // only of requests that came over TLS
};

struct Share {
  std::string to;
  std::uint32_t weight = 0;

  bool operator==(const Share&) const = default;
};

struct Routing {
  std::vector<SubsetOf> subsets;   // baseline first
  std::vector<Way> gateway, mesh;  // in order of precedence
  std::vector<Share> shares;       // of the rest; the baseline last
  std::string sticky_cookie;
};

Routing routing(const World& world, const Application& app);

// The condition of a way as Istio says it.
model::HttpMatch http_match(const Way& way, const Name& app);

// Only requests have headers: connections of other ports meet the baseline.
bool has_http(const Application& app);

// Rules that `release`, which stands at `world` with its routes, would hide or be hidden by, each
// with the name of the other.
std::vector<std::string> hidden(const World& world, const Release& release,
                                std::span<const model::ObjectPtr> team);

}  // namespace graymesh::release
