#include "cli/files.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <iterator>

#include "base/file.h"

namespace graymesh::cli {
namespace {

namespace fs = std::filesystem;

Result<std::vector<fs::path>> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (auto at = fs::recursive_directory_iterator(folder, error);
       !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    const auto name = at->path().filename().string();
    if (name.starts_with('.')) {
      if (at->is_directory(error)) at.disable_recursion_pending();
      continue;
    }
    const auto suffix = at->path().extension();
    if (suffix == ".yaml" || suffix == ".yml" || suffix == ".json") files.push_back(at->path());
  }
  if (error)
    return Error{Code::not_found,
                 fmt::format("cannot read folder {}: {}", folder.string(), error.message())};
  if (files.empty())
    return Error{Code::not_found,
                 fmt::format("folder {} has no YAML or JSON files", folder.string())};
  std::ranges::sort(files);
  return files;
}

}  // namespace

Result<std::vector<Input>> read_inputs(const std::vector<std::string>& names) {
  std::vector<Input> inputs;
  for (const auto& name : names) {
    std::error_code error;
    if (name == "-") {
      inputs.push_back({name, std::string(std::istreambuf_iterator<char>(std::cin), {})});
    } else if (fs::is_directory(name, error)) {
      const auto files = TRY(files_of(name));
      for (const auto& file : files) {
        auto text = TRY(read_file(file));
        inputs.push_back({file.string(), std::move(text)});
      }
    } else {
      auto text = TRY(read_file(name));
      inputs.push_back({name, std::move(text)});
    }
  }
  return inputs;
}

}  // namespace graymesh::cli
