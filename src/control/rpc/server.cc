#include <algorithm>
#include <thread>
#include <utility>

#include "control/rpc/listener.h"
#include "control/rpc/loop.h"
#include "control/rpc/rpc.h"

namespace graymesh::rpc {

Server::Server(Options options) : options_(std::move(options)) {}

Result<std::unique_ptr<Server>> Server::start(Options options) {
  std::unique_ptr<Server> server(new Server(std::move(options)));
  const std::size_t count = server->options_.loops > 0
                                ? server->options_.loops
                                : std::clamp(std::thread::hardware_concurrency(), 1u, 4u);
  for (std::size_t i = 0; i < count; ++i)
    server->loops_.push_back(TRY(Loop::start(server->options_)));
  // Connections live long, and come all at once: each goes where there are fewest.
  const auto take = [&loops = server->loops_](Descriptor socket) {
    const auto fewest =
        std::ranges::min_element(loops, {}, [](const auto& loop) { return loop->connections(); });
    (*fewest)->take(std::move(socket));
  };
  server->listener_ = TRY(Listener::open(server->options_.name, server->options_.address, take));
  return server;
}

Server::~Server() { close(); }

int Server::port() const { return listener_->port(); }

void Server::close() {
  if (!listener_) return;
  listener_->close();
  for (const auto& loop : loops_) loop->close();
}

}  // namespace graymesh::rpc
