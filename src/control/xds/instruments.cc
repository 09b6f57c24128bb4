#include "control/xds/instruments.h"

#include <algorithm>
#include <cctype>
#include <string>

namespace graymesh::xds {
namespace {

metrics::Gauge& streams(metrics::Registry& registry, const char* protocol) {
  return registry.gauge("graymesh_xds_streams", "Open ADS streams that have named their node.",
                        {{"protocol", protocol}});
}

metrics::Counter& rejected(metrics::Registry& registry, const char* reason) {
  return registry.counter(
      "graymesh_xds_requests_rejected_total",
      "Requests that were not followed: malformed or unbounded ones end their stream, those of an "
      "unknown type are answered with nothing, stale ones answer an older response.",
      {{"reason", reason}});
}

}  // namespace

Instruments::Instruments(metrics::Registry& registry)
    : delta_streams(streams(registry, "delta")),
      sotw_streams(streams(registry, "sotw")),
      opened(registry.counter("graymesh_xds_streams_opened_total",
                              "ADS streams that have named their node, from the start.")),
      acks(registry.counter("graymesh_xds_acks_total", "Responses that proxies accepted.")),
      stale(rejected(registry, "stale")),
      malformed(rejected(registry, "malformed")),
      unbounded(rejected(registry, "unbounded")),
      unknown_type(rejected(registry, "unknown_type")),
      convergence(registry.histogram(
          "graymesh_xds_convergence_seconds",
          "From the publication of a change until one proxy has ACKed all of it.",
          metrics::duration_bounds())) {
  for (const auto type : resource::all_types) {
    std::string name(short_name(type));
    std::ranges::transform(name, name.begin(),
                           [](char c) { return static_cast<char>(std::tolower(c)); });
    of_type[static_cast<std::size_t>(type)] = {
        &registry.counter("graymesh_xds_pushes_total", "Responses sent.", {{"type", name}}),
        &registry.counter("graymesh_xds_push_bytes_total", "Bytes of responses sent.",
                          {{"type", name}}),
        &registry.counter("graymesh_xds_nacks_total", "Responses that proxies refused.",
                          {{"type", name}})};
  }
}

}  // namespace graymesh::xds
