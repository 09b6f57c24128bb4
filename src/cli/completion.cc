// completion: shell completion, made from the commands themselves.
#include <fmt/core.h>

#include <memory>

#include "cli/cli.h"
#include "cli/command.h"

namespace graymesh::cli {
namespace {

// One `case` arm for each command: the words that may follow it.
void append_arms(std::string& out, const CLI::App& command, const std::string& path) {
  std::string words;
  for (const auto* sub : command.get_subcommands([](const CLI::App*) { return true; }))
    words += sub->get_name() + " ";
  for (const auto* option : command.get_options()) {
    for (const auto& name : option->get_lnames()) words += "--" + name + " ";
  }
  out += fmt::format("    '{}') words='{}' ;;\n", path, words);
  for (const auto* sub : command.get_subcommands([](const CLI::App*) { return true; })) {
    append_arms(out, *sub, path + " " + sub->get_name());
  }
}

std::string bash_script(const CLI::App& app) {
  std::string arms;
  append_arms(arms, app, "graymesh");
  return fmt::format(
      R"(# graymesh completion for bash (and zsh after `autoload bashcompinit; bashcompinit`):
#   source <(graymesh completion bash)
_graymesh() {{
  local path=graymesh words word
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    [[ $word == -* ]] || path+=" $word"
  done
  case $path in
{}    *) COMPREPLY=($(compgen -f -- "${{COMP_WORDS[COMP_CWORD]}}")); return ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -F _graymesh graymesh
)",
      arms);
}

}  // namespace

void add_completion_command(CLI::App& app, Chosen& chosen) {
  auto* command =
      app.add_subcommand("completion", "prints a script that completes commands in a shell");
  auto shell = std::make_shared<std::string>("bash");
  command->add_option("shell", *shell, "bash or zsh")
      ->check(CLI::IsMember({"bash", "zsh"}))
      ->capture_default_str();
  command->footer("Example: source <(graymesh completion bash)");
  command->callback([&app, &chosen] {
    chosen = [&app] {
      fmt::print("{}", bash_script(app));
      return exit_ok;
    };
  });
}

}  // namespace graymesh::cli
