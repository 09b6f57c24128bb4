#include "control/translate/route_config.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>

#include "control/translate/parts.h"
#include "control/translate/wire.h"
#include "envoy/config/route/v3/route.pb.h"

namespace graymesh::translate {
namespace {

// Istio allows direct responses a mebibyte; Envoy would refuse more than 4 KiB.
constexpr std::uint32_t direct_response_bytes_max = 1u << 20;

// Field 2, length-delimited: RouteConfiguration.virtual_hosts.
constexpr std::uint32_t virtual_hosts_tag = (2u << 3) | 2u;
static_assert(envoy::config::route::v3::RouteConfiguration::kVirtualHostsFieldNumber == 2);

envoy::config::route::v3::RouteConfiguration without_hosts(const std::string& name,
                                                           bool strip_ports) {
  envoy::config::route::v3::RouteConfiguration config;
  config.set_name(name);
  config.mutable_validate_clusters()->set_value(false);
  config.mutable_max_direct_response_body_size_bytes()->set_value(direct_response_bytes_max);
  config.set_ignore_port_in_host_matching(strip_ports);
  return config;
}

}  // namespace

std::string wire_name(std::string_view table, bool vhds) {
  return std::string(table) + (vhds ? "|vhds" : "");
}

void RouteConfig::add(Host host, Memo& memo) {
  for (const auto* origin : host.origins) add_origin(*origin);
  host.key.add(host.name);
  hosts_.push_back(memo.fragment(std::move(host.key), [&] { return host.body(host.name); }));
}

void RouteConfig::add_origin(const model::Key& key) {
  std::string text = model::to_string(key);
  if (known_origins_.insert(text).second) origins_.push_back(std::move(text));
}

// The order of fields on the wire is free, so the small ones come first and the virtual hosts are
// appended as they are.
std::string RouteConfig::body() const {
  std::string out = serialize(without_hosts(name_, strip_ports_));
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
  for (const auto& host : hosts_) key.add(host);
  for (const auto& origin : origins_) key.add(origin);
  return memo.resource(std::move(key), [&] {
    return std::make_shared<const resource::Resource>(resource::Type::route, name_, body(),
                                                      origins_);
  });
}

// It says so little that nobody's object can be at fault.
resource::ResourcePtr table_without_hosts(const std::string& table, bool strip_ports, Memo& memo) {
  MemoKey key("routes without hosts");
  key.add(table).add(std::uint64_t{strip_ports});
  return memo.resource(std::move(key), [&] {
    auto config = without_hosts(table, strip_ports);
    set_ads(*config.mutable_vhds()->mutable_config_source());
    return std::make_shared<const resource::Resource>(resource::Type::route, table,
                                                      serialize(config));
  });
}

// Envoy knows the resource again by the name that is in it: it must be the resource's, or what is
// removed by name stays (docs/envoy.md 14). And it looks for the table before the last slash.
resource::ResourcePtr host_of_table(const std::string& table, Host host, Memo& memo) {
  std::replace(host.name.begin(), host.name.end(), '/', '|');
  const std::string name = table + "/" + host.name;
  host.key.add("one by one").add(name);
  std::vector<std::string> origins;
  for (const auto* origin : host.origins) {
    std::string text = model::to_string(*origin);
    if (std::ranges::find(origins, text) == origins.end()) origins.push_back(std::move(text));
  }
  for (const auto& origin : origins) host.key.add(origin);
  return memo.resource(std::move(host.key), [&] {
    return std::make_shared<const resource::Resource>(resource::Type::virtual_host, name,
                                                      host.body(name), std::move(origins));
  });
}

}  // namespace graymesh::translate
