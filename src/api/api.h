// HTTP and JSON in front of the control plane: what is served, what is refused, who runs what.
//
//   /ready /metrics                     for probes and Prometheus
//   /debug/syncz|configz|registryz|endpointz|config_dump?proxyID=    istiod's names
//   /api/v1                             what people, the CLI, CI and the console speak:
//                                       docs/api.yaml; errors are problem+json (RFC 9457)
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "control/gather/gather.h"
#include "control/push/push.h"
#include "control/record/record.h"
#include "control/source/source.h"
#include "control/traffic/traffic.h"
#include "control/xds/xds.h"
#include "metrics/metrics.h"
#include "release/engine/engine.h"
#include "release/store/store.h"

namespace graymesh::api {

// Who is who: lines `TOKEN NAME` of a file; empty ones and those that begin with # are passed over.
class Tokens {
 public:
  static constexpr std::size_t token_bytes_min = 16;  // fewer can be guessed

  // invalid_argument names the line, never what is in it.
  static Result<Tokens> read(const std::filesystem::path& file);
  std::optional<std::string> name_of(std::string_view token) const;

 private:
  std::vector<std::pair<std::string, std::string>> known_;  // token, name
};

// What goes on now; each outlives the server.
struct LiveParts {
  gather::Gatherer& gatherer;
  // Null: proxies tell nothing of requests.
  gather::Calls* calls = nullptr;
  gather::Taps* taps = nullptr;
};

// What it speaks for; all of it outlives the server.
struct Parts {
  source::Folder& folder;
  push::Loop& loop;
  xds::Server& xds;
  metrics::Registry& metrics;
  const Clock& clock;
  // Null: graymeshd runs without --store, and the paths of the release platform say so.
  release::Engine* engine = nullptr;
  release::Store* store = nullptr;
  const traffic::Table* traffic = nullptr;  // null: proxies tell nothing of requests
  std::optional<LiveParts> live = {};       // none: nobody gathers figures
  // Null: graymeshd runs without --record, and what asks for it says so.
  record::Record* record = nullptr;
  const record::History* history = nullptr;
  // Null: everybody is who he says (X-Graymesh-User), or "anonymous".
  const Tokens* tokens = nullptr;
};

class Server {
 public:
  // Listens at once on "address:port"; port 0 picks a free one.
  static Result<std::unique_ptr<Server>> start(const std::string& address, const Parts& parts);
  virtual ~Server() = default;  // ends requests in flight and joins its threads

  virtual int port() const = 0;
};

}  // namespace graymesh::api
