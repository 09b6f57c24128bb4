// Questions to the record of proxies, for the commands that ask them.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/table.h"

namespace graymesh::cli {

struct ProxyQuestion {
  std::string proxy, at = "now";
  std::vector<std::string> between;  // two times, or none
  Output output = Output::table;
};

int proxy_history(const Common& common, const ProxyQuestion& ask);
// Against what it shall have, or what the admin page of its Envoy at `envoy` says.
int proxy_diff(const Common& common, const ProxyQuestion& ask, const std::string& envoy);
// From which objects resources were made whose names have `resource` in them.
int proxy_blame(const Common& common, const ProxyQuestion& ask, const std::string& resource);

}  // namespace graymesh::cli
