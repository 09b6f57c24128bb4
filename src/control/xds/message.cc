#include "control/xds/message.h"

#include <limits>

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

}  // namespace

Result<DeltaRequest> decode_delta(std::string_view bytes, bool want_node) {
  v3::DeltaDiscoveryRequest message;
  TRY(read(bytes, message));
  DeltaRequest request;
  TRY(read_head(message, want_node, request));
  request.subscribe = take(*message.mutable_resource_names_subscribe());
  request.unsubscribe = take(*message.mutable_resource_names_unsubscribe());
  request.held.reserve(message.initial_resource_versions().size());
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
