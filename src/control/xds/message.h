// Requests and responses as plain values, and their way from and to the wire.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "control/resource/node.h"
#include "control/resource/resource.h"
#include "control/xds/words.h"

namespace graymesh::xds {

// What both kinds of request begin with.
struct RequestHead {
  std::optional<resource::Node> node;  // only if it was asked for
  std::string type_url;
  std::string nonce;                 // of the response that is answered; empty: none is
  std::optional<std::string> error;  // why that response is refused
};

struct DeltaRequest : RequestHead {
  Words subscribe, unsubscribe;
  Words held, versions;  // initial_resource_versions: names, and their versions in the same order
};

struct SotwRequest : RequestHead {
  std::string version;  // of the last response accepted
  Words names;
  // Each ACK names again all that it wants, thousands of endpoints: most often in the same bytes.
  std::uint64_t names_hash = 0;  // of those bytes; 0: they do not stand together
  bool same_names = false;       // as the last time: `names` is empty
};

// By type, names_hash of the last request that was followed; 0: none.
using NamesHashes = std::array<std::uint64_t, resource::type_count>;

// invalid_argument: not a message, no type_url, or (if `want_node`) no node or a bad one.
Result<DeltaRequest> decode_delta(std::string_view bytes, bool want_node);
Result<SotwRequest> decode_sotw(std::string_view bytes, bool want_node);
// The same by protobuf's classes alone, which are the measure; for tests.
Result<DeltaRequest> decode_delta_by_classes(std::string_view bytes, bool want_node);
Result<SotwRequest> decode_sotw_by_classes(std::string_view bytes, bool want_node);
// The same, if it names what the last request of its type named: no name is read then. Nullopt: it
// has to be decoded. The node is not read: it comes with the first request.
std::optional<SotwRequest> decode_same(std::string_view bytes, const NamesHashes& last);

struct Response {
  std::string type_url{};
  std::string nonce{};
  std::string version{};                                  // state of the world only
  std::vector<const resource::ResourcePtr*> resources{};  // there until anything else is done
  std::vector<std::string> removed{};                     // delta only
};

// All fields but `resources`, serialised. The resources' frames (resource.h) follow in any order.
std::string encode_head(const Response& response, bool delta);

}  // namespace graymesh::xds
