// A user stays on the version met: what weights choose by (docs/translation.md 13.3).
//
// Envoy chooses among weights by the request's hash, and would give a user without the cookie one
// only where endpoints are chosen by hash too, and after the version was chosen. So the cookie is
// ours: its value is the id of the user's first request, by which that one was chosen. Such a route
// is two:
//
//   match, cookie user=...   weights by the hash of the cookie
//   match                    weights by the hash of x-request-id; set-cookie: user=<x-request-id>
#include "control/translate/route_parts.h"
#include "envoy/config/route/v3/route_components.pb.h"

namespace graymesh::translate {
namespace {

using envoy_route::Route;

constexpr const char* request_id = "x-request-id";

// Matches a Cookie header in which `name` has a value. A name's characters are of RFC 9110's token.
std::string cookie_pattern(std::string_view name) {
  std::string escaped;
  for (const char c : name) {
    if (std::string_view("$*+.^|").find(c) != std::string_view::npos) escaped += '\\';
    escaped += c;
  }
  return "(.*[; ])?" + escaped + "=[^; ].*";
}

}  // namespace

// What it finds first is the whole of a request's hash, whatever a rule's own hash would add.
void add_hash_policy(const model::Sticky& sticky, envoy_route::RouteAction& out) {
  if (!sticky.header.empty()) {
    auto& policy = *out.add_hash_policy();
    policy.mutable_header()->set_header_name(sticky.header);
    policy.set_terminal(true);
  }
  if (!sticky.cookie) return;
  auto& policy = *out.add_hash_policy();
  policy.mutable_cookie()->set_name(sticky.cookie->name);
  policy.set_terminal(true);
  if (!sticky.cookie->ttl) return;
  // A user without the cookie is given the request's id as one: both have the same hash.
  auto& first = *out.add_hash_policy();
  first.mutable_header()->set_header_name(request_id);
  first.set_terminal(true);
}

bool gives_cookie(const model::HttpRoute& http, const Route& route) {
  return http.sticky && http.sticky->cookie && http.sticky->cookie->ttl &&
         route.route().weighted_clusters().use_hash_policy().value();
}

Route split_cookie(const model::HttpCookie& cookie, Route& route) {
  Route known = route;
  auto& matcher = *known.mutable_match()->add_headers();
  matcher.set_name("cookie");
  matcher.mutable_string_match()->mutable_safe_regex()->set_regex(cookie_pattern(cookie.name));

  std::string text = cookie.name + "=%REQ(X-REQUEST-ID)%";
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*cookie.ttl).count();
  if (seconds > 0) text += "; Max-Age=" + std::to_string(seconds);
  text += "; Path=" + (cookie.path.empty() ? "/" : cookie.path) + "; HttpOnly";
  auto& added = *route.add_response_headers_to_add();
  added.mutable_header()->set_key("set-cookie");
  added.mutable_header()->set_value(std::move(text));
  return known;
}

bool comes_last(const Route& route) {
  if (catches_all(route.match())) return true;
  const auto& headers = route.match().headers();
  if (headers.empty() || !route.route().weighted_clusters().use_hash_policy().value()) return false;
  for (const auto& policy : route.route().hash_policy()) {
    if (!policy.has_cookie()) continue;
    const auto& last = *headers.rbegin();
    if (last.name() != "cookie" ||
        last.string_match().safe_regex().regex() != cookie_pattern(policy.cookie().name()))
      return false;
    envoy_route::RouteMatch without = route.match();
    without.mutable_headers()->RemoveLast();
    return catches_all(without);
  }
  return false;
}

}  // namespace graymesh::translate
