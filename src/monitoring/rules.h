// Rules as groups of Prometheus' rule files; the prometheus-operator takes the same ones.
#pragma once

#include <string>
#include <vector>

#include "monitoring/monitoring.h"

namespace graymesh::monitoring {

// What an alert speaks of; decides what its annotations can say.
enum class About : std::uint8_t {
  service,  // has namespace and service: owner, release, lane, the way back
  release,  // has namespace and release
  mesh,     // the mesh itself
};

struct Alert {
  std::string name = {};
  std::string expr = {};
  std::chrono::seconds hold{0};
  std::string severity = {};  // page: wakes somebody; ticket: in the morning; info
  About about = About::service;
  std::string summary = {};
};

std::vector<Alert> rules_as_given();
std::vector<Alert> service_alerts();
std::vector<Alert> mesh_alerts();
std::vector<Alert> own_alerts();  // of Prometheus and Alertmanager
std::vector<Alert> slo_alerts(const Slo& slo);

// {"name", "rules"}.
Json alert_group(const std::string& name, const std::vector<Alert>& alerts,
                 const Description& description);
Json ratio_group();  // recording: shares of errors over the windows that SLOs ask for
Json latency_group(const Slo& slo);  // the same of slow answers; null without a threshold
Json istio_group();                  // recording: Istio's standard metrics

// What is recorded by service, which the Prometheus of the business federates.
inline constexpr const char* by_service_series = R"({__name__=~"graymesh:.+"})";

// "15s", "1500ms".
std::string text(std::chrono::milliseconds span);

// File name (without ending) to its groups: "data-plane", "infrastructure".
std::vector<std::pair<std::string, Json>> rule_files(const Description& description);

}  // namespace graymesh::monitoring
