#include "control/translate/route_config.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "control/translate/wire.h"
#include "envoy/config/route/v3/route.pb.h"

namespace graymesh::translate {
namespace {

// Istio allows direct responses a mebibyte; Envoy would refuse more than 4 KiB.
constexpr std::uint32_t direct_response_bytes_max = 1u << 20;

// Field 2, length-delimited: RouteConfiguration.virtual_hosts.
constexpr std::uint32_t virtual_hosts_tag = (2u << 3) | 2u;
static_assert(envoy::config::route::v3::RouteConfiguration::kVirtualHostsFieldNumber == 2);

}  // namespace

// The order of fields on the wire is free, so the small ones come first and the virtual hosts are
// appended as they are.
std::string RouteConfig::body() const {
  envoy::config::route::v3::RouteConfiguration config;
  config.set_name(name_);
  config.mutable_validate_clusters()->set_value(false);
  config.mutable_max_direct_response_body_size_bytes()->set_value(direct_response_bytes_max);
  config.set_ignore_port_in_host_matching(strip_ports_);
  std::string out = serialize(config);
  std::size_t size = out.size();
  for (const auto& host : hosts_) size += host->size() + 8;
  out.reserve(size);
  google::protobuf::io::StringOutputStream stream(&out);  // appends
  google::protobuf::io::CodedOutputStream coded(&stream);
  for (const auto& host : hosts_) {
    coded.WriteTag(virtual_hosts_tag);
    coded.WriteVarint32(static_cast<std::uint32_t>(host->size()));
    coded.WriteString(*host);
  }
  coded.Trim();
  return out;
}

resource::ResourcePtr RouteConfig::take(Memo& memo) {
  MemoKey key("routes");
  key.add(name_).add(std::uint64_t{strip_ports_});
  for (const auto& host : hosts_) key.add(host);  // which imply the origins
  return memo.resource(std::move(key), [&] {
    return std::make_shared<const resource::Resource>(resource::Type::route, name_, body(),
                                                      origins_);
  });
}

}  // namespace graymesh::translate
