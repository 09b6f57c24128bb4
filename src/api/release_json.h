// The release platform as JSON: pure functions from what stands to what is answered.
// docs/api.yaml describes every field.
#pragma once

#include <string>

#include "base/json.h"
#include "control/traffic/traffic.h"
#include "release/engine/engine.h"
#include "release/plan/plan.h"
#include "release/workload/workload.h"

namespace graymesh::api {

// "1h30m", "10s", "100ms": as the model reads it.
std::string duration_text(model::Duration span);

// {"what", "proxies", "acked", "p50_ms", "p99_ms", "last_ms", "last", "missing", "refused"}.
nlohmann::json receipt_json(const release::Receipt& receipt);

nlohmann::json instance_json(const workload::Instance& instance);

nlohmann::json release_json(const release::Release& release, const release::View& view);

// The GrayRelease that releases in `namespace_` what `release` runs, the same way but for what the
// fields of `otherwise` say.
nlohmann::json gray_release_json(const release::Release& release, const std::string& namespace_,
                                 const nlohmann::json& otherwise);

// Objects as they are written, {"apiVersion", "kind", "metadata", "spec"}, and "status" with what
// became of them.
nlohmann::json application_json(const release::Application& app, const release::View& view);
// `traffic` null: proxies tell nothing of requests.
nlohmann::json lane_json(const release::Lane& lane, const release::View& view,
                         const traffic::Table* traffic);
nlohmann::json environment_json(const release::Environment& environment);

// The hash of the object as written, without its status: "\"0123456789abcdef\"".
std::string etag_of(const nlohmann::json& object);

// Of a release as it is written down, without its instances and the ACKs on their way.
std::string etag_of(const release::Release& release);

// What a request waits for.
enum class Until : std::uint8_t { started, promoted, rolled_back, over };
bool reached(const release::Release& release, Until until);
bool hopeless(const release::Release& release, Until until);  // it will not be reached any more
// The receipt that proves it; null if there is none yet.
const release::Receipt* receipt_for(const release::Release& release, Until until);

}  // namespace graymesh::api
