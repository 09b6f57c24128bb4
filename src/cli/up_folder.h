// The folder of one `graymesh up`, and what is remembered there: everything that runs and
// everything that is written is below it, so that `graymesh down` can find all of it, whatever died
// before.
//
//   STATE/  up.json           what was asked for (Record)
//           up.lock           held by an up or a down at work
//           files/            the files that were given, as they were
//           config/           what graymeshd reads: made from them anew by each up
//           mesh-config.yaml  Istio's MeshConfig
//           graymeshd.lock    held by graymeshd while it lives
//           graymeshd.json    its addresses      graymeshd.log  what it prints
//           monitoring/       what Prometheus and Alertmanager read and keep, with prometheus.lock,
//                             alertmanager.lock and their logs beside it
//           graymesh.db       its store          instances/     what it runs
//           record/           which proxy was sent and ran what, when
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/descriptor.h"
#include "base/result.h"
#include "cli/up_state.h"

namespace graymesh::cli {

// A graymeshd that lives.
struct Daemon {
  pid_t pid = 0;
  std::string api, xds;
};

class UpFolder {
 public:
  // --state, else $XDG_STATE_HOME/graymesh, else ~/.local/state/graymesh.
  static UpFolder named(const std::string& state);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path at(const char* name) const { return path_ / name; }

  // Makes the folder, and waits for the end of another up or down there; `waits` is called if there
  // is one. failed_precondition where there is a folder with something else in it, for the end of
  // `up` removes what is in it.
  Result<Descriptor> lock(const std::function<void()>& waits) const;
  Result<UpRecord> record() const;  // not_found where nothing was asked for
  Status save(const UpRecord& record) const;
  std::optional<Daemon> daemon() const;  // none that lives, or it has not told its addresses
  // Removes all that is listed above, and the folder if nothing else is in it.
  Status remove() const;

 private:
  explicit UpFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace graymesh::cli
