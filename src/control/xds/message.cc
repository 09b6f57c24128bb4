#include "control/xds/message.h"

#include <algorithm>
#include <limits>

#include "base/fields.h"
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

std::vector<std::string> take(google::protobuf::RepeatedPtrField<std::string>& field) {
  std::vector<std::string> out;
  out.reserve(static_cast<std::size_t>(field.size()));
  for (auto& text : field) out.push_back(std::move(text));
  return out;
}

bool plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// The names of a DeltaDiscoveryRequest, and in `rest` all its other fields. A proxy that comes back
// names some 7,000 resources and their versions; by protobuf's classes, map and all, that takes
// three times as long. False: something is not as it always is, and those shall judge it.
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
    if (field.number == 3) request.subscribe.emplace_back(name);
    if (field.number == 4) request.unsubscribe.emplace_back(name);
    if (field.number == 5) request.held.emplace_back(name, version);
  });
  return whole && usual;
}

}  // namespace

Result<DeltaRequest> decode_delta(std::string_view bytes, bool want_node) {
  DeltaRequest request;
  std::string rest;
  if (!take_names(bytes, request, rest)) {
    request = {};
    rest = bytes;
  }
  v3::DeltaDiscoveryRequest message;
  TRY(read(rest, message));
  TRY(read_head(message, want_node, request));
  for (auto& name : take(*message.mutable_resource_names_subscribe()))
    request.subscribe.push_back(std::move(name));
  for (auto& name : take(*message.mutable_resource_names_unsubscribe()))
    request.unsubscribe.push_back(std::move(name));
  for (auto& [name, version] : *message.mutable_initial_resource_versions()) {
    request.held.emplace_back(name, std::move(version));
  }
  return request;
}

Result<SotwRequest> decode_sotw(std::string_view bytes, bool want_node) {
  v3::DiscoveryRequest message;
  TRY(read(bytes, message));
  SotwRequest request;
  TRY(read_head(message, want_node, request));
  request.version = std::move(*message.mutable_version_info());
  request.names = take(*message.mutable_resource_names());
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
