// What every command is given, and how it adds itself to the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "base/result.h"

namespace graymesh::cli {

// Options that stand before any command.
struct Common {
  std::string server = "127.0.0.1:15014";
};

// The command that was chosen, to be run once parsing is done: it returns an exit code.
using Chosen = std::function<int()>;

void add_object_commands(CLI::App& app, const Common& common, Chosen& chosen);   // objects.cc
void add_validate_command(CLI::App& app, Chosen& chosen);                        // validate.cc
void add_proxy_commands(CLI::App& app, const Common& common, Chosen& chosen);    // proxies.cc
void add_sidecar_commands(CLI::App& app, Chosen& chosen);                        // sidecar_run.cc
void add_instance_commands(CLI::App& app, Chosen& chosen);                       // instance_run.cc
void add_release_commands(CLI::App& app, const Common& common, Chosen& chosen);  // release.cc
void add_app_commands(CLI::App& app, const Common& common, Chosen& chosen);      // app.cc
void add_lane_commands(CLI::App& app, const Common& common, Chosen& chosen);     // lane.cc
void add_history_commands(CLI::App& app, const Common& common, Chosen& chosen);  // history.cc
void add_render_command(CLI::App& app, const Common& common, Chosen& chosen);    // render.cc
void add_wait_command(CLI::App& app, const Common& common, Chosen& chosen);      // wait.cc
void add_completion_command(CLI::App& app, Chosen& chosen);                      // completion.cc

// Prints the error for people and gives the exit code that goes with it.
int fail(const Error& error);

}  // namespace graymesh::cli
