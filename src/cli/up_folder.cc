#include "cli/up_folder.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/lock.h"

namespace graymesh::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets it
  return value == nullptr ? "" : value;
}

Error unreadable(const fs::path& file, const char* what) {
  return {Code::data_loss, fmt::format("{}: {}", file.string(), what)};
}

}  // namespace

UpFolder UpFolder::named(const std::string& state) {
  fs::path path = state;
  if (state.empty()) {
    const std::string xdg = environment("XDG_STATE_HOME");
    const std::string home = environment("HOME");
    path = fs::path(xdg.starts_with('/') ? xdg : (home.empty() ? "/tmp" : home) + "/.local/state") /
           "graymesh";
  }
  std::error_code error;
  path = fs::absolute(path, error).lexically_normal();
  if (path.filename().empty()) path = path.parent_path();
  return UpFolder(path);
}

Result<Descriptor> UpFolder::lock(const std::function<void()>& waits) const {
  std::error_code error;
  fs::create_directories(path_, error);
  if (error)
    return Error{Code::internal,
                 fmt::format("cannot make {}: {}", path_.string(), error.message())};
  const auto file = at("up.lock");
  if (!fs::exists(file, error) && !fs::is_empty(path_, error))
    return Error{Code::failed_precondition,
                 fmt::format("{} has something else in it: --state must be an empty folder, or one "
                             "of graymesh up",
                             path_.string())};
  for (;;) {
    Descriptor descriptor(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (!descriptor)
      return Error{Code::internal,
                   fmt::format("cannot open {}: {}", file.string(), std::strerror(errno))};
    if (::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0) {
      waits();
      while (::flock(descriptor.get(), LOCK_EX) != 0) {
        if (errno != EINTR)
          return Error{Code::internal,
                       fmt::format("cannot lock {}: {}", file.string(), std::strerror(errno))};
      }
    }
    // A down that we waited for has removed the file: what we hold then is nobody's.
    struct stat held {
    }, there{};
    if (::fstat(descriptor.get(), &held) == 0 && ::stat(file.c_str(), &there) == 0 &&
        held.st_ino == there.st_ino)
      return descriptor;
    fs::create_directories(path_, error);
  }
}

Result<UpRecord> UpFolder::record() const {
  const auto file = at("up.json");
  const std::string text = TRY(read_file(file));
  const json page = json::parse(text, nullptr, false);
  if (!page.is_object()) return unreadable(file, "is no JSON object");
  UpRecord out;
  const auto word = [](const json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  if (const auto block = page.find("block"); block != page.end() && block->is_number_integer())
    out.block = block->get<int>();
  if (out.block < 0 || out.block > 63) return unreadable(file, "block must be 0 to 63");
  out.listen = word(page, "listen");
  const auto files = page.find("files");
  if (files != page.end() && !files->is_array()) return unreadable(file, "files must be a list");
  for (const json& one : files == page.end() ? json::array() : *files) {
    UpFile read{.argument = word(one, "argument"),
                .from = word(one, "from"),
                .copy = word(one, "copy"),
                .directory = word(one, "directory"),
                .namespace_ = word(one, "namespace")};
    if (read.copy.empty() || read.copy.find('/') != std::string::npos)
      return unreadable(file, "a file has no copy");
    out.files.push_back(std::move(read));
  }
  return out;
}

Status UpFolder::save(const UpRecord& record) const {
  json files = json::array();
  for (const UpFile& file : record.files)
    files.push_back({{"argument", file.argument},
                     {"from", file.from},
                     {"copy", file.copy},
                     {"directory", file.directory},
                     {"namespace", file.namespace_}});
  const json page = {{"block", record.block}, {"listen", record.listen}, {"files", files}};
  return write_file(at("up.json"), page.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

std::optional<Daemon> UpFolder::daemon() const {
  Daemon out{.pid = holder(at("graymeshd.lock")), .api = {}, .xds = {}};
  if (out.pid <= 0) return std::nullopt;
  const auto text = read_file(at("graymeshd.json"));
  const json page = text ? json::parse(*text, nullptr, false) : json();
  if (!page.is_object() || !page.contains("api") || !page["api"].is_string()) return std::nullopt;
  out.api = page["api"];
  out.xds = page.value("xds", "");
  return out;
}

Status UpFolder::remove() const {
  std::error_code error, first;
  for (const char* name : {"up.json", "files", "config", "mesh-config.yaml", "graymeshd.json",
                           "graymeshd.log", "graymesh.db", "graymesh.db-wal", "graymesh.db-shm",
                           "instances", "graymeshd.lock", "up.lock"}) {
    fs::remove_all(at(name), error);
    if (error && !first) first = error;
  }
  if (first)
    return Error{Code::internal,
                 fmt::format("cannot remove all of {}: {}", path_.string(), first.message())};
  fs::remove(path_, error);  // only if nothing else is in it
  return {};
}

}  // namespace graymesh::cli
