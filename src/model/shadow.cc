#include "model/shadow.h"

#include <algorithm>

namespace graymesh::model {
namespace {

bool takes_any_path(const std::optional<StringMatch>& uri) {
  return !uri || (uri->kind == StringMatch::Kind::prefix && uri->value == "/") ||
         (uri->kind == StringMatch::Kind::regex && uri->value == ".*");
}

bool covers_path(const HttpMatch& earlier, const HttpMatch& later) {
  if (takes_any_path(earlier.uri)) return true;
  if (!later.uri || earlier.ignore_uri_case != later.ignore_uri_case) return false;
  if (*earlier.uri == *later.uri) return true;
  const bool plain =
      later.uri->kind == StringMatch::Kind::exact || later.uri->kind == StringMatch::Kind::prefix;
  return plain && earlier.uri->kind == StringMatch::Kind::prefix &&
         later.uri->value.starts_with(earlier.uri->value);
}

bool covers_value(const StringMatch& earlier, const StringMatch& later) {
  using Kind = StringMatch::Kind;
  if (earlier == later || earlier.kind == Kind::present) return true;
  const bool plain = later.kind == Kind::exact || later.kind == Kind::prefix;
  return plain && earlier.kind == Kind::prefix && later.value.starts_with(earlier.value);
}

bool covers_value(const std::optional<StringMatch>& earlier,
                  const std::optional<StringMatch>& later) {
  return !earlier || (later && covers_value(*earlier, *later));
}

// Conditions hold all at once: fewer of them take more.
bool covers_all(const NamedMatches& earlier, const NamedMatches& later) {
  return std::ranges::all_of(earlier, [&later](const auto& condition) {
    const auto at = later.find(condition.first);
    return at != later.end() && covers_value(condition.second, at->second);
  });
}

// What `earlier` excludes, `later` excludes as well: the other way round.
bool excludes_no_more(const NamedMatches& earlier, const NamedMatches& later) {
  return std::ranges::all_of(earlier, [&later](const auto& condition) {
    const auto at = later.find(condition.first);
    return at != later.end() && covers_value(at->second, condition.second);
  });
}

bool covers_labels(const Labels& earlier, const Labels& later) {
  return std::ranges::all_of(earlier, [&later](const auto& label) {
    const auto at = later.find(label.first);
    return at != later.end() && at->second == label.second;
  });
}

bool covers_gateways(const HttpMatch& earlier, const HttpMatch& later) {
  if (earlier.gateways.empty()) return true;
  return !later.gateways.empty() &&
         std::ranges::all_of(later.gateways, [&earlier](const std::string& gateway) {
           return std::ranges::count(earlier.gateways, gateway) != 0;
         });
}

}  // namespace

bool covers(const HttpMatch& earlier, const HttpMatch& later) {
  return covers_path(earlier, later) && covers_value(earlier.scheme, later.scheme) &&
         covers_value(earlier.method, later.method) &&
         covers_value(earlier.authority, later.authority) &&
         covers_all(earlier.headers, later.headers) &&
         excludes_no_more(earlier.without_headers, later.without_headers) &&
         covers_all(earlier.query_params, later.query_params) &&
         (earlier.port == 0 || earlier.port == later.port) &&
         covers_labels(earlier.source_labels, later.source_labels) &&
         (earlier.source_namespace.empty() || earlier.source_namespace == later.source_namespace) &&
         covers_gateways(earlier, later);
}

bool takes_all(const HttpMatch& match) { return covers(match, HttpMatch{}); }

bool takes_all(const HttpRoute& route) {
  return route.match.empty() ||
         std::ranges::any_of(route.match, [](const HttpMatch& match) { return takes_all(match); });
}

bool covers(const HttpRoute& earlier, const HttpRoute& later) {
  if (takes_all(earlier)) return true;
  return !later.match.empty() && std::ranges::all_of(later.match, [&](const HttpMatch& match) {
    return std::ranges::any_of(earlier.match,
                               [&match](const HttpMatch& above) { return covers(above, match); });
  });
}

std::vector<std::pair<std::size_t, std::size_t>> shadowed(std::span<const HttpRoute> routes) {
  std::vector<std::pair<std::size_t, std::size_t>> result;
  for (std::size_t later = 1; later < routes.size(); ++later) {
    for (std::size_t earlier = 0; earlier < later; ++earlier) {
      if (!covers(routes[earlier], routes[later])) continue;
      result.emplace_back(later, earlier);
      break;
    }
  }
  return result;
}

}  // namespace graymesh::model
