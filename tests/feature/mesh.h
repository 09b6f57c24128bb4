// A mesh for feature tests: YAML in, as a user writes it; what a proxy would be sent out, as JSON
// with the field names of Envoy's API.
//
//   Mesh mesh(R"(...YAML...)");
//   const Proxy web = mesh.sidecar("web", "fe-pre");
//   EXPECT_EQ(web.to("http://cart:8080/", {{"canarytag", "feature-a"}}), outbound(8080,
//   "feature-a", "cart"));
//
// What is read, resolved and translated is the real thing; only wire and Envoy are left out. Which
// route a request takes is decided by a few lines here that know Envoy's rules (tests/e2e asks the
// real one). With GRAYMESH_FEATURE_VHDS=1 virtual hosts come one by one, and every test must say
// the same: a table is shown with its hosts. With GRAYMESH_FEATURE_YAML=DIR every mesh is also
// written to DIR/SUITE.TEST.N/, for tests/e2e/nack_test.py to show each one to a real Envoy.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "control/resource/node.h"
#include "control/resource/resource.h"
#include "control/snapshot/snapshot.h"
#include "control/translate/translate.h"
#include "model/model.h"

namespace graymesh::feature {

using Json = nlohmann::json;
using Headers = std::map<std::string, std::string>;
using Labels = model::Labels;

// "outbound|8080|feature-a|cart.fe-pre.svc.cluster.local"; a host without a dot is in fe-pre.
std::string outbound(int port, const std::string& subset, const std::string& host);

// What one proxy would be sent.
class Proxy {
 public:
  explicit Proxy(resource::ConfigPtr config, std::string route_table = "")
      : config_(std::move(config)), table_(std::move(route_table)) {}

  const resource::Config& config() const { return *config_; }

  // Null if there is none of that name.
  Json cluster(std::string_view name) const { return find(resource::Type::cluster, name); }
  Json endpoints(std::string_view name) const { return find(resource::Type::endpoints, name); }
  Json listener(std::string_view name) const { return find(resource::Type::listener, name); }
  // With its virtual hosts, also where they come one by one.
  Json routes(std::string_view name) const;

  std::vector<std::string> clusters() const { return names(resource::Type::cluster); }
  std::vector<std::string> listeners() const { return names(resource::Type::listener); }
  std::vector<std::string> route_tables() const { return names(resource::Type::route); }
  // Those that come one by one: "8080|vhds/web.fe-pre.svc.cluster.local:8080".
  std::vector<std::string> hosts() const { return names(resource::Type::virtual_host); }
  // "10.1.0.1:8080", sorted; of an EDS cluster.
  std::vector<std::string> addresses(std::string_view cluster) const;

  // The route that `url` takes: Envoy's Route, null if there is none (404).
  Json route(const std::string& url, const Headers& headers = {},
             const std::string& method = "GET") const;
  // Where that route leads, in a word: a cluster's name; "90% A, 10% B" for weights; "redirect",
  // "answers 503", "no route".
  std::string to(const std::string& url, const Headers& headers = {},
                 const std::string& method = "GET") const;
  // Names of the virtual hosts of a table, in order.
  std::vector<std::string> virtual_hosts(std::string_view table) const;
  // The virtual host that takes a Host header; null if none.
  Json virtual_host(std::string_view table, std::string host) const;

 private:
  Json find(resource::Type type, std::string_view name) const;
  std::vector<std::string> names(resource::Type type) const;

  resource::ConfigPtr config_;
  std::string table_;  // where requests are looked up; empty: the URL's port
};

class Mesh {
 public:
  // Documents that are refused fail the test, unless it asks for `refused()`.
  explicit Mesh(std::string_view yaml, std::string_view mesh_config = "");
  ~Mesh();
  Mesh(const Mesh&) = delete;
  Mesh& operator=(const Mesh&) = delete;

  // The folder now says this in place of all before.
  void change(std::string_view yaml);

  // A sidecar whose traffic is redirected, with label app: `app`.
  Proxy sidecar(const std::string& app, const std::string& namespace_ = "fe-pre",
                Labels more = {}) const;
  // A gateway with label istio: ingressgateway; `port` is the listener that requests come to.
  Proxy gateway(int port, const std::string& namespace_ = "istio-system") const;
  Proxy proxy(const resource::Node& node, std::string route_table = "") const;

  // "VirtualService fe-pre/cart: http[0].route[0].destination.subset ...": what does not hold
  // together across objects, what has no effect (warnings), and what was refused.
  const std::vector<std::string>& problems() const { return problems_; }
  const std::vector<std::string>& refused() const;
  bool mentions(std::string_view text) const;  // any problem or refusal has it

  const translate::Generation& generation() const { return *generation_; }
  const snapshot::Snapshot& snapshot() const { return generation_->snapshot(); }

 private:
  void dump(std::string_view yaml) const;

  std::string mesh_config_text_;
  std::shared_ptr<const model::MeshConfig> mesh_config_;
  std::vector<model::ObjectPtr> objects_;
  std::shared_ptr<const translate::Generation> generation_;
  std::uint64_t number_ = 0;
  std::vector<std::string> problems_;
  std::vector<std::string> refused_;
  mutable bool refused_asked_ = false;
};

// A node as Istio's sidecars describe themselves.
resource::Node sidecar_node(const std::string& app, const std::string& namespace_ = "fe-pre",
                            Labels more = {});
resource::Node gateway_node(const std::string& namespace_ = "istio-system");

// Pieces of YAML that many tests need.
// A Service with selector app: NAME at one HTTP port, and a Pod for each version (its address is
// 10.1.<hash>.<n>, its labels stage: normal, or stage: gray and canarytag: VERSION).
std::string app(const std::string& name, const std::vector<std::string>& versions = {"baseline"},
                const std::string& namespace_ = "fe-pre", int port = 8080,
                const std::string& port_name = "http");
// A DestinationRule with a subset for each version of `app`.
std::string subsets(const std::string& name, const std::vector<std::string>& versions,
                    const std::string& namespace_ = "fe-pre");

// The value of the typed_config, or of typed_per_filter_config, of a name, without "@type".
Json http_filter(const Json& listener, std::string_view name);
// Every HTTP connection manager of a listener, in the order of its filter chains.
std::vector<Json> connection_managers(const Json& listener);

}  // namespace graymesh::feature
