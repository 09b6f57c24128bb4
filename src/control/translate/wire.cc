#include "control/translate/wire.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <cmath>

#include "envoy/config/core/v3/address.pb.h"
#include "envoy/config/core/v3/base.pb.h"
#include "envoy/config/core/v3/config_source.pb.h"
#include "envoy/type/v3/percent.pb.h"

namespace graymesh::translate {
namespace {

// "VirtualService" as "virtual-service".
std::string kebab_case(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper && !out.empty()) out += '-';
    out += upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

}  // namespace

std::string serialize(const google::protobuf::MessageLite& message) {
  std::string out;
  out.reserve(message.ByteSizeLong());
  {
    google::protobuf::io::StringOutputStream stream(&out);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return out;
}

void pack(const google::protobuf::Message& message, google::protobuf::Any& out) {
  out.set_type_url("type.googleapis.com/" + message.GetTypeName());
  out.set_value(serialize(message));
}

void set_duration(google::protobuf::Duration& out, model::Duration value) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(value);
  out.set_seconds(seconds.count());
  out.set_nanos(static_cast<std::int32_t>((value - seconds).count()));
}

void set_address(envoy::config::core::v3::Address& out, std::string_view address,
                 std::uint32_t port) {
  constexpr std::string_view unix_scheme = "unix://";
  if (address.starts_with(unix_scheme)) {
    out.mutable_pipe()->set_path(std::string(address.substr(unix_scheme.size())));
    return;
  }
  auto& socket = *out.mutable_socket_address();
  socket.set_address(std::string(address));
  socket.set_port_value(port);
}

void set_ads(envoy::config::core::v3::ConfigSource& out) {
  out.mutable_ads();
  out.mutable_initial_fetch_timeout();
  out.set_resource_api_version(envoy::config::core::v3::V3);
}

void set_percent(envoy::type::v3::FractionalPercent& out, double percent) {
  using envoy::type::v3::FractionalPercent;
  if (percent == std::floor(percent)) {
    out.set_numerator(static_cast<std::uint32_t>(percent));
    out.set_denominator(FractionalPercent::HUNDRED);
    return;
  }
  out.set_numerator(static_cast<std::uint32_t>(std::lround(percent * 10000)));
  out.set_denominator(FractionalPercent::MILLION);
}

void set_config_metadata(envoy::config::core::v3::Metadata& out, const model::Key& object) {
  auto& istio = (*out.mutable_filter_metadata())["istio"];
  (*istio.mutable_fields())["config"].set_string_value(
      "/apis/networking.istio.io/v1/namespaces/" + object.namespace_ + "/" +
      kebab_case(model::name_of(object.kind)) + "/" + object.name);
}

}  // namespace graymesh::translate
