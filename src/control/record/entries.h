// What a segment is made of: entries, in the order in which things were told.
//
// Resources, batches and sets are numbered from 0 as they come, and later entries call them by
// number; nothing points into another segment. What befell many streams at once is one entry with a
// row for each, three or four bytes: the batch of one changed endpoint, sent to 1,100 streams, is
// there once. Rows of one stream and type stand in the order in which they happened.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "control/resource/resource.h"

namespace graymesh::record {

using Milliseconds = std::int64_t;  // since 1970
using Number = std::uint32_t;       // of a resource, a batch or a set in its segment
using StreamId = std::uint64_t;     // counted by the process

// A resource that was not in this segment before.
struct Body {
  resource::Type type{};
  std::string name;
  std::uint64_t version = 0;
  std::vector<std::string> origins;
  std::optional<Number> base;  // `bytes` is a delta of that one
  std::string bytes;
  bool operator==(const Body&) const = default;
};

// What one response changes.
struct Batch {
  resource::Type type{};
  std::vector<Number> now;
  std::vector<std::string> removed;
  std::uint64_t bytes = 0;  // of the response
  bool operator==(const Batch&) const = default;
};

// Resources that a proxy holds together; ascending.
struct Set {
  std::vector<Number> resources;
  bool operator==(const Set&) const = default;
};

struct Opened {
  StreamId stream = 0;
  Milliseconds at = 0;
  bool again = false;  // it was open before this segment began
  std::string node_id, name, namespace_, address, peer, user_agent;
  std::uint8_t kind = 0;  // resource::Node::Kind
  bool delta = false;
  bool operator==(const Opened&) const = default;
};

struct Row {
  StreamId stream = 0;
  Milliseconds at = 0;
  std::optional<Milliseconds> acked{};  // of Sent: the ACK, if it came by the same entry
  bool operator==(const Row&) const = default;
};

struct Sent {
  Number batch = 0;
  std::vector<Row> rows;
  bool operator==(const Sent&) const = default;
};

// The answer to what was sent last of the type.
struct Acked {
  resource::Type type{};
  std::vector<Row> rows;
  bool operator==(const Acked&) const = default;
};

struct Refused {
  resource::Type type{};
  std::string error;
  std::vector<Row> rows;
  bool operator==(const Refused&) const = default;
};

// The proxy let go of these by itself.
struct Dropped {
  resource::Type type{};
  std::vector<std::string> names;
  std::vector<Row> rows;
  bool operator==(const Dropped&) const = default;
};

// All that it holds of the type. Claimed is what it is only known to have, in whatever version.
struct Holds {
  resource::Type type{};
  std::vector<Number> sets;
  std::vector<Number> claimed_sets;  // lend their names
  // Of single names, whatever the sets say of them.
  std::vector<Number> held;
  std::vector<std::string> claimed, lacks;
  std::vector<Row> rows;
  bool operator==(const Holds&) const = default;
};

struct Closed {
  std::vector<Row> rows;
  bool operator==(const Closed&) const = default;
};

// So much of what was told is not here.
struct Gap {
  Milliseconds at = 0;
  std::uint64_t lost = 0;
  bool operator==(const Gap&) const = default;
};

// A proxy that had left before this segment began.
struct Gone {
  std::string node_id, name, namespace_, address;
  std::uint8_t kind = 0;
  Milliseconds connected = 0, left = 0;
  bool operator==(const Gone&) const = default;
};

using Entry =
    std::variant<Body, Batch, Set, Opened, Sent, Acked, Refused, Dropped, Holds, Closed, Gap, Gone>;

std::string encode(const std::vector<Entry>& entries);

// data_loss: these are no entries. Numbers are not checked against what there is.
Result<std::vector<Entry>> decode(std::string_view bytes);

}  // namespace graymesh::record
