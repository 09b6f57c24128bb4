// Istio's standard metrics of requests, counted by the proxy itself: Envoy's stats logger adds each
// request, when it ends, to counters and histograms whose labels are made of the request. What
// Prometheus keeps of them is in monitoring/relabel.cc, what they mean in docs/monitoring.md.
//
// Nothing that a client sends becomes a label: names are of the configuration, codes are numbers,
// and flags Envoy's own.
#include <google/protobuf/util/json_util.h>

#include "base/json.h"
#include "control/translate/http_connection_manager.h"
#include "control/translate/wire.h"
#include "envoy/config/accesslog/v3/accesslog.pb.h"
#include "xds/type/v3/typed_struct.pb.h"

namespace graymesh::translate {
namespace {

using Json = nlohmann::json;

// Of one proxy, should names ever get out of hand; what is beyond is not counted.
constexpr int counters_max = 20'000, histograms_max = 5'000;

Json stat(const char* name, const Json& tags) { return {{"name", name}, {"tags", tags}}; }

Json histogram(const char* name, const char* unit, const char* value, const Json& tags) {
  return {{"stat", stat(name, tags)}, {"unit", unit}, {"value_format", value}};
}

Json logger(const HttpHandling& handling) {
  const auto tag = [](const char* name, const std::string& value) -> Json {
    return {{"name", name}, {"value_format", value}};
  };
  const bool inbound = handling.side == Side::inbound;
  const Json reporter = tag("reporter", inbound ? "destination" : "source");
  // The cluster as its statistics call it, which names the version (alt_stat_name, cluster.cc).
  const Json cluster =
      tag("mesh_cluster", inbound ? "inbound|||" + handling.host : "%UPSTREAM_CLUSTER%");
  Json counted = {reporter, cluster, tag("response_code", "%RESPONSE_CODE%"),
                  tag("response_flags", "%RESPONSE_FLAGS%")};
  // Who answered, which need not be the version that was called (endpoint.cc).
  if (!inbound) counted.push_back(tag("mesh_workload", "%UPSTREAM_METADATA(istio:workload)%"));
  const Json measured = {reporter, cluster};
  Json histograms = {
      histogram("request_bytes", "Bytes", "%BYTES_RECEIVED%", measured),
      histogram("response_bytes", "Bytes", "%BYTES_SENT%", measured),
  };
  // Of callers it is their clusters' upstream_rq_time, which is there in any case.
  if (inbound) {
    histograms.push_back(
        histogram("request_duration_milliseconds", "Milliseconds", "%DURATION%", measured));
  }
  return {{"stats_scope",
           {{"prefix", "istio"},
            {"sharing_name", "graymesh"},
            {"enable_eviction", true},  // as often as its bootstrap says
            {"max_counters", counters_max},
            {"max_histograms", histograms_max}}},
          // Of 64 bits, which JSON has as text: so Envoy says it, too.
          {"counters", {{{"stat", stat("requests_total", counted)}, {"value_fixed", "1"}}}},
          {"histograms", std::move(histograms)}};
}

}  // namespace

// By a TypedStruct, which Envoy reads by the names of fields: the logger's own message would make
// every build compile its descriptors for these few lines.
void set_request_metrics(const HttpHandling& handling,
                         envoy::config::accesslog::v3::AccessLog& out) {
  xds::type::v3::TypedStruct config;
  config.set_type_url("type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config");
  (void)google::protobuf::util::JsonStringToMessage(logger(handling).dump(),
                                                    config.mutable_value());
  out.set_name("envoy.access_loggers.stats");
  pack(config, *out.mutable_typed_config());
}

}  // namespace graymesh::translate
