// The pages of the API as functions from state to JSON; api.cc puts them behind paths.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "control/push/push.h"
#include "control/record/record.h"
#include "control/resource/resource.h"
#include "control/xds/xds.h"

namespace graymesh::api {

// objects.cc -------------------------------------------------------------------------------------

// Which objects are asked for; empty means any.
struct ObjectQuery {
  std::string kind;  // as people write it: "VirtualService", "virtualservice(s)", "vs"
  std::string namespace_;
  std::string name;
  std::string state;  // "serving", "last-good", "refused", "unsupported"
};

// A kind as people name it. Each of Istio's kinds that are not supported yet is one of its own.
struct NamedKind {
  model::Kind kind;
  std::string_view name;   // "VirtualService", "AuthorizationPolicy"
  std::string_view brief;  // kubectl's and istioctl's short name

  model::Key key(std::string namespace_, std::string_view object) const;
  bool has(const model::Key& key) const;
};

// The kind that a word means. not_found names the words there are.
Result<NamedKind> kind_named(std::string_view word);

// How an object stands: one of ObjectQuery's states.
std::string_view state_of(const model::Key& key, const source::Entry& entry);

// {"items": [...], "nameless": [...], "passedOver": {...}, "problems": [...]}
nlohmann::json objects_page(const push::State& state, const ObjectQuery& query);

nlohmann::json to_json(const model::Problem& problem);

// proxies.cc -------------------------------------------------------------------------------------

// {"items": [{"id", "name", "namespace", "kind", "types": [...], "refusals": [...]}]}
nlohmann::json proxies_page(const std::vector<xds::ProxyStatus>& status,
                            const std::vector<xds::Dropped>& dropped);

// The id of the one proxy that `wanted` means: a node id, or "name.namespace". not_found;
// failed_precondition if it means several.
Result<std::string> proxy_named(const std::vector<xds::ProxyStatus>& status,
                                std::string_view wanted);

// proxy_history.cc -------------------------------------------------------------------------------

// "2026-11-28T19:30:00.250Z", or so long before `now` ("90s", "5m", "2h", "3d"); empty or "now":
// record::newest, whatever the clock shows. Years 1970 to 2255.
Result<Clock::Wall> time_named(const std::string& text, Clock::Wall now);

// {"id", ..., "connected", "left", "types": [{"type", "resources": [{"name", "version", "since",
// "origins"}], ...}], "faults": files that cannot be read to their end}
nlohmann::json moment_page(const record::Moment& moment, const std::vector<std::string>& faults);
// {"items", "continue": what the next page is asked for with, null if there is none, "faults"}
nlohmann::json happenings_page(const record::Happenings& page,
                               const std::vector<std::string>& faults);
// Who was here and isn't any more.
nlohmann::json gone_json(const std::vector<record::Sighting>& seen,
                         const std::vector<xds::ProxyStatus>& connected);

// debug.cc: istiod's names -----------------------------------------------------------------------

nlohmann::json syncz_page(const std::vector<xds::ProxyStatus>& status);
nlohmann::json configz_page(const push::State& state);
nlohmann::json registryz_page(const push::State& state);
nlohmann::json endpointz_page(const push::State& state);

// config_dump.cc ---------------------------------------------------------------------------------

// Envoy's config_dump, as far as ADS decides it: {"configs": [{"@type": ..ClustersConfigDump,
// "dynamic_active_clusters": [...]}, ...]}. `type` alone if not empty: "cluster", "endpoint",
// "listener", "route". JSON text, from protobuf's own printer.
Result<std::string> config_dump_page(const resource::Config& config, std::string_view type);

// The part of what a proxy shall have that it asks for. Endpoints and route tables are asked for by
// name, and virtual hosts go with their tables: what a synced proxy does not hold of them, it does
// not want.
resource::ConfigPtr target_asked_for(const resource::Config& target, const resource::Config& held,
                                     const std::vector<xds::TypeStatus>& types);

// RFC 3339 in UTC with milliseconds; empty for the epoch, which means never.
std::string to_text(Clock::Wall time);

}  // namespace graymesh::api
