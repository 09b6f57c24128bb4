// What the commands of the release platform share: options, objects from files, lists.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "cli/command.h"
#include "cli/table.h"

namespace graymesh::cli {

void add_namespace(CLI::App* command, std::string& namespace_);
void add_output(CLI::App* command, Output& output);

// A member as text; empty if it is not there, or null.
std::string text_at(const nlohmann::json& object, const std::string& pointer);

// The graymesh.io objects of files, in order; those without a namespace get `namespace_`. Every
// problem goes to standard error; the first is the error.
Result<std::vector<nlohmann::json>> read_objects(const std::vector<std::string>& files,
                                                 const std::string& namespace_);
// Applies Applications, Lanes and Environments of files, one after the other.
int apply_objects(const Common& common, const std::vector<std::string>& files,
                  const std::string& namespace_, const std::string& reason);
// Applies one; prints "Lane fe-pre/feature-a applied", or the object as `output` says.
int apply_object(const Common& common, const nlohmann::json& object, const std::string& reason,
                 Output output);
// All items of a list, page after page. `path` has a query, or ends in "?".
Result<nlohmann::json> all_items(const Common& common, const std::string& path);

}  // namespace graymesh::cli
