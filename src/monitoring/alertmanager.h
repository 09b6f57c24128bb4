// Who is told of what: Alertmanager's routes, in both spellings.
#pragma once

#include "monitoring/monitoring.h"

namespace graymesh::monitoring {

Json alertmanager(const Description& description);         // alertmanager.yml
Json alertmanager_config(const Description& description);  // spec of an AlertmanagerConfig

}  // namespace graymesh::monitoring
