// HTTP and JSON in front of the control plane: what is served, what is refused, who runs what.
//
//   /ready /metrics                     for probes and Prometheus
//   /debug/syncz|configz|registryz|endpointz|config_dump?proxyID=    istiod's names
//   /api/v1/objects, /api/v1/proxies    what the CLI speaks; errors are problem+json (RFC 9457)
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "control/push/push.h"
#include "control/source/source.h"
#include "control/xds/xds.h"
#include "metrics/metrics.h"

namespace graymesh::api {

// What it speaks for; all of it outlives the server.
struct Parts {
  source::Folder& folder;
  push::Loop& loop;
  xds::Server& xds;
  metrics::Registry& metrics;
  const Clock& clock;
};

class Server {
 public:
  // Listens at once on "address:port"; port 0 picks a free one.
  static Result<std::unique_ptr<Server>> start(const std::string& address, const Parts& parts);
  virtual ~Server() = default;  // ends requests in flight and joins its threads

  virtual int port() const = 0;
};

}  // namespace graymesh::api
