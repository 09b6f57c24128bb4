#include "mesh.h"

#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <re2/re2.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/endpoint/v3/endpoint.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/config/route/v3/route.pb.h"

namespace graymesh::feature {
namespace {

using resource::Type;

template <typename Message>
Json decode(std::string_view body) {
  Message message;
  if (!message.ParseFromArray(body.data(), static_cast<int>(body.size())))
    return "cannot be parsed";
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return Json::parse(text);
}

Json decode(const resource::Resource& resource) {
  switch (resource.type()) {
    case Type::cluster:
      return decode<envoy::config::cluster::v3::Cluster>(resource.body());
    case Type::endpoints:
      return decode<envoy::config::endpoint::v3::ClusterLoadAssignment>(resource.body());
    case Type::listener:
      return decode<envoy::config::listener::v3::Listener>(resource.body());
    case Type::route:
      return decode<envoy::config::route::v3::RouteConfiguration>(resource.body());
    case Type::virtual_host:
      return decode<envoy::config::route::v3::VirtualHost>(resource.body());
  }
  return {};
}

bool one_by_one() { return std::getenv("GRAYMESH_FEATURE_VHDS") != nullptr; }

// An http:// URL in its parts, as a request shows them.
struct Request {
  std::string host, path = "/", query, method;
  int port = 80;
  Headers headers;
};

Request request_of(const std::string& url, const Headers& headers, const std::string& method) {
  Request request{.method = method, .headers = headers};
  std::string rest = url.substr(url.find("://") + 3);
  if (const auto slash = rest.find('/'); slash != std::string::npos) {
    request.path = rest.substr(slash);
    rest.resize(slash);
  }
  if (const auto mark = request.path.find('?'); mark != std::string::npos) {
    request.query = request.path.substr(mark + 1);
    request.path.resize(mark);
  }
  request.host = rest;
  if (const auto colon = rest.rfind(':'); colon != std::string::npos)
    request.port = std::stoi(rest.substr(colon + 1));
  request.headers[":method"] = method;
  request.headers[":authority"] = rest;
  request.headers[":scheme"] = "http";
  request.headers[":path"] = request.path;
  return request;
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool string_matches(const Json& match, const std::string& value) {
  if (match.contains("exact")) return value == match["exact"];
  if (match.contains("prefix")) return value.starts_with(match["prefix"].get<std::string>());
  if (match.contains("suffix")) return value.ends_with(match["suffix"].get<std::string>());
  if (match.contains("safe_regex"))
    return RE2::FullMatch(value, match["safe_regex"]["regex"].get<std::string>());
  ADD_FAILURE() << "a string match that this harness does not know: " << match;
  return false;
}

bool header_matches(const Json& match, const Headers& headers) {
  const bool inverted = match.value("invert_match", false);
  const auto found = headers.find(match["name"].get<std::string>());
  if (match.contains("present_match")) return (found != headers.end()) != inverted;
  if (found == headers.end()) {
    // Envoy: a missing header matches nothing, inverted or not, unless it counts as empty.
    if (!match.value("treat_missing_header_as_empty", false)) return false;
    return string_matches(match["string_match"], "") != inverted;
  }
  return string_matches(match["string_match"], found->second) != inverted;
}

std::map<std::string, std::string> query_of(const std::string& query) {
  std::map<std::string, std::string> out;
  for (std::size_t at = 0; at < query.size();) {
    const auto end = std::min(query.find('&', at), query.size());
    const std::string pair = query.substr(at, end - at);
    const auto equals = pair.find('=');
    out.emplace(pair.substr(0, equals), equals == std::string::npos ? "" : pair.substr(equals + 1));
    at = end + 1;
  }
  return out;
}

bool path_matches(const Json& match, std::string path) {
  const bool exact_case = match.value("case_sensitive", true);
  const auto cased = [&](const char* key) {
    const auto text = match[key].get<std::string>();
    return exact_case ? text : lower(text);
  };
  if (match.contains("safe_regex"))
    return RE2::FullMatch(path, match["safe_regex"]["regex"].get<std::string>());
  if (!exact_case) path = lower(path);
  if (match.contains("path")) return path == cased("path");
  if (match.contains("prefix")) return path.starts_with(cased("prefix"));
  ADD_FAILURE() << "a path match that this harness does not know: " << match;
  return false;
}

bool route_matches(const Json& match, const Request& request) {
  if (!path_matches(match, request.path)) return false;
  for (const auto& header : match.value("headers", Json::array())) {
    if (!header_matches(header, request.headers)) return false;
  }
  const auto query = query_of(request.query);
  for (const auto& parameter : match.value("query_parameters", Json::array())) {
    const auto found = query.find(parameter["name"].get<std::string>());
    if (found == query.end()) return false;
    if (parameter.contains("string_match") &&
        !string_matches(parameter["string_match"], found->second))
      return false;
  }
  return true;
}

std::string in_a_word(const Json& route) {
  if (route.is_null()) return "no route";
  if (route.contains("redirect")) return "redirect";
  if (route.contains("direct_response"))
    return "answers " + route["direct_response"]["status"].dump();
  if (!route.contains("route")) return "no action";
  const Json& action = route["route"];
  if (action.contains("cluster")) return action["cluster"];
  if (!action.contains("weighted_clusters")) return action.dump();
  double total = 0;
  for (const auto& one : action["weighted_clusters"]["clusters"])
    total += one["weight"].get<double>();
  std::string out;
  for (const auto& one : action["weighted_clusters"]["clusters"]) {
    out += (out.empty() ? "" : ", ") +
           std::to_string(static_cast<int>(one["weight"].get<double>() * 100 / total)) + "% " +
           one["name"].get<std::string>();
  }
  return out;
}

std::string labels_yaml(const Labels& labels) {
  std::string out;
  for (const auto& [key, value] : labels) out += (out.empty() ? "" : ", ") + key + ": " + value;
  return "{" + out + "}";
}

Labels labels_of(const std::string& version) {
  if (version == "baseline") return {{"stage", "normal"}};
  return {{"stage", "gray"}, {"canarytag", version}};
}

}  // namespace

std::string outbound(int port, const std::string& subset, const std::string& host) {
  const bool full = host.find('.') != std::string::npos;
  return "outbound|" + std::to_string(port) + "|" + subset + "|" + host +
         (full ? "" : ".fe-pre.svc.cluster.local");
}

Json Proxy::find(Type type, std::string_view name) const {
  const auto* found = config_->find(type, name);
  return found == nullptr ? Json() : decode(**found);
}

Json Proxy::routes(std::string_view name) const {
  Json table = find(Type::route, name);
  if (!table.is_null()) return table;
  const std::string on_wire = std::string(name) + "|vhds";
  table = find(Type::route, on_wire);
  if (table.is_null()) return table;
  EXPECT_FALSE(table.contains("virtual_hosts"));
  table["name"] = name;
  table.erase("vhds");
  for (const auto& layer : config_->of(Type::virtual_host)) {
    for (const auto& host : layer->all()) {
      if (resource::table_of(host->name()) != on_wire) continue;
      Json& one = table["virtual_hosts"].emplace_back(decode(*host));
      EXPECT_EQ(one["name"], host->name()) << "Envoy removes it by that";
      one["name"] = host->name().substr(on_wire.size() + 1);
    }
  }
  return table;
}

std::vector<std::string> Proxy::names(Type type) const {
  std::vector<std::string> out;
  for (const auto& layer : config_->of(type)) {
    for (const auto& one : layer->all()) out.push_back(one->name());
  }
  if (type == Type::route && one_by_one()) {
    for (auto& name : out) name = name.substr(0, name.find("|vhds"));
  }
  std::ranges::sort(out);
  return out;
}

std::vector<std::string> Proxy::addresses(std::string_view cluster) const {
  std::vector<std::string> out;
  const Json assignment = endpoints(cluster);
  if (assignment.is_null()) return {"no assignment"};
  for (const auto& locality : assignment.value("endpoints", Json::array())) {
    for (const auto& one : locality.value("lb_endpoints", Json::array())) {
      const Json& socket = one["endpoint"]["address"]["socket_address"];
      out.push_back(socket["address"].get<std::string>() + ":" + socket["port_value"].dump());
    }
  }
  std::ranges::sort(out);
  return out;
}

std::vector<std::string> Proxy::virtual_hosts(std::string_view table) const {
  std::vector<std::string> out;
  const Json found = routes(table);
  if (found.is_null()) return out;
  for (const auto& host : found.value("virtual_hosts", Json::array())) out.push_back(host["name"]);
  return out;
}

// Envoy: the exact domain, else the longest that begins with a star, else the longest that ends
// with one, else "*".
Json Proxy::virtual_host(std::string_view table, std::string host) const {
  const Json found = routes(table);
  if (found.is_null()) return {};
  host = lower(host);
  if (found.value("ignore_port_in_host_matching", false)) host = host.substr(0, host.rfind(':'));
  Json best;
  std::size_t rank = 0;
  for (const auto& candidate : found.value("virtual_hosts", Json::array())) {
    for (const auto& any : candidate["domains"]) {
      const std::string domain = lower(any.get<std::string>());
      std::size_t now = 0;
      if (domain == host) {
        now = 3'000'000;
      } else if (domain == "*") {
        now = 1;
      } else if (domain.starts_with('*') && host.size() >= domain.size() &&
                 host.ends_with(domain.substr(1))) {
        now = 2'000'000 + domain.size();
      } else if (domain.ends_with('*') && host.starts_with(domain.substr(0, domain.size() - 1))) {
        now = 1'000'000 + domain.size();
      }
      if (now > rank) {
        rank = now;
        best = candidate;
      }
    }
  }
  return best;
}

Json Proxy::route(const std::string& url, const Headers& headers, const std::string& method) const {
  const Request request = request_of(url, headers, method);
  const Json host =
      virtual_host(table_.empty() ? std::to_string(request.port) : table_, request.host);
  if (host.is_null()) return {};
  for (const auto& route : host.value("routes", Json::array())) {
    if (route_matches(route["match"], request)) return route;
  }
  return {};
}

std::string Proxy::to(const std::string& url, const Headers& headers,
                      const std::string& method) const {
  return in_a_word(route(url, headers, method));
}

Mesh::Mesh(std::string_view yaml, std::string_view mesh_config) : mesh_config_text_(mesh_config) {
  auto read = model::read_mesh_config(mesh_config, "mesh-config.yaml");
  for (const auto& problem : read.errors) ADD_FAILURE() << to_string(problem);
  mesh_config_ = std::make_shared<const model::MeshConfig>(std::move(read.config));
  change(yaml);
}

Mesh::~Mesh() {
  if (refused_asked_) return;
  for (const auto& refusal : refused_) ADD_FAILURE() << "refused: " << refusal;
}

const std::vector<std::string>& Mesh::refused() const {
  refused_asked_ = true;
  return refused_;
}

bool Mesh::mentions(std::string_view text) const {
  refused_asked_ = true;
  const auto has = [&](const std::string& line) { return line.find(text) != std::string::npos; };
  return std::ranges::any_of(problems_, has) || std::ranges::any_of(refused_, has);
}

void Mesh::change(std::string_view yaml) {
  dump(yaml);
  problems_.clear();
  refused_.clear();
  objects_.clear();
  for (const auto& document : model::read(yaml, "mesh.yaml")) {
    for (const auto& problem : document.errors) refused_.push_back(to_string(problem));
    if (!document.object) continue;
    for (const auto& problem : document.object->warnings) problems_.push_back(to_string(problem));
    objects_.push_back(document.object);
  }
  std::ranges::sort(objects_, {}, [](const auto& object) { return object->meta.key; });
  const auto built = snapshot::build(objects_, mesh_config_,
                                     generation_ ? &generation_->snapshot() : nullptr, ++number_);
  for (const auto& problem : built->problems()) problems_.push_back(to_string(problem));
  generation_ = std::make_shared<const translate::Generation>(built, generation_);
}

void Mesh::dump(std::string_view yaml) const {
  const char* folder = std::getenv("GRAYMESH_FEATURE_YAML");
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  if (folder == nullptr || test == nullptr) return;
  static int count = 0;
  const auto place = std::filesystem::path(folder) / (std::string(test->test_suite_name()) + "." +
                                                      test->name() + "." + std::to_string(count++));
  std::filesystem::create_directories(place / "config");
  std::ofstream(place / "config" / "mesh.yaml") << yaml;
  std::ofstream(place / "mesh-config.yaml") << mesh_config_text_;
}

Proxy Mesh::sidecar(const std::string& app, const std::string& namespace_, Labels more) const {
  return proxy(sidecar_node(app, namespace_, std::move(more)));
}

Proxy Mesh::gateway(int port, const std::string& namespace_) const {
  return proxy(gateway_node(namespace_), "http." + std::to_string(port));
}

Proxy Mesh::proxy(const resource::Node& node, std::string route_table) const {
  return Proxy(generation_->config_for(node), std::move(route_table));
}

resource::Node sidecar_node(const std::string& app, const std::string& namespace_, Labels more) {
  resource::Node node;
  node.kind = resource::Node::Kind::sidecar;
  node.name = app + "-0";
  node.namespace_ = namespace_;
  node.address = "10.9.9.9";
  node.addresses = {node.address};
  node.id =
      "sidecar~10.9.9.9~" + node.name + "." + namespace_ + "~" + namespace_ + ".svc.cluster.local";
  node.labels = std::move(more);
  node.labels.emplace("app", app);
  if (one_by_one()) {
    node.user_agent = "envoy 1.40.0";
    node.delta = true;
    node.vhds = true;
  }
  return node;
}

resource::Node gateway_node(const std::string& namespace_) {
  resource::Node node = sidecar_node("gateway", namespace_, {{"istio", "ingressgateway"}});
  node.kind = resource::Node::Kind::router;
  node.id = "router" + node.id.substr(node.id.find('~'));
  return node;
}

std::string app(const std::string& name, const std::vector<std::string>& versions,
                const std::string& namespace_, int port, const std::string& port_name) {
  unsigned number = 0;
  for (const char c : namespace_ + "/" + name)
    number = (number * 31 + static_cast<unsigned char>(c)) % 250;
  const std::string third = std::to_string(number + 1);
  const std::string p = std::to_string(port);
  std::string out = "---\napiVersion: v1\nkind: Service\nmetadata: {name: " + name +
                    ", namespace: " + namespace_ + "}\nspec:\n  clusterIP: 10.96." + third +
                    ".1\n  selector: {app: " + name + "}\n  ports: [{name: " + port_name +
                    ", port: " + p + ", targetPort: " + p + "}]\n";
  for (std::size_t i = 0; i < versions.size(); ++i) {
    Labels labels = labels_of(versions[i]);
    labels["app"] = name;
    const std::string ip = "10.1." + third + "." + std::to_string(i + 1);
    out += "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name + "-" + versions[i] +
           ", namespace: " + namespace_ + ", labels: " + labels_yaml(labels) +
           "}\nspec: {containers: [{name: app}]}\nstatus:\n" + "  phase: Running\n  podIP: " + ip +
           "\n  podIPs: [{ip: " + ip + "}]\n  conditions: [{type: Ready, status: \"True\"}]\n";
  }
  return out;
}

std::string subsets(const std::string& name, const std::vector<std::string>& versions,
                    const std::string& namespace_) {
  std::string out =
      "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: " + name +
      ", namespace: " + namespace_ + "}\nspec:\n  host: " + name + "\n  subsets:\n";
  for (const auto& version : versions) {
    out += "  - {name: " + version + ", labels: " + labels_yaml(labels_of(version)) + "}\n";
  }
  return out;
}

std::vector<Json> connection_managers(const Json& listener) {
  std::vector<Json> out;
  std::vector<Json> chains = listener.value("filter_chains", std::vector<Json>{});
  if (listener.contains("default_filter_chain")) chains.push_back(listener["default_filter_chain"]);
  for (const auto& chain : chains) {
    for (const auto& filter : chain.value("filters", Json::array())) {
      if (filter.value("name", "") == "envoy.filters.network.http_connection_manager") {
        out.push_back(filter["typed_config"]);
      }
    }
  }
  return out;
}

Json http_filter(const Json& listener, std::string_view name) {
  for (const auto& manager : connection_managers(listener)) {
    for (const auto& filter : manager.value("http_filters", Json::array())) {
      if (filter.value("name", "") == name) return filter.value("typed_config", Json::object());
    }
  }
  return {};
}

}  // namespace graymesh::feature
