#include "control/translate/translate_testing.h"

#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace graymesh::translate::testing {
namespace {

using envoy::config::route::v3::Route;
using envoy::config::route::v3::VirtualHost;

std::string describe(const std::string& name,
                     const envoy::type::matcher::v3::StringMatcher& match) {
  if (match.has_exact()) return name + "=" + match.exact();
  if (match.has_prefix()) return name + "=" + match.prefix() + "*";
  return name + "~" + match.safe_regex().regex();
}

std::string describe_path(const envoy::config::route::v3::RouteMatch& match) {
  std::string out = match.has_prefix() ? match.prefix() + "*"
                    : match.has_path() ? "=" + match.path()
                                       : "~" + match.safe_regex().regex();
  if (match.has_case_sensitive() && !match.case_sensitive().value()) out += " (any case)";
  return out;
}

std::string describe_action(const Route& route) {
  if (route.has_redirect()) return "redirect";
  if (route.has_direct_response())
    return "answer " + std::to_string(route.direct_response().status());
  if (!route.route().has_weighted_clusters()) return route.route().cluster();
  std::string out;
  for (const auto& cluster : route.route().weighted_clusters().clusters()) {
    if (!out.empty()) out += ", ";
    out += std::to_string(cluster.weight().value()) + " " + cluster.name();
  }
  return out;
}

// $GRAYMESH_RECORD_ROUTES is a folder: every route configuration that a test asks for is left
// there, for a real Envoy to judge (tests/peer/routes_test.py).
void record(const envoy::config::route::v3::RouteConfiguration& config) {
  const char* folder = std::getenv("GRAYMESH_RECORD_ROUTES");
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  if (!folder || !test) return;
  static int number = 0;
  const std::string name =
      std::string(test->test_suite_name()) + "." + test->name() + "." + std::to_string(++number);
  std::ofstream(std::string(folder) + "/" + name + ".json") << json(config) << "\n";
}

std::string object(std::string_view kind, std::string_view name, std::string_view spec) {
  const auto slash = name.find('/');
  std::string out = "apiVersion: networking.istio.io/v1\nkind: " + std::string(kind) +
                    "\nmetadata:\n  namespace: " + std::string(name.substr(0, slash)) +
                    "\n  name: " + std::string(name.substr(slash + 1)) + "\nspec:\n";
  while (!spec.empty()) {
    const auto line = spec.substr(0, spec.find('\n'));
    spec.remove_prefix(std::min(spec.size(), line.size() + 1));
    out += "  " + std::string(line) + "\n";
  }
  return out + "---\n";
}

}  // namespace

std::string json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string out;
  const auto status = google::protobuf::util::MessageToJsonString(message, &out, options);
  return status.ok() ? out : status.ToString();
}

std::string describe(const Route& route) {
  std::string out = route.name().empty() ? "" : route.name() + ": ";
  out += describe_path(route.match());
  for (const auto& header : route.match().headers()) {
    out += " ";
    if (header.invert_match()) out += "!";
    out +=
        header.has_present_match() ? header.name() : describe(header.name(), header.string_match());
  }
  for (const auto& query : route.match().query_parameters()) {
    out += " ?" + (query.has_present_match() ? query.name()
                                             : describe(query.name(), query.string_match()));
  }
  return out + " => " + describe_action(route);
}

Routes::Routes(resource::ResourcePtr resource) : resource_(std::move(resource)) {
  auto config = std::make_shared<envoy::config::route::v3::RouteConfiguration>();
  if (resource_) {
    EXPECT_TRUE(config->ParseFromArray(resource_->body().data(),
                                       static_cast<int>(resource_->body().size())));
    record(*config);
  }
  config_ = std::move(config);
}

std::vector<std::string> Routes::hosts() const {
  std::vector<std::string> out;
  for (const auto& host : config_->virtual_hosts()) out.push_back(host.name());
  return out;
}

const VirtualHost& Routes::host(std::string_view name) const {
  for (const auto& host : config_->virtual_hosts()) {
    if (host.name() == name) return host;
  }
  ADD_FAILURE() << "no virtual host " << name << " in " << ::testing::PrintToString(hosts());
  return VirtualHost::default_instance();
}

std::vector<std::string> Routes::domains(std::string_view name) const {
  const auto& found = host(name).domains();
  return {found.begin(), found.end()};
}

std::vector<std::string> Routes::of(std::string_view name) const {
  std::vector<std::string> out;
  for (const auto& route : host(name).routes()) out.push_back(describe(route));
  return out;
}

const Route& Routes::route(std::string_view name, int index) const {
  const auto& routes = host(name).routes();
  if (index < routes.size()) return routes.Get(index);
  ADD_FAILURE() << name << " has only " << routes.size() << " routes";
  return Route::default_instance();
}

std::string Routes::host_for(std::string_view authority) const {
  if (config_->ignore_port_in_host_matching()) authority = authority.substr(0, authority.find(':'));
  std::string best;
  std::size_t length = 0;
  for (const auto& host : config_->virtual_hosts()) {
    for (const auto& domain : host.domains()) {
      if (domain == authority) return host.name();
      const bool wildcard = domain.starts_with('*') &&
                            authority.ends_with(std::string_view(domain).substr(1)) &&
                            (domain.size() == 1 || authority.size() >= domain.size());
      if (!wildcard || domain.size() <= length) continue;
      length = domain.size();
      best = host.name();
    }
  }
  return best;
}

std::string virtual_service(std::string_view name, std::string_view spec) {
  return object("VirtualService", name, spec);
}
std::string destination_rule(std::string_view name, std::string_view spec) {
  return object("DestinationRule", name, spec);
}
std::string service_entry(std::string_view name, std::string_view spec) {
  return object("ServiceEntry", name, spec);
}
std::string gateway(std::string_view name, std::string_view spec) {
  return object("Gateway", name, spec);
}
std::string sidecar(std::string_view name, std::string_view spec) {
  return object("Sidecar", name, spec);
}

Mesh& Mesh::service(std::string_view name, std::initializer_list<std::string_view> ports,
                    std::string_view extra) {
  const auto slash = name.find('/');
  std::string yaml = "apiVersion: v1\nkind: Service\nmetadata:\n  namespace: " +
                     std::string(name.substr(0, slash)) +
                     "\n  name: " + std::string(name.substr(slash + 1)) + "\nspec:\n";
  if (extra.find("clusterIP") == std::string_view::npos) {
    yaml += "  clusterIP: 10.0.0." + std::to_string(objects_.size() + 1) + "\n";
  }
  if (!extra.empty()) yaml += "  " + std::string(extra) + "\n";
  yaml += "  ports:\n";
  for (const auto port : ports) {
    const auto blank = port.find(' ');
    yaml += "  - {name: " + std::string(port.substr(0, blank)) +
            ", port: " + std::string(port.substr(blank + 1)) + "}\n";
  }
  return apply(yaml);
}

Mesh& Mesh::apply(std::string_view yaml) {
  for (auto& document : model::read(yaml, "test.yaml")) {
    for (const auto& problem : document.errors) ADD_FAILURE() << model::to_string(problem);
    if (document.object) add(std::move(document.object));
  }
  return *this;
}

Mesh& Mesh::add(model::ObjectPtr object) {
  remove(object->meta.key);
  objects_.push_back(std::move(object));
  return *this;
}

Mesh& Mesh::config(std::string_view mesh_config) {
  auto read = model::read_mesh_config(mesh_config, "mesh.yaml");
  for (const auto& problem : read.errors) ADD_FAILURE() << model::to_string(problem);
  mesh_ = std::make_shared<const model::MeshConfig>(std::move(read.config));
  stale_ = true;
  return *this;
}

void Mesh::remove(const model::Key& key) {
  std::erase_if(objects_, [&](const model::ObjectPtr& object) { return object->meta.key == key; });
  stale_ = true;
}

snapshot::SnapshotPtr Mesh::snapshot() const {
  if (stale_) built_ = snapshot::build(objects_, mesh_, built_.get(), ++number_);
  stale_ = false;
  return built_;
}

OutboundScope Mesh::outbound(const Proxy& proxy) const {
  OutboundScope scope;
  scope.snapshot = snapshot();
  scope.view = scope.snapshot->view(proxy.namespace_, proxy.labels);
  scope.captured = proxy.captured;
  scope.http_proxy_port = proxy.http_proxy_port;
  if (scope.view->source_labels_matter) scope.labels = proxy.labels;
  return scope;
}

GatewayScope Mesh::gateway(const model::Labels& labels, std::string_view namespace_) const {
  GatewayScope scope;
  scope.snapshot = snapshot();
  scope.view = scope.snapshot->gateway(namespace_, {}, labels);
  if (scope.view->source_labels_matter) scope.labels = labels;
  return scope;
}

Routes Mesh::routes(std::string_view table, const Proxy& proxy) const {
  Memo memo;
  for (auto& resource : outbound_routes(outbound(proxy), memo)) {
    if (resource->name() == table) return Routes(resource);
  }
  ADD_FAILURE() << "no route configuration " << table << " in "
                << ::testing::PrintToString(tables(proxy));
  return Routes(nullptr);
}

Routes Mesh::gateway_routes(std::string_view table) const {
  Memo memo;
  for (auto& resource : translate::gateway_routes(gateway(), memo)) {
    if (resource->name() == table) return Routes(resource);
  }
  ADD_FAILURE() << "no route configuration " << table << " in "
                << ::testing::PrintToString(gateway_tables());
  return Routes(nullptr);
}

std::vector<std::string> Mesh::tables(const Proxy& proxy) const {
  std::vector<std::string> out;
  const OutboundScope scope = outbound(proxy);
  for (const auto& table : route_tables(scope)) out.push_back(table.name);
  return out;
}

std::vector<std::string> Mesh::gateway_tables() const {
  std::vector<std::string> out;
  const GatewayScope scope = gateway();
  for (const auto& table : translate::gateway_tables(scope)) out.push_back(table.name);
  return out;
}

}  // namespace graymesh::translate::testing
