#include "cli/platform.h"

#include <fmt/core.h>

#include <cstdio>
#include <map>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/files.h"
#include "model/json.h"
#include "model/model.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

const std::map<std::string, Output> outputs = {
    {"table", Output::table}, {"json", Output::json}, {"yaml", Output::yaml}};

const std::map<std::string, std::string> collections = {
    {"Application", "applications"}, {"Lane", "lanes"}, {"Environment", "environments"}};

Status read_into(const Input& input, const std::string& namespace_, std::vector<json>& out) {
  Status first;
  const std::string name = input.name == "-" ? "<stdin>" : input.name;
  for (const auto& document : model::read(input.text, name)) {
    for (const auto& problem : document.errors) {
      if (first) {
        first = Error{Code::invalid_argument, model::to_string(problem)};
      } else {
        fmt::print(stderr, "graymesh: {}\n", model::to_string(problem));
      }
    }
    if (!document.object) continue;
    for (const auto& problem : document.object->warnings)
      fmt::print(stderr, "warning: {}\n", model::to_string(problem));
    const std::string text = TRY(model::to_json(document.object->text));
    json object = json::parse(text, nullptr, false);
    if (!object["metadata"].contains("namespace")) object["metadata"]["namespace"] = namespace_;
    out.push_back(std::move(object));
  }
  return first;
}

}  // namespace

void add_namespace(CLI::App* command, std::string& namespace_) {
  if (namespace_.empty()) namespace_ = "default";
  command->add_option("-n,--namespace", namespace_, "its namespace")
      ->envname("GRAYMESH_NAMESPACE")
      ->capture_default_str();
}

void add_output(CLI::App* command, Output& output) {
  command->add_option("-o,--output", output, "table, json or yaml")
      ->transform(CLI::CheckedTransformer(outputs))
      ->type_name("FORMAT");
}

std::string text_at(const json& object, const std::string& pointer) {
  const json::json_pointer at(pointer);
  if (!object.contains(at)) return {};
  const json& value = object[at];
  if (value.is_null()) return {};
  return value.is_string() ? value.get<std::string>() : value.dump();
}

Result<std::vector<json>> read_objects(const std::vector<std::string>& files,
                                       const std::string& namespace_) {
  const auto inputs = TRY(read_inputs(files));
  std::vector<json> out;
  for (const auto& input : inputs) TRY(read_into(input, namespace_, out));
  if (out.empty()) return Error{Code::invalid_argument, "no object is there"};
  return out;
}

int apply_object(const Common& common, const json& object, const std::string& reason,
                 Output output) {
  const std::string kind = text_at(object, "/kind");
  const auto collection = collections.find(kind);
  if (collection == collections.end()) {
    return fail({Code::invalid_argument,
                 fmt::format("{} {}: must be an Application, Lane or Environment; a GrayRelease is "
                             "started with `graymesh release start -f`",
                             kind, text_at(object, "/metadata/name"))});
  }
  const auto page =
      post_once(common.server,
                fmt::format("/api/v1/{}?reason={}", collection->second, percent_encoded(reason)),
                object.dump(), "");
  if (!page) return fail(page.error());
  if (output == Output::table) {
    fmt::print("{} {}/{} applied\n", kind, text_at(object, "/metadata/namespace"),
               text_at(object, "/metadata/name"));
  } else {
    fmt::print("{}", to_text(*page, output));
  }
  return exit_ok;
}

int apply_objects(const Common& common, const std::vector<std::string>& files,
                  const std::string& namespace_, const std::string& reason) {
  const auto objects = read_objects(files, namespace_);
  if (!objects) return fail(objects.error());
  for (const json& object : *objects) {
    if (const int code = apply_object(common, object, reason, Output::table); code != exit_ok)
      return code;
  }
  return exit_ok;
}

Result<json> all_items(const Common& common, const std::string& path) {
  json items = json::array();
  std::string next;
  do {
    json page = TRY(
        get(common.server, fmt::format("{}&limit=1000&continue={}", path, percent_encoded(next))));
    for (json& item : page["items"]) items.push_back(std::move(item));
    next = text_at(page, "/continue");
  } while (!next.empty());
  return items;
}

}  // namespace graymesh::cli
