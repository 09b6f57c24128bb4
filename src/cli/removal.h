// How applications and lanes are taken away.
#pragma once

#include <string>

#include "cli/command.h"

namespace graymesh::cli {

struct Removal {
  std::string reason = {};
  bool wait = false;  // until it is gone, with all of its instances
  std::string timeout = "5m";
  bool absent_is_well = false;
};
void add_removal(CLI::App* command, Removal& removal);
int remove_named(const Common& common, const std::string& collection, const std::string& namespace_,
                 const std::string& name, const Removal& removal);

}  // namespace graymesh::cli
