// Where connections come in: a thread that accepts sockets, sets them up, and hands them on.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/descriptor.h"
#include "base/result.h"

namespace graymesh::rpc {

class Listener {
 public:
  // Listens at once, at "host:port", for `name`. `take` is called from the thread, for each socket;
  // it does not block. Errors as Server::start().
  static Result<std::unique_ptr<Listener>> open(const std::string& name, const std::string& address,
                                                std::function<void(Descriptor)> take);
  ~Listener();  // close()

  int port() const { return port_; }
  void close();  // nobody new from now on

 private:
  Listener(Descriptor socket, std::function<void(Descriptor)> take);
  void work();
  bool accept();

  Descriptor socket_;
  const Descriptor bell_;  // rings at close()
  const std::function<void(Descriptor)> take_;
  const int port_;
  std::thread thread_;
};

}  // namespace graymesh::rpc
