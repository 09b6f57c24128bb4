// What the ADS server counts.
#pragma once

#include <array>

#include "control/resource/resource.h"
#include "metrics/metrics.h"

namespace graymesh::xds {

struct Instruments {
  explicit Instruments(metrics::Registry& registry);

  struct OfType {
    metrics::Counter* pushes;
    metrics::Counter* bytes;
    metrics::Counter* nacks;
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
  std::array<OfType, resource::type_count> of_type;
};

}  // namespace graymesh::xds
