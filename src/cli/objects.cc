// apply, get, delete: the objects that graymeshd serves.
#include <fmt/core.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <map>

#include "base/file.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/table.h"
#include "cli/wait.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

struct GetOptions {
  std::string kind, name, namespace_;
  Output output = Output::table;
};

const std::map<std::string, Output> outputs = {
    {"table", Output::table}, {"json", Output::json}, {"yaml", Output::yaml}};

void print_problems(const json& list) {
  for (const auto& problem : list) {
    fmt::print(stderr, "{}: {}\n", problem.value("severity", "error"),
               problem.value("message", ""));
  }
}

// The document as it was written, so that what is got can be edited and applied again.
void print_yaml(const json& items) {
  bool first = true;
  for (const auto& item : items) {
    if (!first) fmt::print("---\n");
    first = false;
    const std::string text = item.value("text", "");
    fmt::print("{}{}", text, text.ends_with('\n') ? "" : "\n");
  }
}

int get_objects(const Common& common, const GetOptions& options) {
  std::string path = "/api/v1/objects?";
  const auto ask = [&](const char* key, const std::string& value) {
    if (!value.empty()) path += fmt::format("{}={}&", key, percent_encoded(value));
  };
  if (options.kind != "all") ask("kind", options.kind);
  ask("namespace", options.namespace_);
  ask("name", options.name);
  auto page = get(common.server, path);
  if (!page) return fail(page.error());
  const json& items = (*page)["items"];
  if (options.output == Output::json) {
    fmt::print("{}", to_text(options.name.empty() ? *page : items, Output::json));
  } else if (options.output == Output::yaml) {
    print_yaml(items);
  } else {
    std::vector<Row> rows;
    for (const auto& item : items) {
      rows.push_back({item.value("kind", ""), item.value("namespace", ""), item.value("name", ""),
                      item.value("state", ""),
                      fmt::format("{}:{}", item.value("file", ""), item.value("line", 0))});
    }
    fmt::print("{}", table({"KIND", "NAMESPACE", "NAME", "STATE", "FROM"}, rows));
    std::fflush(stdout);
    for (const auto& item : items) {
      for (const char* list : {"errors", "warnings", "problems"})
        print_problems(item.value(list, json::array()));
    }
    if (options.name.empty()) print_problems((*page)["nameless"]);
  }
  if (!options.name.empty() && items.empty()) {
    return fail({Code::not_found, fmt::format("{} {} is not there", options.kind, options.name)});
  }
  return exit_ok;
}

struct ApplyOptions {
  std::vector<std::string> files;
  bool wait = false;
  int timeout = 30;
};

int apply_files(const Common& common, const ApplyOptions& options) {
  std::vector<Awaited> applied;
  const auto& files = options.files;
  auto inputs = read_inputs(files);
  if (!inputs) return fail(inputs.error());
  for (const auto& input : *inputs) {
    auto page = post(common.server, "/api/v1/objects", input.text);
    if (!page) {
      fmt::print(stderr, "{}: ", input.name);
      return fail(page.error());
    }
    for (const auto& item : (*page)["items"]) {
      fmt::print("{} {}/{} {}\n", item.value("kind", ""), item.value("namespace", ""),
                 item.value("name", ""), item.value("result", ""));
      applied.push_back(
          {item.value("kind", ""), item.value("namespace", ""), item.value("name", ""), true});
    }
  }
  int worst = exit_ok;
  for (const auto& object : options.wait ? applied : std::vector<Awaited>()) {
    const int code = wait_for(common, object, std::chrono::seconds(options.timeout), Output::table);
    if (worst != exit_failed && code != exit_ok) worst = code;
  }
  return worst;
}

int remove_object(const Common& common, const std::string& kind, const std::string& name,
                  const std::string& namespace_) {
  auto page =
      remove(common.server, fmt::format("/api/v1/objects/{}/{}/{}", percent_encoded(kind),
                                        percent_encoded(namespace_), percent_encoded(name)));
  if (!page) return fail(page.error());
  fmt::print("{} deleted\n", page->value("deleted", ""));
  return exit_ok;
}

}  // namespace

void add_object_commands(CLI::App& app, const Common& common, Chosen& chosen) {
  auto* get_command =
      app.add_subcommand("get", "shows objects, how they stand, and what is wrong with them");
  auto get_options = std::make_shared<GetOptions>();
  get_command->add_option("kind", get_options->kind, "kind, its short name, or all")->required();
  get_command->add_option("name", get_options->name, "one object");
  get_command->add_option("-n,--namespace", get_options->namespace_, "only of this namespace");
  get_command->add_option("-o,--output", get_options->output, "table, json or yaml")
      ->transform(CLI::CheckedTransformer(outputs))
      ->type_name("FORMAT");
  get_command->footer(
      "States: serving; last-good (the newest text is refused, the one before serves); refused;\n"
      "unsupported (of a kind of Istio's that has no effect here yet).\n"
      "Examples: graymesh get vs -n fe-pre\n"
      "          graymesh get destinationrule web -n fe-pre -o yaml");
  get_command->callback([&common, &chosen, get_options] {
    chosen = [&common, get_options] { return get_objects(common, *get_options); };
  });

  auto* apply_command =
      app.add_subcommand("apply", "writes objects into graymeshd's folder, all or none of a file");
  auto apply_options = std::make_shared<ApplyOptions>();
  apply_command
      ->add_option("-f,--filename", apply_options->files, "file, folder, or - for standard input")
      ->required();
  apply_command->add_flag("--wait", apply_options->wait,
                          "until all of them are with every proxy that they concern");
  apply_command->add_option("--timeout", apply_options->timeout, "seconds to wait for each")
      ->check(CLI::Range(0, 86400))
      ->capture_default_str();
  apply_command->footer(
      "Examples: graymesh apply -f virtual-service.yaml\n"
      "          graymesh get vs web -n fe-pre -o yaml | sed s/v1/v2/ | graymesh apply -f -");
  apply_command->callback([&common, &chosen, apply_options] {
    chosen = [&common, apply_options] { return apply_files(common, *apply_options); };
  });

  auto* delete_command = app.add_subcommand("delete", "takes an object out of graymeshd's folder");
  auto what = std::make_shared<GetOptions>();
  what->namespace_ = "default";
  delete_command->add_option("kind", what->kind, "kind or its short name")->required();
  delete_command->add_option("name", what->name, "the object")->required();
  delete_command
      ->add_option("-n,--namespace", what->namespace_, "its namespace; - for cluster-wide kinds")
      ->capture_default_str();
  delete_command->footer("Example: graymesh delete virtualservice web -n fe-pre");
  delete_command->callback([&common, &chosen, what] {
    chosen = [&common, what] {
      return remove_object(common, what->kind, what->name, what->namespace_);
    };
  });
}

}  // namespace graymesh::cli
