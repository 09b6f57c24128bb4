// What the ADS server counts.
#pragma once

#include <array>
#include <string>

#include "control/resource/resource.h"
#include "metrics/metrics.h"

namespace graymesh::xds {

struct Instruments {
  explicit Instruments(metrics::Registry& registry);

  struct OfType {
    metrics::Counter* pushes;
    metrics::Counter* bytes;
    metrics::Counter* nacks;
    metrics::Counter* resyncs;
  };
  metrics::Gauge& delta_streams;
  metrics::Gauge& sotw_streams;
  metrics::Counter& opened;
  metrics::Counter& acks;
  metrics::Counter& stale;
  metrics::Counter& malformed;
  metrics::Counter& unbounded;
  metrics::Counter& unknown_type;
  metrics::Histogram& convergence;
  metrics::Histogram& change;
  metrics::Gauge& changes_under_way;
  metrics::Counter& folded;
  metrics::Gauge& bytes_in_flight;
  metrics::Gauge& cold_bytes;
  metrics::Gauge& waits_for_reception;
  metrics::Gauge& waits_for_admission;
  metrics::Gauge& waits_for_turn;
  metrics::Counter& turned_away;
  metrics::Counter& dropped(const std::string& reason) const;
  std::array<OfType, resource::type_count> of_type;

 private:
  metrics::Registry* registry_;
};

}  // namespace graymesh::xds
