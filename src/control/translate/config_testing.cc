#include "control/translate/config_testing.h"

#include <gtest/gtest.h>

#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/endpoint/v3/endpoint.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"

namespace graymesh::translate::testing {
namespace {

template <typename Message>
Json parse(std::string_view body) {
  Message message;
  EXPECT_TRUE(message.ParseFromArray(body.data(), static_cast<int>(body.size())));
  return Json::parse(json(message), nullptr, false);
}

Json filter(const Json& chain, std::string_view name) {
  for (const auto& each : chain.value("filters", Json::array())) {
    if (each["name"] == name) return each["typed_config"];
  }
  return nullptr;
}

resource::Node node(std::string_view type, std::string_view address, std::string_view namespace_,
                    const model::Labels& labels) {
  resource::Node out;
  out.id = std::string(type) + "~" + std::string(address) + "~pod." + std::string(namespace_) +
           "~" + std::string(namespace_) + ".svc.cluster.local";
  out.address = address;
  out.addresses = {out.address};
  out.namespace_ = namespace_;
  out.labels = labels;
  out.user_agent = "envoy 1.40.0";
  return out;
}

}  // namespace

Json to_json(const resource::Resource& resource) {
  switch (resource.type()) {
    case Type::cluster:
      return parse<envoy::config::cluster::v3::Cluster>(resource.body());
    case Type::endpoints:
      return parse<envoy::config::endpoint::v3::ClusterLoadAssignment>(resource.body());
    case Type::listener:
      return parse<envoy::config::listener::v3::Listener>(resource.body());
    case Type::route:
      return parse<envoy::config::route::v3::RouteConfiguration>(resource.body());
    case Type::virtual_host:
      return parse<envoy::config::route::v3::VirtualHost>(resource.body());
  }
  return nullptr;
}

std::vector<std::string> Answer::names(Type type) const {
  std::vector<std::string> out;
  for (const auto& layer : config_->of(type)) {
    for (const auto& resource : layer->all()) out.push_back(resource->name());
  }
  std::sort(out.begin(), out.end());
  return out;
}

resource::ResourcePtr Answer::resource(Type type, std::string_view name) const {
  const auto* found = config_->find(type, name);
  if (found) return *found;
  ADD_FAILURE() << "no " << resource::short_name(type) << " " << name << " in "
                << ::testing::PrintToString(names(type));
  return nullptr;
}

Json Answer::get(Type type, std::string_view name) const {
  const auto found = resource(type, name);
  return found ? to_json(*found) : Json();
}

std::string Answer::addresses(std::string_view cluster) const {
  std::map<int, std::string> by_priority;
  const Json assignment = endpoints(cluster);
  for (const auto& group : assignment.value("endpoints", Json::array())) {
    auto& text = by_priority[group.value("priority", 0)];
    for (const auto& each : group.value("lb_endpoints", Json::array())) {
      const auto& socket = each["endpoint"]["address"]["socket_address"];
      if (!text.empty()) text += " ";
      text += socket["address"].get<std::string>() + ":" +
              std::to_string(socket["port_value"].get<int>());
    }
  }
  std::string out;
  for (const auto& [priority, text] : by_priority) out += (out.empty() ? "" : " > ") + text;
  return out;
}

Json http_of(const Json& chain) {
  return filter(chain, "envoy.filters.network.http_connection_manager");
}
Json tcp_of(const Json& chain) { return filter(chain, "envoy.filters.network.tcp_proxy"); }

resource::Node sidecar_node(std::string_view address, std::string_view namespace_,
                            const model::Labels& labels) {
  auto out = node("sidecar", address, namespace_, labels);
  out.kind = resource::Node::Kind::sidecar;
  return out;
}

resource::Node bound_node(std::string_view address, std::string_view namespace_,
                          std::string_view app, const model::Labels& labels) {
  auto out = sidecar_node(address, namespace_, labels);
  out.interception = resource::Node::Interception::none;
  out.app_address = app;
  return out;
}

resource::Node gateway_node(std::string_view address, const model::Labels& labels) {
  auto out = node("router", address, "istio-system", labels);
  out.kind = resource::Node::Kind::router;
  return out;
}

resource::Node grpc_client(std::string_view namespace_) {
  auto out = node("sidecar", "10.9.9.9", namespace_, {});
  out.kind = resource::Node::Kind::other;
  out.user_agent = "gRPC Go 1.76.0";
  return out;
}

std::string pod(std::string_view name, std::string_view address, const model::Labels& labels,
                std::string_view locality) {
  const auto slash = name.find('/');
  std::string all;
  for (const auto& [key, value] : labels)
    all.append(all.empty() ? "" : ", ").append(key).append(": ").append(value);
  if (!locality.empty()) all += ", topology.istio.io/locality: " + std::string(locality);
  return "apiVersion: v1\nkind: Pod\nmetadata:\n  namespace: " +
         std::string(name.substr(0, slash)) + "\n  name: " + std::string(name.substr(slash + 1)) +
         "\n  labels: {" + all +
         "}\nspec: {}\nstatus:\n  phase: Running\n  podIP: " + std::string(address) +
         "\n  conditions: [{type: Ready, status: \"True\"}]\n---\n";
}

}  // namespace graymesh::translate::testing
