// validate: checks files as graymeshd would, without one.
#include <fmt/core.h>

#include <cstdio>
#include <memory>

#include "cli/cli.h"
#include "cli/command.h"
#include "cli/files.h"
#include "model/model.h"

namespace graymesh::cli {
namespace {

struct Counts {
  std::size_t good = 0, refused = 0, unsupported = 0, passed_over = 0, warnings = 0;
};

void print(const model::Problem& problem) {
  const bool error = problem.severity == model::Problem::Severity::error;
  fmt::print(stderr, "{}: {}\n", error ? "error" : "warning", model::to_string(problem));
}

void check(const Input& input, Counts& counts) {
  for (const auto& document : model::read(input.text, input.name == "-" ? "<stdin>" : input.name)) {
    for (const auto& problem : document.errors) print(problem);
    if (!document.errors.empty()) {
      ++counts.refused;
    } else if (document.object) {
      const bool has_effect = document.object->meta.key.kind != model::Kind::unsupported;
      ++(has_effect ? counts.good : counts.unsupported);
      counts.warnings += document.object->warnings.size();
      for (const auto& problem : document.object->warnings) print(problem);
    } else if (!document.passed_over.empty()) {
      ++counts.passed_over;
    }
  }
}

int validate(const std::vector<std::string>& files, bool mesh_config) {
  auto inputs = read_inputs(files);
  if (!inputs) return fail(inputs.error());
  Counts counts;
  for (const auto& input : *inputs) {
    if (!mesh_config) {
      check(input, counts);
      continue;
    }
    const auto read = model::read_mesh_config(input.text, input.name);
    for (const auto& problem : read.errors) print(problem);
    for (const auto& problem : read.warnings) print(problem);
    counts.warnings += read.warnings.size();
    ++(read.errors.empty() ? counts.good : counts.refused);
  }
  fmt::print(
      "{} good, {} refused, {} not supported yet, {} of other kinds passed over, {} warnings\n",
      counts.good, counts.refused, counts.unsupported, counts.passed_over, counts.warnings);
  return counts.refused == 0 ? exit_ok : exit_failed;
}

}  // namespace

void add_validate_command(CLI::App& app, Chosen& chosen) {
  auto* command =
      app.add_subcommand("validate", "checks YAML and JSON files, every problem at once");
  auto files = std::make_shared<std::vector<std::string>>();
  auto mesh_config = std::make_shared<bool>(false);
  command->add_option("-f,--filename,files", *files, "files, folders, or - for standard input")
      ->required();
  command->add_flag("--mesh-config", *mesh_config, "the files are MeshConfigs");
  command->footer("Example: graymesh validate mesh/ && git commit");
  command->callback([&chosen, files, mesh_config] {
    chosen = [files, mesh_config] { return validate(*files, *mesh_config); };
  });
}

}  // namespace graymesh::cli
