// A Response as the bytes that are sent. Streams that are sent the same resources share one buffer.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/resource/resource.h"
#include "control/rpc/rpc.h"
#include "control/xds/message.h"

namespace graymesh::xds {

// The frames of some resources, one after the other. Lives as long as anyone sends it; a few
// megabytes some fade() longer: a thousand streams go through the same chunks, each at its own
// pace. Any thread.
class SharedFrames {
 public:
  struct Frames {
    std::vector<resource::ResourcePtr> resources;
    std::string bytes;
  };
  std::shared_ptr<const Frames> of(const std::vector<const resource::ResourcePtr*>& resources,
                                   bool delta);
  // To be called now and then: lets go of what was not asked for in the last few times.
  void fade();

 private:
  struct Kept {
    std::weak_ptr<const Frames> alive;
    std::shared_ptr<const Frames> held;
    std::uint64_t used = 0;
  };
  std::mutex mutex_;
  std::unordered_map<std::uint64_t, Kept> kept_;  // by a hash of pointers
  std::uint64_t time_ = 0;
  std::size_t held_bytes_ = 0;
};

rpc::Message to_bytes(const Response& response, bool delta, SharedFrames& shared);

}  // namespace graymesh::xds
