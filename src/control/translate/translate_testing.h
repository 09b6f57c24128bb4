// For tests of this room: a mesh as a user writes it, and the routes that its proxies get.
//
//   Mesh mesh;
//   mesh.service("fe-pre/web", {"http 8080"});
//   mesh.apply(virtual_service("fe-pre/web", "hosts: [web] ..."));
//   EXPECT_THAT(mesh.routes("8080").of("web.fe-pre.svc.cluster.local:8080"), ElementsAre(...));
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "control/translate/parts.h"
#include "envoy/config/route/v3/route.pb.h"
#include "model/model.h"

namespace graymesh::translate::testing {

// Compact JSON with the proto's field names; Any is unpacked.
std::string json(const google::protobuf::Message& message);

// One route in a line: `name: /path* header=value => cluster`. In matches, `=` is exact, `=...*` a
// prefix, `~` a regular expression, `!` inverts, and a bare name asks for presence.
std::string describe(const envoy::config::route::v3::Route& route);

// A route configuration, read back from the bytes that a proxy would get.
class Routes {
 public:
  explicit Routes(resource::ResourcePtr resource);

  const envoy::config::route::v3::RouteConfiguration& config() const { return *config_; }
  const resource::ResourcePtr& resource() const { return resource_; }
  std::vector<std::string> hosts() const;  // names of virtual hosts, in order
  std::vector<std::string> domains(
      std::string_view host) const;  // fails the test if there is no such host
  std::vector<std::string> of(std::string_view host) const;  // its routes, described
  const envoy::config::route::v3::VirtualHost& host(std::string_view name) const;
  const envoy::config::route::v3::Route& route(std::string_view host, int index = 0) const;
  // What a request to this Host is answered by, as Envoy chooses: the exact domain, then the
  // longest wildcard, then `*`. Empty if nothing.
  std::string host_for(std::string_view authority) const;

 private:
  resource::ResourcePtr resource_;
  std::shared_ptr<const envoy::config::route::v3::RouteConfiguration> config_;
};

// Who asks.
struct Proxy {
  std::string namespace_ = "fe-pre";
  model::Labels labels = {};
  bool captured = true;
  std::uint32_t http_proxy_port = 0;
};

// Documents of Istio's kinds; `name` is "namespace/name", `spec` YAML that begins in the first
// column.
std::string virtual_service(std::string_view name, std::string_view spec);
std::string destination_rule(std::string_view name, std::string_view spec);
std::string service_entry(std::string_view name, std::string_view spec);
std::string gateway(std::string_view name, std::string_view spec);
std::string sidecar(std::string_view name, std::string_view spec);

class Mesh {
 public:
  // A Kubernetes Service "namespace/name" with ports such as "http 8080" (a name and a number).
  Mesh& service(std::string_view name, std::initializer_list<std::string_view> ports,
                std::string_view extra = {});
  // YAML documents; a refused one fails the test. An object that is there already is replaced.
  Mesh& apply(std::string_view yaml);
  Mesh& add(model::ObjectPtr object);
  Mesh& config(std::string_view mesh_config);
  void remove(const model::Key& key);

  snapshot::SnapshotPtr snapshot() const;
  OutboundScope outbound(const Proxy& proxy = {}) const;
  GatewayScope gateway(const model::Labels& labels = {{"istio", "ingressgateway"}},
                       std::string_view namespace_ = "istio-system") const;

  // The route configuration of this name; fails the test if there is none.
  Routes routes(std::string_view table, const Proxy& proxy = {}) const;
  Routes gateway_routes(std::string_view table) const;
  std::vector<std::string> tables(const Proxy& proxy = {}) const;
  std::vector<std::string> gateway_tables() const;

 private:
  std::vector<model::ObjectPtr> objects_;
  std::shared_ptr<const model::MeshConfig> mesh_ = std::make_shared<const model::MeshConfig>();
  mutable snapshot::SnapshotPtr built_;  // until something changes; also what the next shares with
  mutable bool stale_ = true;
  mutable std::uint64_t number_ = 0;
};

}  // namespace graymesh::translate::testing
