// Envoy's names to ours, at the scrape of a sidecar.
#pragma once

#include <string>
#include <vector>

#include "monitoring/monitoring.h"

namespace graymesh::monitoring {

// One entry of relabel_configs. Its keys are spelt `source_labels` by Prometheus, and
// `sourceLabels` by the prometheus-operator.
struct Relabel {
  std::vector<std::string> source = {};
  std::string regex = {};   // empty: Prometheus' own default, (.*)
  std::string target = {};  // empty with drop, keep, labeldrop, labelmap
  std::string replacement = "$1";
  std::string action = {};  // empty: replace
};

enum class Spelling : std::uint8_t { prometheus, prometheus_operator };
Json to_json(const std::vector<Relabel>& list, Spelling spelling);

// metric_relabel_configs of the sidecars' job.
std::vector<Relabel> metrics_of_sidecars(const Description& description);
// relabel_configs of the PodMonitor: what http_sd says by itself on one machine.
std::vector<Relabel> pods();

}  // namespace graymesh::monitoring
