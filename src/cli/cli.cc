#include "cli/cli.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/command.h"
#include "cli/live.h"
#include "cli/up.h"

namespace graymesh::cli {

int fail(const Error& error) {
  fmt::print(stderr, "graymesh: {}\n", error.message);
  return error.code == Code::unavailable ? exit_unreachable : exit_failed;
}

int run(int argc, char** argv) {
  CLI::App app("graymesh: look into the mesh, change it, release into it, and run its sidecars.");
  app.set_version_flag("--version", GRAYMESH_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(
      "Exit codes: 0 done, 1 refused or not found, 2 wrong usage, 5 graymeshd does not answer,\n"
      "6 --timeout is over and it is still on its way, 4 something had to be killed (`down`,\n"
      "`sidecar run`; 3 Envoy would not start).\n"
      "Every command has --help with examples.");
  Common common;
  auto* server = app.add_option("-s,--server", common.server,
                                "graymeshd's API; default: that of `graymesh up`, else "
                                "127.0.0.1:15014")
                     ->envname("GRAYMESH_SERVER")
                     ->type_name("HOST:PORT");
  Chosen chosen;
  add_up_commands(app, chosen);
  add_object_commands(app, common, chosen);
  add_validate_command(app, chosen);
  add_proxy_commands(app, common, chosen);
  add_app_commands(app, common, chosen);
  add_release_commands(app, common, chosen);
  add_lane_commands(app, common, chosen);
  add_live_commands(app, common, chosen);
  add_history_commands(app, common, chosen);
  add_wait_command(app, common, chosen);
  add_render_command(app, common, chosen);
  add_sidecar_commands(app, chosen);
  add_instance_commands(app, chosen);
  add_completion_command(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // --help and --version are "errors" with exit code 0.
    return app.exit(error) == 0 ? exit_ok : exit_usage;
  }
  if (server->empty()) {
    if (std::string own = server_of_up(); !own.empty()) common.server = std::move(own);
  }
  return chosen ? chosen() : exit_usage;
}

}  // namespace graymesh::cli
