// Envoy's /config_dump of what a proxy has ACKed: the bytes on the wire, read back as messages and
// printed by protobuf, with the types inside every Any resolved by the linked descriptors.
#include <fmt/core.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "api/pages.h"
#include "envoy/admin/v3/config_dump_shared.pb.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/endpoint/v3/endpoint.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/config/route/v3/route.pb.h"

namespace graymesh::api {
namespace {

using resource::Type;

void fill(google::protobuf::Any& any, const resource::Resource& resource) {
  any.set_type_url(std::string(resource::type_url(resource.type())));
  any.set_value(std::string(resource.body()));
}

template <typename Add>
void each(const resource::Config& config, Type type, Add add) {
  for (const auto& layer : config.of(type)) {
    for (const auto& resource : layer->all()) add(*resource);
  }
}

Status append(const google::protobuf::Message& dump, std::string& out) {
  google::protobuf::Any any;
  any.PackFrom(dump);
  std::string json;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  const auto status = google::protobuf::util::MessageToJsonString(any, &json, options);
  if (!status.ok()) {
    return Error{Code::internal,
                 fmt::format("cannot print {}: {}", dump.GetTypeName(), status.ToString())};
  }
  if (out.back() != '[') out.push_back(',');
  out += json;
  return {};
}

Status clusters(const resource::Config& config, std::string& out) {
  envoy::admin::v3::ClustersConfigDump dump;
  each(config, Type::cluster, [&](const auto& resource) {
    auto& one = *dump.add_dynamic_active_clusters();
    one.set_version_info(resource.version_text());
    fill(*one.mutable_cluster(), resource);
  });
  return append(dump, out);
}

Status endpoints(const resource::Config& config, std::string& out) {
  envoy::admin::v3::EndpointsConfigDump dump;
  each(config, Type::endpoints, [&](const auto& resource) {
    auto& one = *dump.add_dynamic_endpoint_configs();
    one.set_version_info(resource.version_text());
    fill(*one.mutable_endpoint_config(), resource);
  });
  return append(dump, out);
}

Status listeners(const resource::Config& config, std::string& out) {
  envoy::admin::v3::ListenersConfigDump dump;
  each(config, Type::listener, [&](const auto& resource) {
    auto& one = *dump.add_dynamic_listeners();
    one.set_name(resource.name());
    one.mutable_active_state()->set_version_info(resource.version_text());
    fill(*one.mutable_active_state()->mutable_listener(), resource);
  });
  return append(dump, out);
}

// Virtual hosts that came one by one stand in their tables, as Envoy itself shows them.
Status routes(const resource::Config& config, std::string& out) {
  using Table = envoy::config::route::v3::RouteConfiguration;
  std::map<std::string_view, std::vector<const resource::Resource*>> hosts;
  each(config, Type::virtual_host, [&](const auto& resource) {
    hosts[resource::table_of(resource.name())].push_back(&resource);
  });
  envoy::admin::v3::RoutesConfigDump dump;
  each(config, Type::route, [&](const auto& resource) {
    auto& one = *dump.add_dynamic_route_configs();
    one.set_version_info(resource.version_text());
    fill(*one.mutable_route_config(), resource);
    const auto found = hosts.find(resource.name());
    Table table;
    if (found == hosts.end() || !table.ParseFromString(one.route_config().value())) return;
    for (const auto* host : found->second)
      (void)table.add_virtual_hosts()->ParseFromString(std::string(host->body()));
    one.mutable_route_config()->set_value(table.SerializeAsString());
  });
  return append(dump, out);
}

}  // namespace

Result<std::string> config_dump_page(const resource::Config& config, std::string_view type) {
  std::string out = "{\"configs\":[";
  if (type.empty() || type == "cluster") TRY(clusters(config, out));
  if (type.empty() || type == "endpoint") TRY(endpoints(config, out));
  if (type.empty() || type == "listener") TRY(listeners(config, out));
  if (type.empty() || type == "route") TRY(routes(config, out));
  if (out.back() == '[') {
    return Error{Code::invalid_argument,
                 fmt::format("type {}, must be cluster, endpoint, listener or route", type)};
  }
  return out + "]}";
}

resource::ConfigPtr target_asked_for(const resource::Config& target, const resource::Config& held,
                                     const std::vector<xds::TypeStatus>& types) {
  using State = xds::TypeStatus::State;
  const auto has_what_it_wants = [&](Type type) {
    if (type != Type::endpoints && type != Type::route && type != Type::virtual_host) return false;
    return std::ranges::any_of(types, [&](const xds::TypeStatus& it) {
      return it.type == type && (it.state == State::synced || it.state == State::not_subscribed);
    });
  };
  auto asked = std::make_shared<resource::Config>();
  asked->snapshot = target.snapshot;
  for (const Type type : resource::all_types) {
    const bool only_held = has_what_it_wants(type);
    for (const auto& layer : target.of(type)) {
      if (!only_held) {
        asked->add(type, layer);
        continue;
      }
      std::vector<resource::ResourcePtr> wanted;
      for (const auto& resource : layer->all()) {
        if (held.find(type, resource->name()) != nullptr) wanted.push_back(resource);
      }
      asked->add(type, std::make_shared<const resource::ResourceSet>(std::move(wanted)));
    }
  }
  return asked;
}

}  // namespace graymesh::api
