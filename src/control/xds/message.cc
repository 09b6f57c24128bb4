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

// `request` may have texts of its head by now, which the message has not.
template <typename Message>
Status read_head(Message& message, bool want_node, RequestHead& head) {
  if (!message.type_url().empty()) head.type_url = std::move(*message.mutable_type_url());
  if (head.type_url.empty()) return invalid("the request has no type_url");
  if (want_node) head.node = TRY(read_node(message.node()));
  if (!message.response_nonce().empty()) head.nonce = std::move(*message.mutable_response_nonce());
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

// As every client writes it: the tag is one byte, the length no longer than it need be.
bool plain(const Field& field) {
  std::size_t head = 2;
  for (auto size = field.bytes.size(); size >= 0x80; size >>= 7) ++head;
  return static_cast<unsigned char>(field.whole.front()) == (field.number << 3 | 2) &&
         field.whole.size() == head + field.bytes.size() && plain(field.bytes);
}

// Texts are read off the wire: an ACK is nothing but two of them, a proxy that comes back names
// some 7,000 resources and their versions, and one of state of the world all of its endpoints each
// time; by protobuf's classes, map and all, that takes three times as long. What else there is
// comes to `rest`. False: something is not as it always is, and the classes shall judge it.
bool take_texts(std::string_view bytes, DeltaRequest& request, std::string& rest) {
  enum : std::uint64_t { type_url = 2, subscribe, unsubscribe, held, nonce };
  bool usual = true;
  const auto take_held = [&](const Field& field) {
    std::string_view name, version;
    const bool whole = each_field(field.bytes, [&](const Field& part) {
      usual = usual && (part.number == 1 || part.number == 2) && plain(part);
      (part.number == 1 ? name : version) = part.bytes;
    });
    usual = usual && whole;
    request.held.push_back(name);
    request.versions.push_back(version);
  };
  const bool whole = each_field(bytes, [&](const Field& field) {
    if (field.number < type_url || field.number > nonce) {
      rest += field.whole;
      return;
    }
    usual = usual && plain(field);
    if (field.number == type_url) request.type_url = field.bytes;
    if (field.number == subscribe) request.subscribe.push_back(field.bytes);
    if (field.number == unsubscribe) request.unsubscribe.push_back(field.bytes);
    if (field.number == held) take_held(field);
    if (field.number == nonce) request.nonce = field.bytes;
  });
  return whole && usual;
}

bool take_texts(std::string_view bytes, SotwRequest& request, std::string& rest) {
  enum : std::uint64_t { version = 1, names = 3, type_url = 4, nonce = 5 };
  bool usual = true;
  const bool whole = each_field(bytes, [&](const Field& field) {
    if (field.number == 2 || field.number < version || field.number > nonce) {
      rest += field.whole;
      return;
    }
    usual = usual && plain(field);
    if (field.number == version) request.version = field.bytes;
    if (field.number == names) request.names.push_back(field.bytes);
    if (field.number == type_url) request.type_url = field.bytes;
    if (field.number == nonce) request.nonce = field.bytes;
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

void read_names(v3::DeltaDiscoveryRequest& message, DeltaRequest& request) {
  take(message.resource_names_subscribe(), request.subscribe);
  take(message.resource_names_unsubscribe(), request.unsubscribe);
  for (const auto& [name, version] : message.initial_resource_versions()) {
    request.held.push_back(name);
    request.versions.push_back(version);
  }
}

void read_names(v3::DiscoveryRequest& message, SotwRequest& request) {
  if (!message.version_info().empty()) request.version = std::move(*message.mutable_version_info());
  take(message.resource_names(), request.names);
}

// What `request` has not yet of a message, of which these bytes are the rest.
template <typename Message, typename Request>
Result<Request> decode_rest(std::string_view rest, Request request, bool want_node) {
  Message message;
  if (!rest.empty()) TRY(read(rest, message));
  TRY(read_head(message, want_node, request));
  read_names(message, request);
  return request;
}

// Nothing but the message says of a node which of the two protocols it speaks.
Result<DeltaRequest> speaks_delta(Result<DeltaRequest> request) {
  if (request && request->node) request->node->delta = true;
  return request;
}

template <typename Message, typename Request>
Result<Request> decode(std::string_view bytes, bool want_node) {
  std::string rest;
  Request request;
  if (!take_texts(bytes, request, rest)) return decode_rest<Message>(bytes, Request{}, want_node);
  if (rest.empty() && !want_node && !request.type_url.empty()) return request;
  return decode_rest<Message>(rest, std::move(request), want_node);
}

}  // namespace

Result<DeltaRequest> decode_delta(std::string_view bytes, bool want_node) {
  return speaks_delta(decode<v3::DeltaDiscoveryRequest, DeltaRequest>(bytes, want_node));
}

Result<SotwRequest> decode_sotw(std::string_view bytes, bool want_node) {
  auto request = TRY((decode<v3::DiscoveryRequest, SotwRequest>(bytes, want_node)));
  std::string rest;
  if (const auto names = names_of(bytes, rest); !names.empty()) request.names_hash = hash64(names);
  return request;
}

Result<DeltaRequest> decode_delta_by_classes(std::string_view bytes, bool want_node) {
  return speaks_delta(decode_rest<v3::DeltaDiscoveryRequest>(bytes, DeltaRequest{}, want_node));
}

Result<SotwRequest> decode_sotw_by_classes(std::string_view bytes, bool want_node) {
  return decode_rest<v3::DiscoveryRequest>(bytes, SotwRequest{}, want_node);
}

std::optional<SotwRequest> decode_same(std::string_view bytes, const NamesHashes& last) {
  std::string rest;
  const std::string_view names = names_of(bytes, rest);
  if (names.empty()) return std::nullopt;
  const std::uint64_t hash = hash64(names);
  if (std::ranges::find(last, hash) == last.end()) return std::nullopt;
  auto request = decode<v3::DiscoveryRequest, SotwRequest>(rest, false);
  if (!request) return std::nullopt;
  const auto type = std::ranges::find(resource::all_types, request->type_url,
                                      [](resource::Type one) { return type_url(one); });
  if (type == resource::all_types.end() || last[static_cast<std::size_t>(*type)] != hash)
    return std::nullopt;
  request->names_hash = hash;
  request->same_names = true;
  return *std::move(request);
}

// Fields as discovery.proto numbers them. An empty text is none.
std::string encode_head(const Response& response, bool delta) {
  std::string head;
  const auto put = [&head](std::uint64_t number, std::string_view text) {
    if (!text.empty()) put_field(head, number, text);
  };
  if (!delta) put(1, response.version);
  put(4, response.type_url);
  put(5, response.nonce);
  if (!delta) return head;
  for (const auto& name : response.removed) put_field(head, 6, name);
  return head;
}

}  // namespace graymesh::xds
