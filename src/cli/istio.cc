#include "cli/istio.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cli/platform.h"
#include "model/model.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

bool is_ours(const json& object) {
  return text_at(object, "/metadata/labels/app.kubernetes.io~1managed-by") == "graymesh";
}

// Lower goes first.
int rank(const json& object) {
  const std::string word = text_at(object, "/metadata/labels/graymesh.io~1precedence");
  return word == "release" ? 0 : word == "default" ? 2 : 1;
}

std::string namespace_of(const json& object) { return text_at(object, "/metadata/namespace"); }

void drop_ours(json& metadata) {
  for (const char* field : {"annotations", "labels"}) {
    if (!metadata.contains(field)) continue;
    json kept = json::object();
    for (const auto& [name, value] : metadata[field].items()) {
      if (!name.starts_with("graymesh.io/")) kept[name] = value;
    }
    if (kept.empty()) {
      metadata.erase(field);
    } else {
      metadata[field] = std::move(kept);
    }
  }
}

std::vector<std::string> gateways_of(const json& object) {
  const json list = object["spec"].value("gateways", json::array({"mesh"}));
  std::vector<std::string> out;
  for (const auto& name : list) {
    std::string gateway = name.get<std::string>();
    if (gateway != "mesh" && gateway.find('/') == std::string::npos)
      gateway.insert(0, namespace_of(object) + "/");
    out.push_back(std::move(gateway));
  }
  return out;
}

// A host at a gateway, and the fragments that speak of it, in order of precedence.
using Cell = std::pair<std::string, std::string>;  // full host, gateway
using Fragments = std::vector<const json*>;

bool before(const json* a, const json* b) {
  const auto key = [](const json& object) {
    return std::tuple(rank(object), namespace_of(object), text_at(object, "/metadata/name"));
  };
  return key(*a) < key(*b);
}

// What only our own gateways understand (docs/translation.md 13.6): others would send it to
// browsers.
void drop_site(json& spec) {
  const auto http = spec.find("http");
  if (http == spec.end()) return;
  for (json& route : *http) {
    const json::json_pointer set("/headers/response/set");
    if (!route.contains(set)) continue;
    route[set].erase("x-graymesh-site");
    if (route[set].empty()) route["headers"]["response"].erase("set");
    if (route["headers"]["response"].empty()) route["headers"].erase("response");
    if (route["headers"].empty()) route.erase("headers");
  }
}

json merge(const Fragments& fragments, const std::set<std::string>& hosts,
           const std::set<std::string>& gateways) {
  // A whole object of one fragment keeps its own name.
  json out = *fragments.front();
  drop_ours(out["metadata"]);
  json& spec = out["spec"];
  spec["hosts"] = hosts;
  spec["gateways"] = gateways;
  for (std::size_t i = 1; i < fragments.size(); ++i) {
    for (const char* list : {"http", "tls", "tcp"}) {
      for (const json& route : (*fragments[i])["spec"].value(list, json::array()))
        spec[list].push_back(route);
    }
  }
  drop_site(spec);
  return out;
}

std::vector<json> merged_services(const json& services) {
  std::map<Cell, Fragments> cells;
  for (const json& service : services) {
    for (const auto& host : service["spec"].value("hosts", json::array())) {
      const std::string full = model::full_host(host.get<std::string>(), namespace_of(service));
      for (const std::string& gateway : gateways_of(service))
        cells[{full, gateway}].push_back(&service);
    }
  }
  // Hosts and gateways with the same fragments become one object, where they form a whole grid.
  std::map<Fragments, std::map<std::string, std::set<std::string>>>
      by_fragments;               // gateways of host
  std::set<const json*> touched;  // of a host that we write about
  for (auto& [cell, fragments] : cells) {
    std::ranges::sort(fragments, before);
    if (std::ranges::any_of(fragments, [](const json* one) { return is_ours(*one); }))
      touched.insert(fragments.begin(), fragments.end());
  }
  for (const auto& [cell, fragments] : cells) {
    if (touched.contains(fragments.front()))
      by_fragments[fragments][cell.first].insert(cell.second);
  }
  std::vector<json> out;
  for (const auto& [fragments, gateways_of_host] : by_fragments) {
    std::map<std::set<std::string>, std::set<std::string>> grids;  // hosts by gateways
    for (const auto& [host, gateways] : gateways_of_host) grids[gateways].insert(host);
    for (const auto& [gateways, hosts] : grids) out.push_back(merge(fragments, hosts, gateways));
  }
  return out;
}

std::vector<json> merged_rules(const json& rules) {
  std::map<std::string, Fragments> by_host;
  for (const json& rule : rules)
    by_host[model::full_host(text_at(rule, "/spec/host"), namespace_of(rule))].push_back(&rule);
  std::vector<json> out;
  for (auto& [host, fragments] : by_host) {
    if (std::ranges::none_of(fragments, [](const json* one) { return is_ours(*one); })) continue;
    // Ours carry no word of precedence: they name subsets that no team's has.
    std::ranges::sort(fragments, [](const json* a, const json* b) {
      return std::pair(!is_ours(*a), text_at(*a, "/metadata/name")) <
             std::pair(!is_ours(*b), text_at(*b, "/metadata/name"));
    });
    json one = *fragments.front();
    drop_ours(one["metadata"]);
    one["spec"]["host"] = host;
    for (std::size_t i = 1; i < fragments.size(); ++i) {
      for (const auto& [name, value] : (*fragments[i])["spec"].items()) {
        if (name == "subsets") {
          for (const json& subset : value) one["spec"]["subsets"].push_back(subset);
        } else if (!one["spec"].contains(name)) {
          one["spec"][name] = value;
        }
      }
    }
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace

json merged_for_istio(const json& virtual_services, const json& destination_rules) {
  std::vector<json> all = merged_rules(destination_rules);
  for (json& service : merged_services(virtual_services)) all.push_back(std::move(service));
  // Two grids of the same fragments would have one name.
  std::ranges::stable_sort(all, {}, [](const json& object) {
    return std::tuple(text_at(object, "/kind"), namespace_of(object),
                      text_at(object, "/metadata/name"));
  });
  std::set<std::tuple<std::string, std::string, std::string>> names;
  json out = json::array();
  for (json& object : all) {
    const std::string name = text_at(object, "/metadata/name");
    for (int number = 2; !names
                              .emplace(text_at(object, "/kind"), namespace_of(object),
                                       text_at(object, "/metadata/name"))
                              .second;
         ++number)
      object["metadata"]["name"] = name + "-" + std::to_string(number);
    out.push_back(std::move(object));
  }
  return out;
}

}  // namespace graymesh::cli
