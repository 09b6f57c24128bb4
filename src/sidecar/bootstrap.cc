// Envoy's bootstrap: who the node is, where its control planes are, and the few things that must
// exist before any configuration arrives (admin, statistics page, limits). All else comes by xDS.
//
// Checked by hand against Envoy 1.40 and by `envoy --mode validate` in bootstrap_peer_test.cc.
#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/json.h"
#include "sidecar/bootstrap_stats.h"
#include "sidecar/sidecar.h"

namespace graymesh::sidecar {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* type_prefix = "type.googleapis.com/";

struct Endpoint {
  std::string host;
  std::uint16_t port = 0;
};

bool is_ip(const std::string& host) {
  unsigned char bytes[sizeof(in6_addr)];
  return ::inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

// One of many: of IPv6 there is but ::1, which is the kernel's choice anyway.
bool has_own_loopback(const Identity& identity) { return identity.address.starts_with("127."); }

// host:port or [v6]:port.
std::optional<Endpoint> parse_endpoint(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (host.empty() || port == 0 || error != std::errc{} || end != digits.data() + digits.size()) {
    return std::nullopt;
  }
  return Endpoint{std::string(host), port};
}

Json socket_address(const std::string& host, std::uint16_t port) {
  return {{"socket_address", {{"address", host}, {"port_value", port}}}};
}

Json load_assignment(const std::string& cluster, const std::vector<Endpoint>& endpoints) {
  Json hosts = Json::array();
  for (const Endpoint& endpoint : endpoints) {
    hosts.push_back({{"endpoint", {{"address", socket_address(endpoint.host, endpoint.port)}}}});
  }
  return {{"cluster_name", cluster}, {"endpoints", {{{"lb_endpoints", std::move(hosts)}}}}};
}

std::vector<std::string> faults_of(const Identity& identity, const BootstrapOptions& options) {
  std::vector<std::string> faults;
  const auto need = [&](bool holds, std::string fault) {
    if (!holds) faults.push_back(std::move(fault));
  };
  need(is_ip(identity.address), fmt::format("address {:?}: must be an IP", identity.address));
  need(identity.app_address.empty() || is_ip(identity.app_address),
       fmt::format("app_address {:?}: must be an IP", identity.app_address));
  for (const auto& [field, value] :
       {std::pair{"name", &identity.name}, std::pair{"namespace", &identity.namespace_}}) {
    need(!value->empty() && value->find('~') == std::string::npos,
         fmt::format("{} {:?}: must not be empty or contain '~'", field, *value));
  }
  const auto& mode = identity.interception_mode;
  need(mode == "NONE" || mode == "REDIRECT" || mode == "TPROXY",
       fmt::format("interception mode {:?}: must be NONE, REDIRECT or TPROXY", mode));
  need(!options.control_planes.empty(), "control planes: at least one is needed");
  for (const auto& text : options.control_planes) {
    need(parse_endpoint(text).has_value(),
         fmt::format("control plane {:?}: must be host:port", text));
  }
  need(options.ports.admin != 0, "admin port 0: must be 1 to 65535");
  return faults;
}

Json metadata_of(const Identity& identity, const BootstrapOptions& options) {
  const Ports& ports = options.ports;
  const std::string workload = workload_of(identity);
  Json metadata = {
      {"NAME", identity.name},
      {"NAMESPACE", identity.namespace_},
      {"WORKLOAD_NAME", workload},
      {"OWNER", fmt::format("kubernetes://apis/apps/v1/namespaces/{}/deployments/{}",
                            identity.namespace_, workload)},
      {"SERVICE_ACCOUNT", identity.service_account},
      {"LABELS", Json::object()},
      {"INSTANCE_IPS", identity.address},
      {"INTERCEPTION_MODE", identity.interception_mode},
      {"CLUSTER_ID", identity.cluster_id},
      {"MESH_ID", identity.mesh_id},
      {"DNS_DOMAIN", fmt::format("{}.svc.{}", identity.namespace_, identity.dns_domain)},
      {"PILOT_SAN", {"istiod.istio-system.svc"}},
      {"ENVOY_STATUS_PORT", ports.readiness},
      {"ENVOY_PROMETHEUS_PORT", ports.stats},
      // It has the cluster that a log of requests may be sent to (docs/translation.md 13.5).
      {"GRAYMESH_LANE_LOG", "xds-grpc"},
  };
  // What it counts is kept (bootstrap_stats.cc), and Envoy 1.40 has the logger that counts it.
  if (options.request_metrics) metadata["GRAYMESH_REQUEST_METRICS"] = "stats";
  if (options.vhds) metadata["GRAYMESH_VHDS"] = *options.vhds ? "on" : "off";
  for (const auto& [key, value] : identity.labels) metadata["LABELS"][key] = value;
  for (const auto& [key, value] : identity.annotations) metadata["ANNOTATIONS"][key] = value;
  if (!identity.network.empty()) metadata["NETWORK"] = identity.network;
  if (!identity.node_name.empty()) metadata["NODE_NAME"] = identity.node_name;
  if (identity.http_proxy_port != 0) {
    metadata["HTTP_PROXY_PORT"] = std::to_string(identity.http_proxy_port);  // a string in Istio
  }
  if (identity.type == Identity::Type::sidecar && identity.interception_mode == "NONE") {
    std::string app = identity.app_address;
    if (app.empty()) app = loopback_twin(identity.address);
    if (app.empty()) app = identity.address;
    metadata["APP_ADDRESS"] = app;
  }
  return metadata;
}

Json node_of(const Identity& identity, const BootstrapOptions& options) {
  Json metadata = metadata_of(identity, options);
  Json node = {{"id", node_id(identity)},
               {"cluster", fmt::format("{}.{}", metadata["WORKLOAD_NAME"].get<std::string>(),
                                       identity.namespace_)}};
  Json locality = Json::object();
  std::string_view rest = identity.locality;
  for (const char* part : {"region", "zone", "sub_zone"}) {
    const auto slash = rest.find('/');
    if (const auto name = rest.substr(0, slash); !name.empty()) locality[part] = name;
    rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
  }
  if (!locality.empty()) node["locality"] = std::move(locality);
  node["metadata"] = std::move(metadata);
  return node;
}

Json dynamic_resources(const BootstrapOptions& options) {
  // 0 s: wait for the control plane for as long as it takes. With Envoy's 15 s a proxy that cannot
  // reach it would call itself live with no configuration at all.
  const Json over_ads = {
      {"ads", Json::object()}, {"resource_api_version", "V3"}, {"initial_fetch_timeout", "0s"}};
  return {
      {"ads_config",
       {{"api_type", options.delta ? "DELTA_GRPC" : "GRPC"},
        {"transport_api_version", "V3"},
        {"set_node_on_first_message_only", true},
        {"grpc_services",
         {{{"envoy_grpc",
            {{"cluster_name", "xds-grpc"},
             // Envoy's own 0.5 s to 30 s leaves a proxy alone for half a minute after a restart.
             {"retry_policy",
              {{"retry_back_off", {{"base_interval", "0.1s"}, {"max_interval", "1s"}}}}}}}}}}}},
      {"cds_config", over_ads},
      {"lds_config", over_ads},
  };
}

// Where connections to the control plane come from, and when the kernel gives them up: what is sent
// and not acknowledged for 5 s (TCP_USER_TIMEOUT), where Linux would try for a quarter of an hour.
Json xds_bind_config(const Identity& identity, bool local) {
  Json config = {{"socket_options",
                  {{{"description", "TCP_USER_TIMEOUT"},
                    {"level", IPPROTO_TCP},
                    {"name", TCP_USER_TIMEOUT},
                    {"int_value", 5000},
                    {"state", "STATE_PREBIND"}}}}};
  if (has_own_loopback(identity)) {
    // A socket bound to loopback reaches no other machine, so cluster_manager's binding is undone.
    config["source_address"] = {{"address", local ? identity.address : "0.0.0.0"},
                                {"port_value", 0}};
  }
  return config;
}

// A dead control plane is noticed in some 4 s by HTTP/2 pings (sooner if its machine says so); TCP
// keepalive is for the idle rest.
//
// Of several, the one that failed is tried last: the stream is the only one that the main thread
// balances, so taking turns means just that. Nothing else is remembered. Outlier detection would
// pass over the one that is back when the next one fails; health checks would keep a connection of
// each proxy to each replica (docs/envoy.md 4).
Json xds_cluster(const Identity& identity, const std::vector<Endpoint>& control_planes) {
  const bool names = std::any_of(control_planes.begin(), control_planes.end(),
                                 [](const Endpoint& e) { return !is_ip(e.host); });
  const bool local = std::all_of(control_planes.begin(), control_planes.end(),
                                 [](const Endpoint& e) { return is_loopback(e.host); });
  Json cluster = {
      {"name", "xds-grpc"},
      {"type", names ? "STRICT_DNS" : "STATIC"},
      {"connect_timeout", "1s"},
      {"lb_policy", "ROUND_ROBIN"},
      {"load_assignment", load_assignment("xds-grpc", control_planes)},
      {"typed_extension_protocol_options",
       {{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
         {{"@type",
           fmt::format("{}envoy.extensions.upstreams.http.v3.HttpProtocolOptions", type_prefix)},
          {"explicit_http_config",
           {{"http2_protocol_options",
             {{"connection_keepalive", {{"interval", "1s"}, {"timeout", "3s"}}}}}}}}}}},
      {"upstream_connection_options",
       {{"tcp_keepalive",
         {{"keepalive_time", 30}, {"keepalive_interval", 3}, {"keepalive_probes", 5}}}}},
      {"circuit_breakers",
       {{"thresholds",
         {{{"priority", "DEFAULT"},
           {"max_connections", 100000},
           {"max_pending_requests", 100000},
           {"max_requests", 100000}}}}}},
  };
  cluster["upstream_bind_config"] = xds_bind_config(identity, local);
  return cluster;
}

// What graymeshd asks for (control/gather): answers by code, latencies and retries of clusters, and
// answers and latencies of what the instance received. In names as Envoy's admin filters them:
//   ^(cluster\.outbound\|[^;]*;\.upstream_rq_([1-5][0-9x][0-9x]|retry|time)|
//     http\.inbound_[^;]*;\.downstream_rq_([1-5]xx|time)|server\.uptime)$
constexpr const char* figures =
    "/stats?format=json&usedonly&histogram_buckets=detailed&filter=%5E(cluster%5C.outbound%5C%7C"
    "%5B%5E%3B%5D*%3B%5C.upstream_rq_(%5B1-5%5D%5B0-9x%5D%5B0-9x%5D%7Cretry%7Ctime)%7C"
    "http%5C.inbound_%5B%5E%3B%5D*%3B%5C.downstream_rq_(%5B1-5%5Dxx%7Ctime)%7Cserver%5C.uptime)%24";

// :15090/stats/prometheus and /stats/figures, and nothing else of the admin. Only what was ever
// moved: a cluster that was never called is no news, and 3,360 of them are 2 MB. Who asks with a
// query of his own gets what he asks for.
Json stats_routes() {
  const char* page = "/stats/prometheus";
  Json routes = Json::array();
  routes.push_back({{"match", {{"path", "/stats/figures"}}},
                    {"route", {{"cluster", "prometheus_stats"}, {"prefix_rewrite", figures}}}});
  for (const char* parameter : {"usedonly", "filter", "text_readouts", "histogram_buckets"}) {
    routes.push_back(
        {{"match",
          {{"path", page}, {"query_parameters", {{{"name", parameter}, {"present_match", true}}}}}},
         {"route", {{"cluster", "prometheus_stats"}}}});
  }
  routes.push_back(
      {{"match", {{"path", page}}},
       {"route",
        {{"cluster", "prometheus_stats"}, {"prefix_rewrite", fmt::format("{}?usedonly&", page)}}}});
  return routes;
}

Json stats_listener(const Identity& identity, const Ports& ports) {
  const Json manager = {
      {"@type", fmt::format("{}envoy.extensions.filters.network.http_connection_manager.v3."
                            "HttpConnectionManager",
                            type_prefix)},
      {"stat_prefix", "stats"},
      {"route_config",
       {{"virtual_hosts",
         {{{"name", "backend"}, {"domains", {"*"}}, {"routes", stats_routes()}}}}}},
      {"http_filters",
       {{{"name", "envoy.filters.http.router"},
         {"typed_config",
          {{"@type",
            fmt::format("{}envoy.extensions.filters.http.router.v3.Router", type_prefix)}}}}}},
  };
  return {{"name", "stats"},
          {"address", socket_address(identity.address, ports.stats)},
          {"ignore_global_conn_limit", true},
          {"filter_chains",
           {{{"filters",
              {{{"name", "envoy.filters.network.http_connection_manager"},
                {"typed_config", manager}}}}}}}};
}

Json static_resources(const Identity& identity, const BootstrapOptions& options) {
  std::vector<Endpoint> control_planes;
  for (const auto& text : options.control_planes) control_planes.push_back(*parse_endpoint(text));
  Json resources = {{"clusters", {xds_cluster(identity, control_planes)}}};
  if (options.ports.stats != 0) {
    resources["clusters"].push_back(
        {{"name", "prometheus_stats"},
         {"type", "STATIC"},
         {"connect_timeout", "0.25s"},
         {"load_assignment",
          load_assignment("prometheus_stats", {{admin_address(identity), options.ports.admin}})}});
    resources["listeners"] = {stats_listener(identity, options.ports)};
  }
  return resources;
}

// Counters of requests that nothing moved between two of these times are taken away: versions come
// and go, and a gateway, which lives for months, would keep those of all that ever were. A multiple
// of Envoy's 5 s between flushes. Nothing else in Envoy is taken away by it.
constexpr const char* forgets_requests_every = "21600s";  // 6 h

Json compose(const Identity& identity, const BootstrapOptions& options) {
  Json result = {
      {"node", node_of(identity, options)},
      {"admin",
       {{"address", socket_address(admin_address(identity), options.ports.admin)},
        {"ignore_global_conn_limit", true}}},
      {"dynamic_resources", dynamic_resources(options)},
      {"static_resources", static_resources(identity, options)},
      {"stats_config", bootstrap_stats(options.all_stats)},
      // A cluster's statistics are made when its first request comes: most clusters of a large mesh
      // are never called by this proxy.
      {"deferred_stat_options", {{"enable_deferred_creation_stats", true}}},
      // Envoy refuses a whole route table for one regex of RE2 program size over 100, which a
      // handful of alternatives reaches. Istio's bootstrap allows as much.
      {"layered_runtime",
       {{"layers",
         {{{"name", "graymesh"}, {"static_layer", {{"re2.max_program_size.error_level", 32768}}}},
          // graymeshd says here how many requests it is to be told of (graymesh.tap).
          {{"name", "admin"}, {"admin_layer", Json::object()}}}}}},
      // A bound, far above what one proxy carries; without one Envoy warns that it is missing.
      {"overload_manager",
       {{"resource_monitors",
         {{{"name", "envoy.resource_monitors.global_downstream_max_connections"},
           {"typed_config",
            {{"@type", fmt::format("{}envoy.extensions.resource_monitors.downstream_connections.v3."
                                   "DownstreamConnectionsConfig",
                                   type_prefix)},
             {"max_active_downstream_connections", 1000000}}}}}}}},
  };
  if (options.request_metrics) result["stats_eviction_interval"] = forgets_requests_every;
  if (has_own_loopback(identity)) {
    // Peers see the instance; the kernel's own choice would be 127.0.0.1 for everyone.
    result["cluster_manager"]["upstream_bind_config"]["source_address"] = {
        {"address", identity.address}, {"port_value", 0}};
  }
  return result;
}

}  // namespace

Result<std::string> bootstrap(const Identity& identity, const BootstrapOptions& options) {
  if (const auto faults = faults_of(identity, options); !faults.empty()) {
    std::string message = fmt::format("proxy {}.{}", identity.name, identity.namespace_);
    for (const auto& fault : faults)
      message += fmt::format("{} {}", &fault == &faults[0] ? ":" : ";", fault);
    return Error{Code::invalid_argument, std::move(message)};
  }
  // Bytes that are not UTF-8 (a label from a foreign file) become U+FFFD instead of an exception.
  return compose(identity, options).dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace graymesh::sidecar
