// Two config_dumps compared: resource by resource, and each down to its fields.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace graymesh::cli {

// A list of {"type": "cluster", "name", "change": "added" | "removed" | "changed", "fields":
// [{"path": "lb_policy", "from", "to"}]}, by type and name. What only Envoy adds (its own times,
// statuses and static resources) is not compared.
nlohmann::json config_diff(const nlohmann::json& from, const nlohmann::json& to);

// For people: "- ", "+ " and "~ " before resources, fields below.
std::string to_text(const nlohmann::json& diff, std::string_view from, std::string_view to);

}  // namespace graymesh::cli
