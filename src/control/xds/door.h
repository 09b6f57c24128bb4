// Where proxies connect: accepts sockets, keeps their Connections, and lets go of those that ended
// or take too much.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>

#include "base/descriptor.h"
#include "base/result.h"
#include "control/xds/connection.h"

namespace graymesh::xds {

class Door {
 public:
  // Listens at once, at "host:port". unavailable: the port is taken, the host is none of ours.
  static Result<std::unique_ptr<Door>> open(Shared& shared, const std::string& address);
  ~Door();  // ends every connection

  int port() const { return port_; }
  // From now on nobody new. Connections go on, unwatched.
  void close();

 private:
  Door(Shared& shared, Descriptor listener, int port);

  Status watch_first();
  void work();
  void accept();
  void look();
  bool watch(int descriptor, std::uint32_t events) const;
  using Connections = std::unordered_map<int, std::unique_ptr<Connection>>;
  Connections::iterator leave(Connections::iterator connection);
  void see_off();

  Shared& shared_;
  Descriptor listener_, poll_, bell_;  // `bell_` rings at close()
  const int port_;
  bool pausing_ = false;     // no descriptor was left for the next one
  Connections connections_;  // by socket()
  std::thread thread_;

  // Those that ended: gRPC takes its time to cancel their calls, and a mesh that reconnects must
  // not wait for a thousand of them.
  std::mutex mutex_;
  std::condition_variable left_;
  std::deque<std::unique_ptr<Connection>> leaving_;
  bool closing_ = false;
  std::thread usher_;
};

}  // namespace graymesh::xds
