// One connection of a proxy: a gRPC server of its own around one accepted socket.
//
// gRPC C++ 1.51 takes a message in whole before it looks at how long it may be, and opens the
// stream's window for as much as the message's first five bytes promise. A ResourceQuota bounds
// that: from some two thirds of it on, windows open no further. But a quota belongs to a server, so
// that with one server for all, one client who promises 4 GB would close everybody's windows.
// Hence a server, and a quota, for each connection (docs/envoy.md 11).
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>

#include <cstdint>
#include <memory>
#include <mutex>

#include "base/descriptor.h"
#include "control/xds/stream.h"

namespace graymesh::xds {

class Connection final : private grpc::CallbackGenericService {
 public:
  // `socket` is connected, by TCP, and doesn't block. Null: gRPC would not have it.
  static std::unique_ptr<Connection> open(Shared& shared, Descriptor socket);
  ~Connection() override;  // cancels its calls and waits for them

  const std::string& peer() const { return peer_->address; }
  // The same socket, to be polled for its end.
  int socket() const { return socket_.get(); }

  // Whether more is on the way than a request may be long, and was when it was asked last. To be
  // asked twice a second.
  bool overflows();

  // Whether nothing came since something was sent (a ping, at least), and so at `looks` looks in a
  // row. To be asked twice a second. What came is what the kernel has: gRPC's threads may be busy
  // with others and not have read it, which gRPC's own watchdog takes for silence.
  bool silent(int looks);
  // gRPC finds it ended, and so does who polls the socket.
  void end();

  bool refused = false;  // its streams have been told so

 private:
  Connection(Shared& shared, Descriptor socket);
  bool serve(Descriptor socket);
  std::uint64_t received() const;
  grpc::ServerGenericBidiReactor* turn_away(grpc::GenericCallbackServerContext& call);
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override;

  std::mutex mutex_;  // hands what serve() made to the threads of gRPC
  Shared& shared_;
  const Descriptor socket_;  // a second one: gRPC closes its own
  const std::shared_ptr<Peer> peer_;
  struct Counts {
    std::uint64_t received = 0;  // bytes that gRPC took from the socket
    std::uint64_t requests = 0;  // that came in whole
    std::uint64_t bytes = 0;     // of those
  };
  Counts last_;
  std::uint64_t unheard_ = 0;  // bytes that belong to no request that is whole
  int full_looks_ = 0;         // in a row
  std::uint64_t came_ = 0;     // bytes, until the last look
  int silent_looks_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace graymesh::xds
