// Header operations of a route or of one of its destinations (docs/translation.md 4.7).
#include <google/protobuf/repeated_ptr_field.h>

#include <algorithm>
#include <iterator>

#include "control/translate/route_parts.h"
#include "envoy/config/core/v3/base.pb.h"
#include "envoy/config/route/v3/route_components.pb.h"

namespace graymesh::translate {
namespace {

using envoy::config::core::v3::HeaderValueOption;
using Options = google::protobuf::RepeatedPtrField<HeaderValueOption>;

bool equal_ignoring_case(std::string_view a, std::string_view lower) {
  if (a.size() != lower.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const char c = a[i] >= 'A' && a[i] <= 'Z' ? static_cast<char>(a[i] - 'A' + 'a') : a[i];
    if (c != lower[i]) return false;
  }
  return true;
}

bool is_authority(std::string_view name) {
  return name == ":authority" || equal_ignoring_case(name, "host");
}

// Envoy refuses a route that touches these headers; the authority is rewritten in its own way.
bool is_fixed(std::string_view name) { return name.starts_with(':') || is_authority(name); }

void add_values(const model::Labels& values, HeaderValueOption::HeaderAppendAction action,
                Options& out) {
  for (const auto& [name, value] : values) {
    if (is_fixed(name) || !model::is_header_format(value)) continue;
    auto& option = *out.Add();
    option.mutable_header()->set_key(header_text(name));
    option.mutable_header()->set_value(header_text(value));
    option.set_append_action(action);
  }
}

void add_values(const model::HeaderOperations& operations, Options& out) {
  add_values(operations.set, HeaderValueOption::OVERWRITE_IF_EXISTS_OR_ADD, out);
  add_values(operations.add, HeaderValueOption::APPEND_IF_EXISTS_OR_ADD, out);
}

template <typename T>
void add_all(const model::Headers& headers, T& out) {
  add_values(headers.request, *out.mutable_request_headers_to_add());
  add_values(headers.response, *out.mutable_response_headers_to_add());
  for (const auto& name : headers.request.remove) {
    if (!is_fixed(name)) out.add_request_headers_to_remove(header_text(name));
  }
  for (const auto& name : headers.response.remove) {
    if (!is_fixed(name)) out.add_response_headers_to_remove(header_text(name));
  }
}

std::string authority_in(const model::Labels& values) {
  for (const auto& [name, value] : values) {
    if (is_authority(name)) return header_text(value);
  }
  return {};
}

}  // namespace

std::string header_text(std::string_view text) {
  std::string out;
  std::copy_if(text.begin(), text.end(), std::back_inserter(out),
               [](char c) { return c != '\0' && c != '\r' && c != '\n'; });
  return out;
}

void add_headers(const model::Headers& headers, envoy_route::Route& out) { add_all(headers, out); }

void add_headers(const model::Headers& headers, envoy_route::WeightedCluster_ClusterWeight& out) {
  add_all(headers, out);
}

std::string authority_of(const model::Headers& headers) {
  std::string set = authority_in(headers.request.set);
  return set.empty() ? authority_in(headers.request.add) : set;
}

}  // namespace graymesh::translate
