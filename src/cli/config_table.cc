#include "cli/config_table.h"

#include <fmt/core.h>

#include "base/json.h"
#include "cli/table.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

// The value at a path of keys; null where any step is missing or no object.
const json& at(const json& value, std::initializer_list<const char*> path) {
  static const json none;
  const json* here = &value;
  for (const char* key : path) {
    const auto found = here->is_object() ? here->find(key) : here->end();
    if (!here->is_object() || found == here->end()) return none;
    here = &*found;
  }
  return *here;
}

std::string text(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_null() ? "" : value.dump();
}

// "outbound|8080|feature-a|web.fe-pre.svc.cluster.local" in its four parts; one part if it is no
// such name.
Row name_parts(const std::string& name) {
  Row parts;
  std::size_t begin = 0;
  for (std::size_t bar = name.find('|'); bar != std::string::npos; bar = name.find('|', begin)) {
    parts.push_back(name.substr(begin, bar - begin));
    begin = bar + 1;
  }
  parts.push_back(name.substr(begin));
  return parts.size() == 4 ? parts : Row{name};
}

// ".../namespaces/fe-pre/virtual-service/web" as "web.fe-pre".
std::string origin(const json& metadata) {
  std::string path = text(at(metadata, {"filter_metadata", "istio", "config"}));
  const auto name = path.rfind('/');
  const auto namespaces = path.find("/namespaces/");
  if (name == std::string::npos || namespaces == std::string::npos) return path;
  const auto begin = namespaces + std::string_view("/namespaces/").size();
  return fmt::format("{}.{}", path.substr(name + 1),
                     path.substr(begin, path.find('/', begin) - begin));
}

std::string clusters(const json& config) {
  std::vector<Row> rows;
  for (const auto& one : at(config, {"dynamic_active_clusters"})) {
    const json& cluster = at(one, {"cluster"});
    const std::string name = text(at(cluster, {"name"}));
    const Row parts = name_parts(name);
    const json& type = at(cluster, {"type"});
    const std::string kind = type.is_null() ? "STATIC" : text(type);
    if (parts.size() == 4) {
      rows.push_back({parts[3].empty() ? "-" : parts[3], parts[1],
                      parts[2].empty() ? "-" : parts[2], parts[0], kind,
                      origin(at(cluster, {"metadata"}))});
    } else {
      rows.push_back({name, "-", "-", "-", kind, ""});
    }
  }
  return table({"SERVICE", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE"}, rows);
}

std::string address(const json& socket) {
  if (socket.is_null()) return "-";
  return fmt::format("{}:{}", text(at(socket, {"address"})), text(at(socket, {"port_value"})));
}

std::string endpoints(const json& config) {
  std::vector<Row> rows;
  for (const auto& one : at(config, {"dynamic_endpoint_configs"})) {
    const json& assignment = at(one, {"endpoint_config"});
    const std::string cluster = text(at(assignment, {"cluster_name"}));
    bool any = false;
    for (const auto& locality : at(assignment, {"endpoints"})) {
      for (const auto& endpoint : at(locality, {"lb_endpoints"})) {
        const json& status = at(endpoint, {"health_status"});
        rows.push_back({address(at(endpoint, {"endpoint", "address", "socket_address"})),
                        status.is_null() ? "HEALTHY" : text(status), cluster});
        any = true;
      }
    }
    if (!any) rows.push_back({"(none)", "-", cluster});
  }
  return table({"ENDPOINT", "STATUS", "CLUSTER"}, rows);
}

// What a filter chain does, in a word: the route table it asks, or the cluster it goes to.
std::string chain_target(const json& chain) {
  for (const auto& filter : at(chain, {"filters"})) {
    const json& config = at(filter, {"typed_config"});
    const std::string route = text(at(config, {"rds", "route_config_name"}));
    if (!route.empty()) return "route " + route;
    const std::string inline_route = text(at(config, {"route_config", "name"}));
    if (!inline_route.empty()) return "inline " + inline_route;
    const std::string cluster = text(at(config, {"cluster"}));
    if (!cluster.empty()) return "cluster " + cluster;
    if (!at(config, {"weighted_clusters"}).is_null()) return "weighted clusters";
  }
  return "-";
}

std::string listeners(const json& config) {
  std::vector<Row> rows;
  for (const auto& one : at(config, {"dynamic_listeners"})) {
    const json& listener = at(one, {"active_state", "listener"});
    const std::string name = text(at(listener, {"name"}));
    const std::string bound = address(at(listener, {"address", "socket_address"}));
    const auto add = [&](const json& chain, const std::string& match) {
      rows.push_back({bound, name, match, chain_target(chain)});
    };
    for (const auto& chain : at(listener, {"filter_chains"})) {
      const json& match = at(chain, {"filter_chain_match"});
      add(chain, match.is_null() || match.empty() ? "ALL" : match.dump());
    }
    const json& last = at(listener, {"default_filter_chain"});
    if (!last.is_null()) add(last, "DEFAULT");
    const json& api = at(listener, {"api_listener", "api_listener"});
    if (!api.is_null())
      rows.push_back({"api", name, "ALL", "route " + text(at(api, {"rds", "route_config_name"}))});
  }
  return table({"ADDRESS", "LISTENER", "MATCH", "DESTINATION"}, rows);
}

std::string match_of(const json& match) {
  std::string out;
  for (const char* kind : {"prefix", "path", "path_separated_prefix"}) {
    const json& path = at(match, {kind});
    if (!path.is_null()) out = text(path) + (std::string_view(kind) == "path" ? "" : "*");
  }
  const json& regex = at(match, {"safe_regex", "regex"});
  if (!regex.is_null()) out = "~" + text(regex);
  for (const auto& header : at(match, {"headers"})) {
    const json& string = at(header, {"string_match"});
    std::string want = "present";
    for (const char* kind : {"exact", "prefix"}) {
      if (!at(string, {kind}).is_null())
        want = text(at(string, {kind})) + (std::string_view(kind) == "prefix" ? "*" : "");
    }
    if (!at(string, {"safe_regex"}).is_null())
      want = "~" + text(at(string, {"safe_regex", "regex"}));
    const bool inverted = at(header, {"invert_match"}) == true;
    out += fmt::format(" {}{}={}", inverted ? "not " : "", text(at(header, {"name"})), want);
  }
  for (const auto& parameter : at(match, {"query_parameters"}))
    out += " ?" + text(at(parameter, {"name"}));
  return out;
}

std::string target_of(const json& route) {
  const json& action = at(route, {"route"});
  if (!at(route, {"redirect"}).is_null()) return "redirect";
  if (!at(route, {"direct_response"}).is_null())
    return "answers " + text(at(route, {"direct_response", "status"}));
  if (!at(action, {"cluster"}).is_null()) return text(at(action, {"cluster"}));
  std::string out;
  for (const auto& cluster : at(action, {"weighted_clusters", "clusters"})) {
    out += fmt::format("{}{} ({})", out.empty() ? "" : ", ", text(at(cluster, {"name"})),
                       text(at(cluster, {"weight"})));
  }
  return out.empty() ? "-" : out;
}

// One that came by itself has its table's name before its own.
std::string host_of(const json& host, const std::string& table) {
  std::string name = text(at(host, {"name"}));
  return name.starts_with(table + "/") ? name.substr(table.size() + 1) : name;
}

std::string routes(const json& config) {
  std::vector<Row> rows;
  for (const auto& one : at(config, {"dynamic_route_configs"})) {
    const json& routing = at(one, {"route_config"});
    for (const auto& host : at(routing, {"virtual_hosts"})) {
      for (const auto& route : at(host, {"routes"})) {
        const std::string table = text(at(routing, {"name"}));
        rows.push_back({table, host_of(host, table), match_of(at(route, {"match"})),
                        target_of(route), origin(at(route, {"metadata"}))});
      }
    }
  }
  return table({"ROUTE TABLE", "VIRTUAL HOST", "MATCH", "DESTINATION", "VIRTUAL SERVICE"}, rows);
}

}  // namespace

std::string config_tables(const json& dump) {
  std::string out;
  for (const auto& config : at(dump, {"configs"})) {
    const std::string type = text(at(config, {"@type"}));
    if (!out.empty()) out += '\n';
    if (type.ends_with("ClustersConfigDump")) out += clusters(config);
    if (type.ends_with("EndpointsConfigDump")) out += endpoints(config);
    if (type.ends_with("ListenersConfigDump")) out += listeners(config);
    if (type.ends_with("RoutesConfigDump")) out += routes(config);
  }
  return out;
}

}  // namespace graymesh::cli
