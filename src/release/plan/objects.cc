// What stands in the mesh for every application: a Service, its Pods and EndpointSlice, a
// DestinationRule with a subset for each version, and VirtualServices: `<app>-release` with the
// ways into gray versions, which goes before what the team writes, and `<app>-default` with the
// shares of the rest, which goes after it. Gateways and mesh have one each, since only a browser
// has cookies.
#include <fmt/core.h>

#include <array>

#include "release/plan/routing.h"
#include "release/plan/yaml.h"

namespace graymesh::release {
namespace {

using Json = nlohmann::ordered_json;
using model::StringMatch;

constexpr std::string_view istio = "networking.istio.io/v1";
constexpr std::string_view site_header = "x-graymesh-site";

// A user's cookie for shares: long enough for any release.
constexpr std::string_view sticky_time = "720h";

Json match_json(const StringMatch& match) {
  switch (match.kind) {
    case StringMatch::Kind::exact:
      return {{"exact", match.value}};
    case StringMatch::Kind::prefix:
      return {{"prefix", match.value}};
    case StringMatch::Kind::regex:
      return {{"regex", match.value}};
    case StringMatch::Kind::present:
      return Json::object();
  }
  return Json::object();
}

Json of_way(const Way& way, const Name& app) {
  const model::HttpMatch match = http_match(way, app);
  Json out;
  out["name"] = match.name;
  for (const auto& [name, value] : match.headers) out["headers"][name] = match_json(value);
  for (const auto& [name, value] : match.without_headers)
    out["withoutHeaders"][name] = match_json(value);
  for (const auto& [name, value] : match.query_params) out["queryParams"][name] = match_json(value);
  for (const auto& [name, value] : match.source_labels) out["sourceLabels"][name] = value;
  if (match.scheme) out["scheme"] = match_json(*match.scheme);
  if (!match.source_namespace.empty()) out["sourceNamespace"] = match.source_namespace;
  return out;
}

// A connection that could not be made, or broke before anything was sent, is tried again elsewhere,
// whatever the method; one that broke afterwards only where the request may be done twice. So is a
// 503, as Istio does by default: it is what a living sidecar says of its dead application.
Json retries(bool repeat) {
  std::string on = "connect-failure,refused-stream,reset-before-request";
  if (repeat) on += ",reset,503";
  return {{"attempts", 3}, {"retryOn", on}, {"backoff", "2ms"}};
}

std::string methods(model::Application::Repeat repeat) {
  if (repeat == model::Application::Repeat::none) return {};
  const std::string safe = "GET|HEAD|OPTIONS|TRACE";
  return repeat == model::Application::Repeat::safe ? safe : safe + "|PUT|DELETE";
}

// Of the whole site. Over TLS also of requests that come from another site: a login elsewhere that
// posts its answer back. Without TLS browsers take no such cookie.
std::string set_cookie(const std::string& value, bool over_tls, std::string_view domain,
                       std::string_view more) {
  return fmt::format("{}={}; Path=/; {}{}{}{}", lane_header, value,
                     over_tls ? "SameSite=None; Secure" : "SameSite=Lax",
                     domain.empty() ? "" : "; Domain=", domain, more);
}

// As many other sites a route knows by name (32 of some 40 bytes in each route); with more of them
// the lane's cookie must have a domain.
constexpr std::size_t sites_max = 32;

class Writer {
 public:
  Writer(const World& world, const Application& app, const std::vector<Instance>& instances,
         std::map<std::string, std::string>& out)
      : world_(world), app_(app), instances_(instances), out_(out) {}

  void write() {
    write_service();
    write_pods();
    if (app_.spec().gateway) return;
    const Routing routes = routing(world_, app_);
    write_rule(routes);
    std::vector<std::string> hosts = {app_.name.name};
    write_virtual_services("-mesh", {"mesh"}, hosts, routes.mesh, routes, false);
    if (app_.spec().gateways.empty()) return;
    hosts.insert(hosts.end(), app_.spec().hosts.begin(), app_.spec().hosts.end());
    write_virtual_services("", app_.spec().gateways, hosts, routes.gateway, routes, true);
  }

 private:
  Json head(std::string_view api, std::string_view kind, const std::string& name) const {
    Json object;
    object["apiVersion"] = api;
    object["kind"] = kind;
    object["metadata"]["name"] = name;
    object["metadata"]["namespace"] = app_.name.namespace_;
    object["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "graymesh";
    return object;
  }

  void put(const Json& object) {
    const std::string key =
        fmt::format("{} {}/{}", object["kind"].get<std::string>(), app_.name.namespace_,
                    object["metadata"]["name"].get<std::string>());
    out_[key] = to_yaml(object);
  }

  void write_service() {
    Json service = head("v1", "Service", app_.name.name);
    service["metadata"]["labels"]["app"] = app_.name.name;
    for (const auto& [name, value] : app_.object->meta.labels)
      service["metadata"]["labels"][name] = value;
    service["spec"]["clusterIP"] = fmt::format("10.{}.{}.{}", 112 + (app_.number >> 16),
                                               (app_.number >> 8) & 255, app_.number & 255);
    service["spec"]["selector"]["app"] = app_.name.name;
    for (const auto& port : app_.spec().ports) {
      service["spec"]["ports"].push_back({{"name", port.name},
                                          {"port", port.number},
                                          {"targetPort", port.number},
                                          {"appProtocol", protocol_of(port)}});
    }
    put(service);
  }

  static std::string protocol_of(const model::ApplicationPort& port) {
    std::string lower;
    for (const char c : port.protocol)
      lower.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
    return lower;
  }

  void write_pods() {
    Json slice = head("discovery.k8s.io/v1", "EndpointSlice", app_.name.name + "-graymesh");
    slice["metadata"]["labels"]["kubernetes.io/service-name"] = app_.name.name;
    slice["addressType"] = "IPv4";
    for (const auto& port : app_.spec().ports)
      slice["ports"].push_back({{"name", port.name}, {"port", port.number}, {"protocol", "TCP"}});
    slice["endpoints"] = Json::array();
    for (const Instance& instance : instances_) {
      const auto label = instance.labels.find("app");
      if (instance.namespace_ != app_.name.namespace_ || label == instance.labels.end() ||
          label->second != app_.name.name || instance.address.empty())
        continue;
      write_pod(instance);
      const bool serves = instance.ready && !instance.leaving;
      slice["endpoints"].push_back(
          {{"addresses", {instance.address}},
           {"conditions",
            {{"ready", serves}, {"serving", instance.ready}, {"terminating", instance.leaving}}},
           {"targetRef",
            {{"kind", "Pod"}, {"name", instance.name}, {"namespace", instance.namespace_}}}});
    }
    put(slice);
  }

  void write_pod(const Instance& instance) {
    Json pod = head("v1", "Pod", instance.name);
    if (app_.spec().gateway)
      pod["metadata"]["annotations"]["inject.istio.io/templates"] = "gateway";
    for (const auto& [name, value] : instance.labels) pod["metadata"]["labels"][name] = value;
    // Its workload is then the application, as its sidecar says, and not this instance.
    pod["metadata"]["ownerReferences"] = Json::array({{{"apiVersion", "graymesh.io/v1alpha1"},
                                                       {"kind", "Application"},
                                                       {"name", app_.name.name},
                                                       {"controller", true}}});
    Json container = {{"name", app_.name.name}};
    for (const auto& port : app_.spec().ports)
      container["ports"].push_back({{"name", port.name}, {"containerPort", port.number}});
    pod["spec"]["containers"] = Json::array({container});
    pod["status"] = {
        {"phase", "Running"},
        {"podIP", instance.address},
        {"podIPs", Json::array({{{"ip", instance.address}}})},
        {"conditions",
         Json::array({{{"type", "Ready"}, {"status", instance.ready ? "True" : "False"}}})}};
    put(pod);
  }

  void write_rule(const Routing& routes) {
    Json rule = head(istio, "DestinationRule", app_.name.name + "-release");
    std::string fallback;
    rule["spec"]["host"] = app_.name.name;
    for (const SubsetOf& subset : routes.subsets) {
      Json labels;
      labels["stage"] = subset.name == baseline ? "normal" : "gray";
      if (subset.name != baseline) labels[std::string(lane_header)] = subset.name;
      labels["graymesh.io/revision"] = std::to_string(subset.revision);
      rule["spec"]["subsets"].push_back({{"name", subset.name}, {"labels", labels}});
      if (subset.falls_back)
        fallback += fmt::format("{}{}={}", fallback.empty() ? "" : ", ", subset.name, baseline);
    }
    if (!fallback.empty()) rule["metadata"]["annotations"]["graymesh.io/fallback"] = fallback;
    put(rule);
  }

  Json destination(const std::string& subset) const {
    return {{"host", app_.name.name}, {"subset", subset}};
  }

  // One route for what may be repeated, and one for the rest.
  void add_route(Json& routes, const std::string& name, const Json& match,
                 const Json& action) const {
    const std::string repeatable = methods(app_.spec().repeat);
    for (const bool repeat : {true, false}) {
      if (repeat && repeatable.empty()) continue;
      Json route;
      route["name"] = repeat ? name + "/repeatable" : name;
      Json only = match.is_null() ? Json::object() : match;
      if (repeat) only["method"] = {{"regex", repeatable}};
      if (!only.empty()) route["match"] = Json::array({only});
      for (const auto& [key, value] : action.items()) route[key] = value;
      if (action.contains("route")) route["retries"] = retries(repeat);
      routes.push_back(route);
      if (!action.contains("route")) return;  // nothing to repeat: one is enough
    }
  }

  Json way_action(const Way& way, bool gateway) const {
    Json action;
    if (way.to.empty()) {
      action["directResponse"] = {
          {"status", 503},
          {"body",
           {{"string", fmt::format("lane {} is strict and has no version of {} here\n", way.tag,
                                   app_.name.name)}}}};
      return action;
    }
    Json headers;
    if (way.set_header) headers["request"]["set"] = {{std::string(lane_header), way.tag}};
    // From the way in on, for applications that forward only this.
    if (gateway && way.baggage.empty())
      headers["request"]["add"] = {{"baggage", fmt::format("{}={}", lane_header, way.tag)}};
    if (way.set_cookie)
      headers["response"]["add"]["set-cookie"] =
          set_cookie(way.tag, way.over_tls, cookie_domain(), "");
    if (gateway) for_browsers(way, headers);
    if (!headers.is_null()) action["headers"] = headers;
    action["route"] = Json::array({{{"destination", destination(way.to)}}});
    return action;
  }

  // What is in a cache by the same URL is another lane's.
  void for_browsers(const Way& way, Json& headers) const {
    Json& response = headers["response"];
    response["set"][std::string(site_header)] = site(way.tag);
    if (way.set_cookie) {
      response["set"]["cache-control"] = "no-store";
      response["set"]["clear-site-data"] = "\"cache\"";
    } else if (!way.match.cookies.empty()) {
      response["add"]["vary"] = "Cookie";
    }
  }

  // What the gateway must know to mend a redirect (docs/translation.md 13.6). `lane` may be empty.
  std::string site(const std::string& lane) const {
    std::string ports;
    for (const auto& port : app_.spec().ports)
      ports += fmt::format("{}{}", ports.empty() ? "" : ",", port.number);
    const std::string domain = cookie_domain();
    std::string out =
        fmt::format("%REQ(:SCHEME)%://%REQ(:AUTHORITY)% {} {} {} {}", app_.name.namespace_, ports,
                    lane.empty() ? "-" : lane, domain.empty() ? "-" : domain);
    std::size_t sites = 0;
    const auto add = [&](const Application& app, bool own) {
      for (const std::string& host : app.spec().hosts) {
        if (host.find('*') != std::string::npos || (!own && is_below(host, domain))) continue;
        if (!own && ++sites > sites_max) return;
        out += fmt::format(" {}={}", app.name.name, host);
      }
    };
    add(app_, true);
    for (const auto& [name, app] : world_.applications) {
      if (name.namespace_ == app_.name.namespace_ && name != app_.name &&
          !app.spec().gateways.empty())
        add(app, false);
    }
    return out;
  }

  static bool is_below(const std::string& host, const std::string& domain) {
    return !domain.empty() && (host == domain || host.ends_with("." + domain));
  }

  // Empty also for an application with a host elsewhere: there browsers refuse the cookie.
  std::string cookie_domain() const {
    const auto environment = world_.environments.find(app_.name.namespace_);
    if (environment == world_.environments.end()) return {};
    const std::string& domain = environment->second.spec().cookie_domain;
    for (const std::string& host : app_.spec().hosts) {
      if (!is_below(host, domain)) return {};
    }
    return domain;
  }

  Json virtual_service(const std::string& name, std::string_view precedence,
                       const std::vector<std::string>& gateways,
                       const std::vector<std::string>& hosts) const {
    Json object = head(istio, "VirtualService", app_.name.name + "-" + name);
    object["metadata"]["labels"]["graymesh.io/precedence"] = precedence;
    object["spec"]["hosts"] = hosts;
    object["spec"]["gateways"] = gateways;
    return object;
  }

  void write_virtual_services(const std::string& suffix, const std::vector<std::string>& gateways,
                              const std::vector<std::string>& hosts, const std::vector<Way>& ways,
                              const Routing& routes, bool gateway) {
    if (!has_http(app_)) return write_tcp(suffix, gateways, hosts);
    if (!ways.empty()) {
      Json object = virtual_service("release" + suffix, "release", gateways, hosts);
      Json& http = object["spec"]["http"] = Json::array();
      if (gateway) add_leave(http);
      for (const Way& way : ways)
        add_route(http, way.name, of_way(way, app_.name), way_action(way, gateway));
      put(object);
    }
    Json object = virtual_service("default" + suffix, "default", gateways, hosts);
    if (gateway && routes.shares.size() > 1)
      object["metadata"]["annotations"]["graymesh.io/sticky"] =
          fmt::format("cookie={}; ttl={}; path=/", routes.sticky_cookie, sticky_time);
    Json action;
    for (const Share& share : routes.shares) {
      Json weighted = {{"destination", destination(share.to)}};
      if (routes.shares.size() > 1) weighted["weight"] = share.weight;
      action["route"].push_back(weighted);
    }
    if (gateway) action["headers"]["response"]["set"] = {{std::string(site_header), site("")}};
    Json& http = object["spec"]["http"] = Json::array();
    add_route(http, "default", {}, action);
    put(object);
  }

  // `?canarytag=none` takes a browser out of its lane.
  void add_leave(Json& http) const {
    Way way;
    way.name = "leave";
    way.without_header = true;
    way.set_cookie = true;
    way.match.query[std::string(lane_header)] = {.kind = StringMatch::Kind::exact, .value = "none"};
    Json action;
    action["headers"]["response"]["add"] = {
        {"set-cookie", set_cookie("", false, cookie_domain(), "; Max-Age=0")}};
    for_browsers(way, action["headers"]);
    action["route"] = Json::array({{{"destination", destination(std::string(baseline))}}});
    add_route(http, way.name, of_way(way, app_.name), action);
  }

  // Connections have no headers: only the baseline answers.
  void write_tcp(const std::string& suffix, const std::vector<std::string>& gateways,
                 const std::vector<std::string>& hosts) {
    Json object = virtual_service("default" + suffix, "default", gateways, hosts);
    for (const auto& port : app_.spec().ports) {
      object["spec"]["tcp"].push_back(
          {{"match", Json::array({{{"port", port.number}}})},
           {"route", Json::array({{{"destination", destination(std::string(baseline))}}})}});
    }
    put(object);
  }

  const World& world_;
  const Application& app_;
  const std::vector<Instance>& instances_;
  std::map<std::string, std::string>& out_;
};

}  // namespace

std::map<std::string, std::string> objects(const World& world,
                                           const std::vector<Instance>& instances) {
  std::map<std::string, std::string> out;
  for (const auto& [name, app] : world.applications) {
    if (!app.leaving) Writer(world, app, instances, out).write();
  }
  return out;
}

}  // namespace graymesh::release
