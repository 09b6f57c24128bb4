// render --monitoring: what watches the mesh, as files or as objects of the prometheus-operator.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/command.h"
#include "monitoring/monitoring.h"

namespace graymesh::cli {

struct MonitoringOptions {
  bool plain = false;
  std::string out = {};
  std::vector<std::string> files = {};
  double interval_seconds = 15;
  std::string graymeshd = {};
  monitoring::Description description = {};
};

void add_monitoring_options(CLI::App* command, MonitoringOptions& options);
// What --plain writes, and dashboards, below options.out.
Status write_monitoring(const Common& common, const MonitoringOptions& options);
int render_monitoring(const Common& common, const MonitoringOptions& options);

}  // namespace graymesh::cli
