// What the engine knows, kept: documents by key, the acts of people, and replies to requests that
// may be sent twice. SQLite in WAL mode, one writer; what commit() has returned for survives the
// death of the process and of the machine (synchronous=FULL).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace graymesh::release {

// Who did what, when, why, from where. Never changed, never deleted.
struct Act {
  std::uint64_t id = 0;  // given by the store, ascending
  std::int64_t at_ms = 0;
  std::string who = {}, from = {};
  std::string verb = {};        // "start", "promote", "advance"
  std::string namespace_ = {};  // of the object
  std::string object = {};      // "release/12", "lane/feature-a", "application/web"
  std::string reason = {};      // as given by the person
  std::string detail = {};      // JSON, what came of it
};

struct Batch {
  std::map<std::string, std::optional<std::string>> documents = {};  // none: deleted
  std::vector<Act> acts = {};
  std::map<std::string, std::string> replies = {};  // by idempotency key
};

struct ActFilter {
  std::string namespace_ = {}, object = {}, who = {};  // empty: any
  std::uint64_t before = 0;                            // ids below; 0: from the newest
  std::size_t limit = 100;
};

class Store {
 public:
  // Makes the file if it is missing; ":memory:" is one of its own. data_loss for a file that is
  // damaged or no store; failed_precondition if it is of a later version; unavailable if another
  // process has it.
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& file);
  virtual ~Store() = default;

  virtual Result<std::map<std::string, std::string>> documents() = 0;
  // All of it or nothing. unavailable, with SQLite's words and the file: full disk, read-only, ...
  virtual Status commit(const Batch& batch) = 0;
  virtual Result<std::vector<Act>> acts(const ActFilter& filter) = 0;  // newest first
  virtual Result<std::optional<std::string>> reply(const std::string& key) = 0;
};

}  // namespace graymesh::release
