#include "cli/up_folder.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/file.h"
#include "base/lock.h"

namespace graymesh::cli {
namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets it
  return value == nullptr ? "" : value;
}

Error unreadable(const fs::path& file, const Error& error) {
  return {error.code, fmt::format("{}: {}", file.string(), error.message)};
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
  auto read = read_record(text);
  if (!read) return unreadable(file, read.error());
  return read;
}

Status UpFolder::save(const UpRecord& record) const {
  return write_file(at("up.json"), text_of(record));
}

std::optional<Daemon> UpFolder::daemon() const {
  Daemon out{.pid = holder(at("graymeshd.lock")), .api = {}, .xds = {}};
  if (out.pid <= 0) return std::nullopt;
  const auto text = read_file(at("graymeshd.json"));
  if (!text) return std::nullopt;
  const auto addresses = read_addresses(*text);
  if (!addresses) return std::nullopt;
  out.api = addresses->api;
  out.xds = addresses->xds;
  return out;
}

Status UpFolder::remove() const {
  std::error_code error, first;
  for (const char* name : {"up.json", "files", "config", "mesh-config.yaml", "graymeshd.json",
                           "graymeshd.log", "graymesh.db", "graymesh.db-wal", "graymesh.db-shm",
                           "instances", "record", "monitoring", "prometheus.lock", "prometheus.log",
                           "alertmanager.lock", "alertmanager.log", "graymeshd.lock", "up.lock"}) {
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
