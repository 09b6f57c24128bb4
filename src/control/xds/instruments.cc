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

metrics::Gauge& waiting(metrics::Registry& registry, const char* what) {
  return registry.gauge(
      "graymesh_xds_streams_waiting",
      "Streams in line: to be read from first, to be let in cold, or for the turn "
      "of their response.",
      {{"for", what}});
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
          "From the writing of a change, or the coming of a proxy, until it has ACKed all of it.",
          metrics::duration_bounds())),
      change(registry.histogram("graymesh_xds_change_seconds",
                                "From the writing of a change until the last of the proxies that "
                                "were told of it has ACKed it.",
                                metrics::duration_bounds())),
      changes_under_way(registry.gauge("graymesh_xds_changes_under_way",
                                       "Changes that some proxy has not yet ACKed.")),
      folded(registry.counter("graymesh_xds_updates_folded_total",
                              "Configurations that took the place of one that a proxy had not yet "
                              "been told in full.")),
      bytes_in_flight(registry.gauge("graymesh_xds_bytes_in_flight",
                                     "Bytes of responses sent and not yet answered.")),
      cold_bytes(registry.gauge("graymesh_xds_cold_bytes",
                                "Bytes that proxies which were let in cold are still owed.")),
      waits_for_reception(waiting(registry, "reception")),
      waits_for_admission(waiting(registry, "admission")),
      waits_for_turn(waiting(registry, "turn")),
      turned_away(registry.counter("graymesh_xds_streams_turned_away_total",
                                   "Streams beyond those that may be open: told to come later.")),
      registry_(&registry) {
  for (const char* reason : {"silent", "reads_nothing", "answers_nothing"}) (void)dropped(reason);
  for (const auto type : resource::all_types) {
    std::string name(short_name(type));
    std::ranges::transform(name, name.begin(),
                           [](char c) { return static_cast<char>(std::tolower(c)); });
    of_type[static_cast<std::size_t>(type)] = {
        &registry.counter("graymesh_xds_pushes_total", "Responses sent.", {{"type", name}}),
        &registry.counter("graymesh_xds_push_bytes_total", "Bytes of responses sent.",
                          {{"type", name}}),
        &registry.counter("graymesh_xds_nacks_total", "Responses that proxies refused.",
                          {{"type", name}}),
        &registry.counter("graymesh_xds_resyncs_total",
                          "Proxies that came back and were sent all of a type again: nothing of "
                          "what they said they have is what they shall have.",
                          {{"type", name}})};
  }
}

metrics::Counter& Instruments::dropped(const std::string& reason) const {
  return registry_->counter("graymesh_xds_streams_dropped_total",
                            "Streams that we ended, as they read or answered nothing for long, or "
                            "not even pings.",
                            {{"reason", reason}});
}

}  // namespace graymesh::xds
