#include "cli/removal.h"

#include <fmt/core.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/durations.h"

namespace graymesh::cli {

void add_removal(CLI::App* command, Removal& removal) {
  command->add_option("--reason", removal.reason, "for the history");
  command->add_flag("--wait", removal.wait, "until it is gone, with all of its instances");
  command->add_option("--timeout", removal.timeout, "of --wait")->capture_default_str();
  command->add_flag("--ignore-not-found", removal.absent_is_well,
                    "if it is not there, all is well");
}

int remove_named(const Common& common, const std::string& collection, const std::string& namespace_,
                 const std::string& name, const Removal& removal) {
  const auto timeout = seconds_of(removal.timeout);
  if (!timeout) return fail(timeout.error());
  const std::string path = fmt::format("/api/v1/{}/{}/{}", collection, percent_encoded(namespace_),
                                       percent_encoded(name));
  const auto page =
      remove(common.server, fmt::format("{}?reason={}", path, percent_encoded(removal.reason)));
  if (!page && page.error().code == Code::not_found && removal.absent_is_well) return exit_ok;
  if (!page) return fail(page.error());
  const std::string what = page->value("deleted", "");
  if (!removal.wait) {
    fmt::print("{} is going\n", what);
    return exit_ok;
  }
  const auto end = std::chrono::steady_clock::now() + *timeout;
  for (;;) {
    const auto left = get(common.server, path);
    if (!left && left.error().code == Code::not_found) break;
    const bool late = std::chrono::steady_clock::now() >= end;
    // graymeshd may restart meanwhile.
    if (!left && (left.error().code != Code::unavailable || late)) return fail(left.error());
    if (late) {
      fmt::print(stderr, "graymesh: {} is still going after {}\n", what, removal.timeout);
      return exit_waiting;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  fmt::print("{} is gone\n", what);
  return exit_ok;
}

}  // namespace graymesh::cli
