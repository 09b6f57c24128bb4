#include "control/xds/message.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>

#include "base/fields.h"
#include "base/hash.h"
#include "control/xds/node.h"
#include "envoy/service/discovery/v3/discovery.pb.h"

namespace graymesh::xds {
namespace {

namespace v3 = envoy::service::discovery::v3;

Error invalid(std::string message) { return {Code::invalid_argument, std::move(message)}; }

template <typename Message>
Status read(std::string_view bytes, Message& message) {
  // ParseFromArray takes an int; the transport's limit is far below.
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()) ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return invalid("the request is not a " + message.GetTypeName());
  }
  return {};
}

template <typename Message>
Status read_head(Message& message, bool want_node, RequestHead& head) {
  if (message.type_url().empty()) return invalid("the request has no type_url");
  if (want_node) head.node = TRY(read_node(message.node()));
  head.type_url = std::move(*message.mutable_type_url());
  head.nonce = std::move(*message.mutable_response_nonce());
  if (message.has_error_detail())
    head.error = std::move(*message.mutable_error_detail()->mutable_message());
  return {};
}

void take(const google::protobuf::RepeatedPtrField<std::string>& field, Words& to) {
  for (const auto& text : field) to.push_back(text);
}

bool plain(std::string_view text) {
  std::uint64_t all = 0, word = 0;  // eight bytes at a time: it is asked of megabytes
  for (; text.size() >= sizeof word; text.remove_prefix(sizeof word)) {
    std::memcpy(&word, text.data(), sizeof word);
    all |= word;
  }
  word = 0;
  if (!text.empty()) std::memcpy(&word, text.data(), text.size());
  return ((all | word) & 0x8080808080808080u) == 0;
}

// Names are read off the wire: a proxy that comes back names some 7,000 resources and their
// versions, and one of state of the world all of its endpoints each time; by protobuf's classes,
// map and all, that takes three times as long. What else there is comes to `rest`. False: something
// is not as it always is, and the classes shall judge it.
bool take_names(std::string_view bytes, DeltaRequest& request, std::string& rest) {
  bool usual = true;
  const bool whole = each_field(bytes, [&](const Field& field) {
    if (field.number < 3 || field.number > 5) {
      rest += field.whole;
      return;
    }
    std::string_view name = field.bytes, version;
    if (field.number == 5) {
      name = {};
      usual = each_field(field.bytes,
                         [&](const Field& part) {
                           if (part.number == 1) name = part.bytes;
                           if (part.number == 2) version = part.bytes;
                         }) &&
              usual;
    }
    usual = usual && (field.whole.front() & 7) == 2 && plain(name) && plain(version);
    if (field.number == 3) request.subscribe.push_back(name);
    if (field.number == 4) request.unsubscribe.push_back(name);
    if (field.number != 5) return;
    request.held.push_back(name);
    request.versions.push_back(version);
  });
  return whole && usual;
}

// The bytes that names are in, if they stand together, as every client writes them; empty if not.
// All else comes to `rest`.
std::string_view names_of(std::string_view bytes, std::string& rest) {
  constexpr std::uint64_t resource_names = 3;
  std::string_view names;
  bool together = true;
  const bool whole = each_field(bytes, [&](const Field& field) {
    if (field.number != resource_names) {
      rest += field.whole;
    } else if (names.empty()) {
      names = field.whole;
    } else if (names.data() + names.size() == field.whole.data()) {
      names = {names.data(), names.size() + field.whole.size()};
    } else {
      together = false;
    }
  });
  return whole && together ? names : std::string_view();
}

bool take_names(std::string_view bytes, SotwRequest& request, std::string& rest) {
  bool usual = true;
  const bool whole = each_field(bytes, [&](const Field& field) {
    if (field.number != 3) {
      rest += field.whole;
      return;
    }
    usual = usual && (field.whole.front() & 7) == 2 && plain(field.bytes);
    request.names.push_back(field.bytes);
  });
  return whole && usual;
}

// The message that `bytes` are, without the names that `request` has of them.
template <typename Message, typename Request>
Result<Message> read_rest(std::string_view bytes, Request& request) {
  std::string rest;
  Message message;
  if (!take_names(bytes, request, rest)) {
    request = {};
    rest = bytes;
  }
  TRY(read(rest, message));
  return message;
}

}  // namespace

Result<DeltaRequest> decode_delta(std::string_view bytes, bool want_node) {
  DeltaRequest request;
  auto message = TRY(read_rest<v3::DeltaDiscoveryRequest>(bytes, request));
  TRY(read_head(message, want_node, request));
  if (request.node) request.node->delta = true;
  take(message.resource_names_subscribe(), request.subscribe);
  take(message.resource_names_unsubscribe(), request.unsubscribe);
  for (const auto& [name, version] : message.initial_resource_versions()) {
    request.held.push_back(name);
    request.versions.push_back(version);
  }
  return request;
}

Result<SotwRequest> decode_sotw(std::string_view bytes, bool want_node) {
  SotwRequest request;
  auto message = TRY(read_rest<v3::DiscoveryRequest>(bytes, request));
  std::string rest;
  if (const auto names = names_of(bytes, rest); !names.empty()) request.names_hash = hash64(names);
  TRY(read_head(message, want_node, request));
  request.version = std::move(*message.mutable_version_info());
  take(message.resource_names(), request.names);
  return request;
}

std::optional<SotwRequest> decode_same(std::string_view bytes, const NamesHashes& last) {
  std::string rest;
  const std::string_view names = names_of(bytes, rest);
  if (names.empty()) return std::nullopt;
  const std::uint64_t hash = hash64(names);
  if (std::ranges::find(last, hash) == last.end()) return std::nullopt;
  v3::DiscoveryRequest message;
  SotwRequest request;
  if (!read(rest, message) || !read_head(message, false, request)) return std::nullopt;
  const auto type = std::ranges::find(resource::all_types, request.type_url,
                                      [](resource::Type one) { return type_url(one); });
  if (type == resource::all_types.end() || last[static_cast<std::size_t>(*type)] != hash)
    return std::nullopt;
  request.version = std::move(*message.mutable_version_info());
  request.names_hash = hash;
  request.same_names = true;
  return request;
}

std::string encode_head(const Response& response, bool delta) {
  if (delta) {
    v3::DeltaDiscoveryResponse head;
    head.set_type_url(response.type_url);
    head.set_nonce(response.nonce);
    for (const auto& name : response.removed) head.add_removed_resources(name);
    return head.SerializeAsString();
  }
  v3::DiscoveryResponse head;
  head.set_type_url(response.type_url);
  head.set_nonce(response.nonce);
  head.set_version_info(response.version);
  return head.SerializeAsString();
}

}  // namespace graymesh::xds
