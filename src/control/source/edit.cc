#include "control/source/edit.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <set>

#include "base/file.h"
#include "base/hash.h"
#include "control/source/disk.h"
#include "control/source/splice.h"

namespace graymesh::source {
namespace {

namespace fs = std::filesystem;
using Applied = Folder::Applied;
using model::Document;

// How a text handed to apply() is called in messages.
constexpr const char* input = "input";

// What model::read says of a document without content.
constexpr std::string_view nothing = "empty document";

// A file name has room for 255 bytes, of which a temporary name beside it takes some.
constexpr std::size_t name_bytes_max = 200;

struct OpenFile {
  std::string bytes;
  std::vector<Document> documents;
  std::map<model::Key, std::size_t> by_key;  // the first of each
  std::vector<Replacement> replacements;
};

// The file that a path really means. Mounted ConfigMaps are swapped as a whole by someone else:
// what one writes there is lost, or refused by the mount.
Result<std::string> real_path(const std::string& path) {
  std::error_code gone;
  const fs::path real = is_link(path) ? fs::canonical(path, gone) : fs::path(path);
  if (gone) return Error{Code::not_found, fmt::format("{} is gone", path)};
  if (!is_link(path)) return path;
  for (const fs::path& part : real.parent_path()) {
    if (part.string().starts_with("..")) {
      return Error{Code::failed_precondition,
                   fmt::format("{} is mounted from a ConfigMap: change that", path)};
    }
  }
  return real.string();
}

// Files that a plan has opened, each read once.
class Desk {
 public:
  explicit Desk(const Objects& objects) : objects_(objects) {}

  struct Place {
    std::string path;  // real
    OpenFile* file = nullptr;
    std::size_t document = 0;
  };

  // Where `key` stands now; none if nowhere. `more`: another file to look at.
  Result<std::optional<Place>> find(const model::Key& key, const std::string& more) {
    for (const std::string& path : candidates(key, more)) {
      OpenFile* file = TRY(open(path));
      if (file == nullptr) continue;
      const auto found = file->by_key.find(key);
      if (found == file->by_key.end()) continue;
      auto real = TRY(real_path(path));
      return std::optional<Place>({std::move(real), file, found->second});
    }
    return std::optional<Place>();
  }

  std::map<std::string, OpenFile>& files() { return files_; }

 private:
  std::vector<std::string> candidates(const model::Key& key, const std::string& more) const {
    std::vector<std::string> paths;
    const auto entry = objects_.entries.find(key);
    if (entry != objects_.entries.end()) {
      paths.push_back(entry->second.position.file);
      if (entry->second.serving) paths.push_back(entry->second.serving->meta.position.file);
    }
    paths.push_back(more);
    std::erase(paths, "");
    return paths;
  }

  // Null if there is no such file.
  Result<OpenFile*> open(const std::string& path) {
    auto real = real_path(path);
    if (!real && real.error().code == Code::not_found) return static_cast<OpenFile*>(nullptr);
    if (!real) return std::move(real).error();
    const auto known = files_.find(*real);
    if (known != files_.end()) return &known->second;
    auto bytes = read_file(*real);
    if (!bytes && bytes.error().code == Code::not_found) return static_cast<OpenFile*>(nullptr);
    if (!bytes) return std::move(bytes).error();
    OpenFile& file = files_[*real];
    file.bytes = std::move(*bytes);
    file.documents = read_whole(file.bytes, path);
    for (std::size_t i = 0; i < file.documents.size(); ++i) {
      if (const model::Key* key = key_of(file.documents[i])) file.by_key.try_emplace(*key, i);
    }
    return &file;
  }

  const Objects& objects_;
  std::map<std::string, OpenFile> files_;
};

// All that is wrong with the text as a whole, one problem a line.
Status check(const std::vector<Document>& documents) {
  std::string problems;
  const auto add = [&](const std::string& line) {
    problems += (problems.empty() ? "" : "\n") + line;
  };
  std::map<model::Key, int> first;
  for (const Document& document : documents) {
    for (const model::Problem& problem : document.errors) add(model::to_string(problem));
    if (!document.passed_over.empty() && document.passed_over != nothing) {
      add(fmt::format("{}:{} {}: is not a kind that graymesh reads", input, document.position.line,
                      document.passed_over));
    }
    if (!document.object) continue;
    if (document.object->meta.key.kind == model::Kind::unsupported) {
      for (const model::Problem& problem : document.object->warnings)
        add(model::to_string(problem));
    }
    const auto [at, fresh] = first.emplace(document.object->meta.key, document.position.line);
    if (fresh) continue;
    add(fmt::format("{}:{} {}: stands in line {} already", input, document.position.line,
                    model::to_string(at->first), at->second));
  }
  if (first.empty() && problems.empty()) add("there is no object in it");
  if (problems.empty()) return {};
  return Error{Code::invalid_argument, std::move(problems)};
}

// A name in `folder` that is not taken.
std::string free_path(const std::string& folder, const model::Key& key,
                      const std::set<std::string>& taken) {
  const std::string name = file_name_of(key);
  std::string path = folder + '/' + name;
  const std::string stem = path.substr(0, path.size() - std::string_view(".yaml").size());
  for (int i = 2; taken.contains(path) || fs::exists(fs::symlink_status(path)); ++i)
    path = fmt::format("{}-{}.yaml", stem, i);
  return path;
}

}  // namespace

std::string file_name_of(const model::Key& key) {
  std::string name(model::name_of(key.kind));
  if (!key.namespace_.empty()) name += '-' + key.namespace_;
  name += '-' + key.name;
  for (char& c : name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.';
    c = plain ? static_cast<char>(std::tolower(static_cast<unsigned char>(c))) : '-';
  }
  if (name.size() > name_bytes_max)
    name = name.substr(0, name_bytes_max - 17) + '-' + to_hex(hash64(name));
  return name + ".yaml";
}

Result<EditPlan> plan_apply(const Objects& objects, const std::string& text,
                            const std::string& folder) {
  const std::vector<Document> documents = read_whole(text, input);
  TRY(check(documents));
  EditPlan plan;
  Desk desk(objects);
  std::set<std::string> taken;
  for (const Document& document : documents) {
    if (!document.object) continue;
    const model::Key& key = document.object->meta.key;
    std::string alone = document.object->text;
    if (!alone.ends_with('\n')) alone += '\n';
    const auto place = TRY(desk.find(key, folder + '/' + file_name_of(key)));
    if (!place) {
      const std::string path = free_path(folder, key, taken);
      taken.insert(path);
      plan.changes.push_back({path, std::nullopt, std::move(alone)});
      plan.outcome.emplace_back(key, Applied::created);
      continue;
    }
    if (place->path.ends_with(".json") && !alone.starts_with('{')) {
      return Error{Code::failed_precondition,
                   fmt::format("{} stands in {}, which is JSON: hand it in as JSON",
                               model::to_string(key), place->path)};
    }
    OpenFile& file = *place->file;
    const bool unchanged = says(file.bytes, file.documents[place->document], alone);
    plan.outcome.emplace_back(key, unchanged ? Applied::unchanged : Applied::configured);
    if (!unchanged) file.replacements.push_back({place->document, std::move(alone)});
  }
  for (auto& [path, file] : desk.files()) {
    if (file.replacements.empty()) continue;
    std::string after =
        TRY(replace(file.bytes, file.documents, std::move(file.replacements), path));
    plan.changes.push_back({path, std::move(file.bytes), std::move(after)});
  }
  return plan;
}

Result<EditPlan> plan_remove(const Objects& objects, const model::Key& key) {
  Desk desk(objects);
  const auto place = TRY(desk.find(key, ""));
  if (!place)
    return Error{Code::not_found, fmt::format("{} does not exist", model::to_string(key))};
  std::string after =
      TRY(cut(place->file->bytes, place->file->documents, place->document, place->path));
  EditPlan plan;
  FileChange change{place->path, std::move(place->file->bytes), std::nullopt};
  if (!after.empty()) change.after = std::move(after);
  plan.changes.push_back(std::move(change));
  return plan;
}

Status carry_out(const EditPlan& plan) {
  for (const FileChange& change : plan.changes) {
    const auto now = read_file(change.path);
    const bool as_planned =
        now ? change.before == *now : !change.before && now.error().code == Code::not_found;
    if (!as_planned)
      return Error{Code::aborted, fmt::format("{} is being changed by someone else", change.path)};
  }
  std::string written;
  for (const FileChange& change : plan.changes) {
    std::error_code failed;
    const fs::perms mode = fs::status(change.path, failed).permissions();
    Status status;
    if (change.after) {
      status = write_file(change.path, *change.after);
      if (status && change.before) fs::permissions(change.path, mode, failed);
    } else if (!fs::remove(change.path, failed) && failed) {
      status =
          Error{Code::internal, fmt::format("cannot delete {}: {}", change.path, failed.message())};
    }
    if (!status) {
      Error error = status.error();
      if (!written.empty()) error.message += "; written before that:" + written;
      return error;
    }
    written += ' ' + change.path;
  }
  return {};
}

}  // namespace graymesh::source
