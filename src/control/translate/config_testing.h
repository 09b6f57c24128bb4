// For tests of this room: proxies that ask for their configuration, and the answer as JSON, with
// the field names of the protos.
//
//   Mesh mesh;
//   mesh.service("shop/web", {"http 8080"});
//   Control control(mesh);
//   EXPECT_EQ(control.ask(sidecar_node("127.1.1.1",
//   "shop")).cluster("outbound|8080||web...")["type"], "EDS");
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "control/resource/node.h"
#include "control/translate/translate.h"
#include "control/translate/translate_testing.h"

namespace graymesh::translate::testing {

using Json = nlohmann::json;
using resource::Type;

// The message inside; Any is unpacked.
Json to_json(const resource::Resource& resource);

class Answer {
 public:
  explicit Answer(resource::ConfigPtr config) : config_(std::move(config)) {}

  const resource::Config& config() const { return *config_; }
  std::vector<std::string> names(Type type) const;  // sorted
  bool has(Type type, std::string_view name) const { return config_->find(type, name) != nullptr; }
  // Each fails the test if there is no such resource.
  Json cluster(std::string_view name) const { return get(Type::cluster, name); }
  Json endpoints(std::string_view cluster) const { return get(Type::endpoints, cluster); }
  Json listener(std::string_view name) const { return get(Type::listener, name); }
  Json routes(std::string_view name) const { return get(Type::route, name); }
  resource::ResourcePtr resource(Type type, std::string_view name) const;
  // "10.0.0.1:8080 10.0.0.2:8080", as the assignment lists them; a group of lower priority after "
  // > ".
  std::string addresses(std::string_view cluster) const;

 private:
  Json get(Type type, std::string_view name) const;

  resource::ConfigPtr config_;
};

// The HTTP connection manager or TCP proxy of a chain of a listener; null if it has no such filter.
Json http_of(const Json& chain);
Json tcp_of(const Json& chain);

resource::Node sidecar_node(std::string_view address, std::string_view namespace_,
                            const model::Labels& labels = {});
// INTERCEPTION_MODE NONE, with the application on `app`.
resource::Node bound_node(std::string_view address, std::string_view namespace_,
                          std::string_view app = {}, const model::Labels& labels = {});
resource::Node gateway_node(std::string_view address,
                            const model::Labels& labels = {{"istio", "ingressgateway"}});
resource::Node grpc_client(std::string_view namespace_);

// A pod with its EndpointSlice entry for every Service that selects it: "shop/web-1", "10.1.0.1".
std::string pod(std::string_view name, std::string_view address, const model::Labels& labels,
                std::string_view locality = {});

// What the control plane does: Generation after Generation of a mesh.
class Control {
 public:
  explicit Control(const Mesh& mesh) : mesh_(mesh) { update(); }

  void update() { generation_ = std::make_shared<const Generation>(mesh_.snapshot(), generation_); }
  Answer ask(const resource::Node& node) const { return Answer(generation_->config_for(node)); }
  Generation::Work work() const { return generation_->work(); }
  const std::shared_ptr<const Generation>& generation() const { return generation_; }

 private:
  const Mesh& mesh_;
  std::shared_ptr<const Generation> generation_;
};

}  // namespace graymesh::translate::testing
