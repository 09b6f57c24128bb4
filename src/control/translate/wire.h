// From our values to protobuf's: the conversions that every part of a translation needs.
// Declares protobuf's types only, so that including it costs nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/meta.h"

namespace google::protobuf {
class Any;
class Duration;
class MessageLite;
class Message;
}  // namespace google::protobuf
namespace envoy::config::core::v3 {
class Address;
class ConfigSource;
class Metadata;
}  // namespace envoy::config::core::v3
namespace envoy::type::v3 {
class FractionalPercent;
}  // namespace envoy::type::v3

namespace graymesh::translate {

// Deterministic: equal messages give equal bytes, also with maps inside.
std::string serialize(const google::protobuf::MessageLite& message);
void pack(const google::protobuf::Message& message, google::protobuf::Any& out);

void set_duration(google::protobuf::Duration& out, model::Duration value);
// An IP and a port, or "unix:///path" (the port is then not looked at).
void set_address(envoy::config::core::v3::Address& out, std::string_view address,
                 std::uint32_t port);
// By ADS, as long as it takes: Envoy keeps what it has until the answer comes. We answer every
// subscription, and with a time limit Envoy would go on with an empty cluster or table instead.
void set_ads(envoy::config::core::v3::ConfigSource& out);
// Percent of requests, 0 to 100, to the nearest millionth: whole ones as HUNDRED, others as
// MILLION.
void set_percent(envoy::type::v3::FractionalPercent& out, double percent);

// filter_metadata.istio.config: "/apis/networking.istio.io/v1/namespaces/NS/virtual-service/NAME"
void set_config_metadata(envoy::config::core::v3::Metadata& out, const model::Key& object);

}  // namespace graymesh::translate
