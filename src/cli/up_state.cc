#include "cli/up_state.h"

#include <fmt/core.h>

#include "base/json.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

Error wrong(std::string what) { return {Code::data_loss, std::move(what)}; }

// Empty if it is not there.
Result<std::string> word(const json& object, const std::string& where, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return std::string();
  if (!found->is_string()) return wrong(fmt::format("{}{} must be a text", where, name));
  return found->get<std::string>();
}

// What is joined to a folder must not lead out of it.
bool is_file_name(const std::string& text) {
  return !text.empty() && text != "." && text != ".." &&
         text.find_first_of(std::string_view("/\0", 2)) == std::string::npos;
}

Result<UpFile> read_file_entry(const json& one, const std::string& where) {
  if (!one.is_object()) return wrong(fmt::format("{} must be an object", where));
  UpFile out;
  const std::string fields = where + ".";
  out.argument = TRY(word(one, fields, "argument"));
  out.from = TRY(word(one, fields, "from"));
  out.copy = TRY(word(one, fields, "copy"));
  out.directory = TRY(word(one, fields, "directory"));
  out.namespace_ = TRY(word(one, fields, "namespace"));
  if (!is_file_name(out.copy)) return wrong(fmt::format("{}.copy must be a file's name", where));
  return out;
}

}  // namespace

Result<UpRecord> read_record(std::string_view text) {
  const json page = json::parse(text, nullptr, false);
  if (!page.is_object()) return wrong("is no JSON object");
  UpRecord out;
  if (const auto block = page.find("block"); block != page.end()) {
    const bool fits = block->is_number_integer() && *block >= 0 && *block <= blocks;
    if (!fits) return wrong(fmt::format("block must be 0 to {}", blocks));
    out.block = block->get<int>();
  }
  out.listen = TRY(word(page, "", "listen"));
  if (const auto monitoring = page.find("monitoring"); monitoring != page.end()) {
    if (!monitoring->is_boolean()) return wrong("monitoring must be true or false");
    out.monitoring = monitoring->get<bool>();
  }
  const auto files = page.find("files");
  if (files == page.end()) return out;
  if (!files->is_array()) return wrong("files must be a list");
  for (const json& one : *files) {
    out.files.push_back(TRY(read_file_entry(one, fmt::format("files[{}]", out.files.size()))));
  }
  return out;
}

std::string text_of(const UpRecord& record) {
  json files = json::array();
  for (const UpFile& file : record.files)
    files.push_back({{"argument", file.argument},
                     {"from", file.from},
                     {"copy", file.copy},
                     {"directory", file.directory},
                     {"namespace", file.namespace_}});
  const json page = {{"block", record.block},
                     {"listen", record.listen},
                     {"files", files},
                     {"monitoring", record.monitoring}};
  return page.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<Addresses> read_addresses(std::string_view text) {
  const json page = json::parse(text, nullptr, false);
  if (!page.is_object()) return wrong("is no JSON object");
  Addresses out;
  out.xds = TRY(word(page, "", "xds"));
  out.api = TRY(word(page, "", "api"));
  if (out.xds.empty() || out.api.empty()) return wrong("xds and api must be there");
  return out;
}

}  // namespace graymesh::cli
