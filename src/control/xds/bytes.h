// A Response as the bytes gRPC sends. Streams that are sent the same resources share one buffer.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "control/resource/resource.h"
#include "control/xds/message.h"

namespace graymesh::xds {

// The frames of some resources, one after the other. Lives as long as anyone sends it. Any thread.
class SharedFrames {
 public:
  struct Frames {
    std::vector<resource::ResourcePtr> resources;
    std::string bytes;
  };
  std::shared_ptr<const Frames> of(const std::vector<resource::ResourcePtr>& resources, bool delta);

 private:
  std::mutex mutex_;
  std::map<std::uint64_t, std::weak_ptr<const Frames>> kept_;  // by a hash of pointers
  std::size_t kept_max_ = 64;
};

grpc::ByteBuffer to_bytes(const Response& response, bool delta, SharedFrames& shared);

// The bytes of a request, in one piece.
std::string from_bytes(const grpc::ByteBuffer& buffer);

}  // namespace graymesh::xds
