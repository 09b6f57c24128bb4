// A release on a screen, and as a line: pure functions of its JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace graymesh::cli {

// "web,cart/feature-a".
std::string name_of_release(const nlohmann::json& release);

// "release 12 web/feature-a: routes, weight 0%, 3 of 4 proxies ACKed: waits for ...".
std::string line_of(const nlohmann::json& release);

// Phases with bars of ACKs, share of traffic, instances; many lines.
std::string screen_of(const nlohmann::json& release);

bool is_over(const nlohmann::json& release);

// One line of JSON that scripts may rely on: the receipt, and which release it is of.
std::string receipt_line(const nlohmann::json& release);

// `promoted`, `rolled back`: reached, and no proxy is missing.
bool is_so(const nlohmann::json& release);

}  // namespace graymesh::cli
