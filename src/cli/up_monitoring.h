// Debian's Prometheus and Alertmanager beside the applications of `graymesh up --monitoring`, with
// what `graymesh render --monitoring --plain --one` writes. They run in the background, as
// graymeshd does, and hold a file each (prometheus.lock, alertmanager.lock) while they live.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/up_folder.h"

namespace graymesh::cli {

// failed_precondition names the programs that are not on PATH, and who brings them.
Status has_monitoring_programs();

struct UpMonitoring {
  std::string prometheus, alertmanager;  // HOST:PORT
};

// Writes the rules anew, for the Applications that the graymeshd at `api` has; starts what does not
// run, has the other read them, and waits until both answer.
Result<UpMonitoring> start_monitoring(const UpFolder& folder, const std::string& api);

// SIGTERM, and SIGKILL after 10 s. Nothing to do is no error.
Status stop_monitoring(const UpFolder& folder);

}  // namespace graymesh::cli
