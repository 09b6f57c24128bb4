// What a server of resources tells of its streams while it happens: which proxy was sent, ACKed or
// refused what. Whoever keeps a record of that listens here, and the server knows no more of it.
//
// A proxy holds what it has ACKed: the changes of one delivery after the other, from what holds()
// said last. Without holds() it came with nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "control/resource/node.h"
#include "control/resource/resource.h"

namespace graymesh::resource {

// One response: what changes by it once it is ACKed. (A state-of-the-world response repeats what
// does not change; that is not here.)
struct Delivery {
  struct Change {
    std::uint64_t name_hash = 0;  // hash64() of the name
    // What the proxy had of that name: null if nothing. Of what it only claims to hold, the name.
    const ResourcePtr* before = nullptr;
    const ResourcePtr* now = nullptr;  // null: removed
  };
  Type type = Type::cluster;
  std::span<const Change> changes{};
  std::size_t bytes = 0;  // on the wire
};

// Of one type, all that a proxy holds: layers of Configs, which many proxies share, and where it
// differs from them. `claimed`: it has that name, but in which version the server doesn't know, as
// an earlier stream brought it.
struct Possession {
  struct Layer {
    ResourceSetPtr set{};
    bool claimed = false;  // all of it
  };
  // Of one name, whatever the layers say of it.
  struct Exception {
    std::uint64_t name_hash = 0;  // hash64()
    ResourcePtr held{};           // null: it has nothing of that name
    bool claimed = false;         // `held` lends its name
  };
  Type type = Type::cluster;
  std::vector<Layer> layers{};
  std::vector<Exception> exceptions{};

  struct All {
    std::vector<ResourcePtr> held{};
    std::vector<std::string> claimed{};  // names
  };
  All all() const;  // name by name
};

// Calls come from any thread, those of one stream one after the other, some under its lock: they
// return at once and ask the server nothing.
class Witness {
 public:
  using StreamId = std::uint64_t;  // counted from 1 by the process

  virtual ~Witness() = default;
  // The first of a stream: it has named its node.
  virtual void opened(StreamId stream, const Node& node, const std::string& peer, bool delta) = 0;
  // It came with that from another stream; or a refusal left it so; or somebody asked.
  virtual void holds(StreamId stream, const Possession& all) = 0;
  virtual void sent(StreamId stream, const Delivery& delivery) = 0;
  // The answer to the last delivery of the type. A refusal is followed by holds().
  virtual void acked(StreamId stream, Type type) = 0;
  virtual void refused(StreamId stream, Type type, const std::string& error) = 0;
  // It has let go of these by itself.
  virtual void dropped(StreamId stream, Type type, std::span<const std::string> names) = 0;
  // All of that Snapshot is ACKed.
  virtual void reached(StreamId stream, std::uint64_t snapshot) = 0;
  virtual void closed(StreamId stream) = 0;
};

}  // namespace graymesh::resource
