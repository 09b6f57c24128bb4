// A server that owes nobody a dropped request: a thread for each connection, kept alive for as long
// as the client wants, and an end in order: no new connections, idle ones closed, requests in
// flight answered.
#pragma once

#include <functional>
#include <string>

#include "http.h"

namespace graymesh::shop {

// Handles one request; called from many threads at a time. `client` belongs to the connection.
using Handler = std::function<Response(const Request& request, Client& client)>;

struct ServerOptions {
  std::string listen;                 // address:port
  std::string proxy;                  // for the clients
  std::size_t connections_max = 512;  // each has a thread; more wait in the kernel's queue
};

// Serves until SIGTERM or SIGINT. The exit code: 0, or 1 with a line on standard error.
int serve(const ServerOptions& options, const Handler& handler);

}  // namespace graymesh::shop
