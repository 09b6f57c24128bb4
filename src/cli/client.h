// One request to graymeshd's API, and its answer as JSON. Every request says who asks:
// $GRAYMESH_TOKEN, $GRAYMESH_USER, else $USER.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/result.h"

namespace graymesh::cli {

// `path` may carry a query. unavailable: no connection, or no answer in time. A problem+json answer
// becomes an error with its `detail`.
Result<nlohmann::json> get(const std::string& server, const std::string& path);
Result<nlohmann::json> post(const std::string& server, const std::string& path,
                            const std::string& body);
// JSON. `key`, if not empty, is its Idempotency-Key: sent twice, it is done once.
Result<nlohmann::json> post_once(const std::string& server, const std::string& path,
                                 const std::string& body, const std::string& key);
// Server-sent events, until `each` says no. unavailable: the stream ended otherwise.
Status watch(const std::string& server, const std::string& path,
             const std::function<bool(const std::string& event, const std::string& data)>& each);
Result<nlohmann::json> remove(const std::string& server, const std::string& path);

// RFC 3986 2.1, for a path segment or a query value.
std::string percent_encoded(std::string_view text);

}  // namespace graymesh::cli
