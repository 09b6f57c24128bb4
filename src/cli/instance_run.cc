// instance run: keeps one instance. graymeshd calls it; people need it only to look for a fault, so
// the help does not list it.
#include <memory>

#include "cli/command.h"
#include "release/workload/workload.h"

namespace graymesh::cli {

void add_instance_commands(CLI::App& app, Chosen& chosen) {
  auto* instance_command = app.add_subcommand("instance", "one instance of an application");
  instance_command->group("");
  instance_command->require_subcommand(1);
  auto* run_command = instance_command->add_subcommand(
      "run", "keeps the instance that FOLDER/spec.json describes until SIGTERM");
  auto folder = std::make_shared<std::string>();
  run_command->add_option("--folder", *folder, "of the instance")->required()->type_name("FOLDER");
  run_command->footer(
      "Exit codes: 0 all ended in order, 1 it could not begin, 4 something had to be killed.");
  run_command->callback(
      [&chosen, folder] { chosen = [folder] { return workload::keep(*folder); }; });
}

}  // namespace graymesh::cli
