// What HTTP filters do on a route: injected faults and CORS (docs/translation.md 4.8). The filters
// stand idle in every listener; a route wakes them by its own configuration.
#include <string>

#include "control/translate/route_parts.h"
#include "control/translate/wire.h"
#include "envoy/config/route/v3/route_components.pb.h"
#include "envoy/extensions/filters/http/cors/v3/cors.pb.h"
#include "envoy/extensions/filters/http/fault/v3/fault.pb.h"

namespace graymesh::translate {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) {
    if (!out.empty()) out += ',';
    out += word;
  }
  return out;
}

// Envoy's limits; a route outside of them would have the whole table refused.
bool is_abort_status(std::uint32_t status) { return status >= 200 && status < 600; }

}  // namespace

void set_fault(const model::Fault& fault, envoy_route::Route& out) {
  envoy::extensions::filters::http::fault::v3::HTTPFault config;
  if (fault.delay && fault.delay->fixed > model::Duration::zero()) {
    auto& delay = *config.mutable_delay();
    set_duration(*delay.mutable_fixed_delay(), fault.delay->fixed);
    set_percent(*delay.mutable_percentage(), fault.delay->percent);
  }
  if (fault.abort && (fault.abort->grpc_status || is_abort_status(fault.abort->http_status))) {
    auto& abort = *config.mutable_abort();
    if (fault.abort->grpc_status) {
      abort.set_grpc_status(*fault.abort->grpc_status);
    } else {
      abort.set_http_status(fault.abort->http_status);
    }
    set_percent(*abort.mutable_percentage(), fault.abort->percent);
  }
  if (!config.has_delay() && !config.has_abort()) return;
  pack(config, (*out.mutable_typed_per_filter_config())["envoy.filters.http.fault"]);
}

void set_cors(const model::CorsPolicy& cors, envoy_route::Route& out) {
  envoy::extensions::filters::http::cors::v3::CorsPolicy config;
  for (const auto& origin : cors.allow_origins) {
    auto& matcher = *config.add_allow_origin_string_match();
    switch (origin.kind) {
      case model::StringMatch::Kind::exact:
        matcher.set_exact(origin.value);
        break;
      case model::StringMatch::Kind::prefix:
        if (origin.value.empty()) {
          matcher.mutable_safe_regex()->set_regex(".*");  // Envoy takes no empty prefix
        } else {
          matcher.set_prefix(origin.value);
        }
        break;
      case model::StringMatch::Kind::regex:
        matcher.mutable_safe_regex()->set_regex(origin.value);
        break;
      case model::StringMatch::Kind::present:
        matcher.mutable_safe_regex()->set_regex(".*");
        break;
    }
  }
  config.set_allow_methods(joined(cors.allow_methods));
  config.set_allow_headers(joined(cors.allow_headers));
  config.set_expose_headers(joined(cors.expose_headers));
  if (cors.max_age) {
    config.set_max_age(
        std::to_string(std::chrono::duration_cast<std::chrono::seconds>(*cors.max_age).count()));
  }
  if (cors.allow_credentials)
    config.mutable_allow_credentials()->set_value(*cors.allow_credentials);
  set_percent(*config.mutable_filter_enabled()->mutable_default_value(), 100);
  config.mutable_forward_not_matching_preflights()->set_value(
      cors.unmatched_preflights != model::CorsPolicy::UnmatchedPreflights::ignore);
  pack(config, (*out.mutable_typed_per_filter_config())["envoy.filters.http.cors"]);
}

}  // namespace graymesh::translate
