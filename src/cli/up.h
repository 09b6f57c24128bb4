// up, down.
#pragma once

#include <string>

#include "cli/command.h"

namespace graymesh::cli {

void add_up_commands(CLI::App& app, Chosen& chosen);

// The API of the graymeshd that `graymesh up` runs by default; empty if it runs none.
std::string server_of_up();

}  // namespace graymesh::cli
