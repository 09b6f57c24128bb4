// Tables for people, JSON and YAML for machines.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace graymesh::cli {

enum class Output : unsigned char { table, json, yaml };

using Row = std::vector<std::string>;

// Columns as wide as their widest cell, three blanks apart; no blanks at the end of a line.
std::string table(const Row& head, const std::vector<Row>& rows);

// `page` as JSON with two blanks of indent, or as YAML 1.2.
std::string to_text(const nlohmann::json& page, Output output);

}  // namespace graymesh::cli
