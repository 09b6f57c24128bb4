// A release as a line, for people and for scripts: pure functions of its JSON.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"

namespace graymesh::cli {

// The number of this name in an object; 0 if there is none.
std::uint64_t number_at(const nlohmann::json& object, const char* name);

// "web,cart/feature-a".
std::string name_of_release(const nlohmann::json& release);

// "release 12 web/feature-a: routes, weight 0%, 3 of 4 proxies ACKed: waits for ...".
std::string line_of(const nlohmann::json& release);

// Where it is, by the name that the receipt of it has: "step-2", "promote", "rollback".
std::string phase_of(const nlohmann::json& release);

bool is_over(const nlohmann::json& release);

// One line of JSON that scripts may rely on: the receipt, and which release it is of.
std::string receipt_line(const nlohmann::json& release);

// `promoted`, `rolled back`: reached, and no proxy is missing.
bool is_so(const nlohmann::json& release);

}  // namespace graymesh::cli
