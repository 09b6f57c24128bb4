// Whether an object, as it is now, is with every proxy that it concerns: those whose configuration
// has resources that were made from it.
#pragma once

#include <atomic>
#include <chrono>
#include <string>

#include "api/api.h"
#include "base/json.h"

namespace graymesh::api {

// {"state": "everywhere" | "waiting" | "refused", "object", "snapshot", "receipt", "errors"}: waits
// until it is either of the first and third, `patience` is over or `stopping`. The receipt has the
// form of those of releases; its times count from when the configuration with it was ready, and are
// those of proxies that were seen to reach it while one waited, or had nothing to do since.
// not_found: there is no such object. invalid_argument: proxies hold nothing of its kind
// (makers.h).
Result<nlohmann::json> everywhere(const Parts& parts, const model::Key& key,
                                  std::chrono::milliseconds patience,
                                  const std::atomic<bool>& stopping);

}  // namespace graymesh::api
