// Which requests a route takes: Istio's HTTPMatchRequest to Envoy's RouteMatch
// (docs/translation.md 4.5).
#include <algorithm>
#include <map>
#include <string>

#include "control/translate/route_parts.h"
#include "envoy/config/route/v3/route_components.pb.h"
#include "envoy/type/matcher/v3/string.pb.h"

namespace graymesh::translate {
namespace {

using model::StringMatch;

// `{}` and the regex `*`, which is none, ask only for presence; so does an empty prefix, which
// Envoy does not take.
bool asks_for_presence(const StringMatch& match) {
  switch (match.kind) {
    case StringMatch::Kind::present:
      return true;
    case StringMatch::Kind::prefix:
      return match.value.empty();
    case StringMatch::Kind::regex:
      return match.value == "*";
    case StringMatch::Kind::exact:
      return false;
  }
  return true;
}

void set_string(const StringMatch& match, envoy::type::matcher::v3::StringMatcher& out) {
  switch (match.kind) {
    case StringMatch::Kind::exact:
      out.set_exact(match.value);
      break;
    case StringMatch::Kind::prefix:
      out.set_prefix(match.value);
      break;
    case StringMatch::Kind::regex:
      out.mutable_safe_regex()->set_regex(match.value);
      break;
    case StringMatch::Kind::present:
      break;
  }
}

void add_header(const std::string& name, const StringMatch& match, envoy_route::RouteMatch& out) {
  auto& header = *out.add_headers();
  header.set_name(name);
  if (asks_for_presence(match)) {
    header.set_present_match(true);
  } else {
    set_string(match, *header.mutable_string_match());
  }
}

// The header is absent, or has another value.
void add_without_header(const std::string& name, const StringMatch& match,
                        envoy_route::RouteMatch& out) {
  add_header(name, match, out);
  auto& header = *out.mutable_headers()->rbegin();
  header.set_invert_match(true);
  // Envoy takes an absent header for no match before it inverts.
  if (!header.has_present_match()) header.set_treat_missing_header_as_empty(true);
}

// Both kinds together in order of their names, `headers` first of equal ones.
void add_headers(const model::HttpMatch& match, envoy_route::RouteMatch& out) {
  auto with = match.headers.begin();
  auto without = match.without_headers.begin();
  while (with != match.headers.end() || without != match.without_headers.end()) {
    if (without == match.without_headers.end() ||
        (with != match.headers.end() && with->first <= without->first)) {
      add_header(with->first, with->second, out);
      ++with;
    } else {
      add_without_header(without->first, without->second, out);
      ++without;
    }
  }
}

void set_path(const model::HttpMatch& match, envoy_route::RouteMatch& out) {
  if (!match.uri || match.uri->kind == StringMatch::Kind::present) {
    out.set_prefix("/");
    return;
  }
  switch (match.uri->kind) {
    case StringMatch::Kind::exact:
      out.set_path(match.uri->value);
      break;
    case StringMatch::Kind::prefix:
      out.set_prefix(match.uri->value);
      break;
    default:
      out.mutable_safe_regex()->set_regex(match.uri->value);
  }
}

}  // namespace

bool applies(const model::HttpMatch& match, const Place& place) {
  if (match.port != 0 && match.port != place.port) return false;
  if (match.query_params.contains(""))
    return false;                 // no request has it, and Envoy takes no such name
  if (!match.gateways.empty()) {  // then Istio does not ask who the client is
    return std::find(match.gateways.begin(), match.gateways.end(), place.gateway) !=
           match.gateways.end();
  }
  if (!match.source_namespace.empty() && match.source_namespace != place.namespace_) return false;
  return model::selects(match.source_labels, place.labels);
}

void set_match(const model::HttpMatch& match, envoy_route::RouteMatch& out) {
  set_path(match, out);
  out.mutable_case_sensitive()->set_value(!match.ignore_uri_case);
  add_headers(match, out);
  if (match.method) add_header(":method", *match.method, out);
  if (match.authority) add_header(":authority", *match.authority, out);
  if (match.scheme) add_header(":scheme", *match.scheme, out);
  for (const auto& [name, value] : match.query_params) {
    auto& parameter = *out.add_query_parameters();
    parameter.set_name(name);
    if (asks_for_presence(value)) {
      parameter.set_present_match(true);
    } else {
      set_string(value, *parameter.mutable_string_match());
    }
  }
}

bool catches_all(const envoy_route::RouteMatch& match) {
  const bool every_path = match.prefix() == "/" || match.safe_regex().regex() == ".*";
  return every_path && match.headers().empty() && match.query_parameters().empty();
}

}  // namespace graymesh::translate
