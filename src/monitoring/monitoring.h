// What watches a mesh, as files: Prometheus' scrapes, rules and alerts, Alertmanager's routes,
// Grafana's dashboards. Pure functions from a small description to JSON values, which YAML writes
// down as well.
//
//   Description ─┬─> plain()      prometheus.yml, rules/*.yml, alertmanager.yml
//                ├─> operator_objects()  the same for the prometheus-operator
//                └─> dashboards()        Grafana's JSON
//
// Envoy names its series otherwise than our rules do. relabel.cc renames them at the scrape, one to
// one, so that nothing is counted twice; docs/monitoring.md has the names.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace graymesh::monitoring {

using Json = nlohmann::ordered_json;

// What one service promises its callers over 30 days.
struct Slo {
  std::string namespace_ = {}, service = {};
  double availability = 0;                               // percent of answers that are not 5xx
  std::optional<std::chrono::milliseconds> threshold{};  // a bucket of Envoy's histogram
  double target = 99;                                    // percent of answers within `threshold`

  bool operator==(const Slo&) const = default;
};

struct Description {
  std::vector<Slo> slos = {};
  std::chrono::milliseconds interval = std::chrono::seconds(15);  // between two scrapes
  // Multiplies how long a condition must hold before an alert fires: below 1 to try things out.
  double patience = 1;
  // Where docs/runbooks.md is to be read: a URL, or from the root of this repository.
  std::string runbooks = "docs/runbooks.md";
  std::string quiet_namespaces = "fe-pre|.+-pre";  // regex: their alerts wake nobody
  // Subsets that are a service's baseline beside `baseline` (regex); every other is a canarytag.
  std::string baseline_subsets = "base|stable|normal|prod|default";
  std::string pager = {}, tickets = {};  // URLs of web hooks; empty: shown by Alertmanager alone
  std::vector<std::string> remote_write = {};  // URLs, all get everything
  std::uint32_t shards = 1;                    // of the data plane's Prometheus

  // Plain files only.
  std::string graymeshd = "127.0.0.1:15014";
  std::string alertmanager = "127.0.0.1:9093";
  std::string prometheus = "127.0.0.1";  // where the three listen, from `first_port` on
  std::uint16_t first_port = 9090;
  bool one = false;  // one Prometheus instead of three
  // Kubernetes only.
  std::string namespace_ = "monitoring";
};

// By file name, in the order to be written; names end in .yml, .yaml or .json.
using Files = std::vector<std::pair<std::string, Json>>;

Files plain(const Description& description);
Files operator_objects(const Description& description);
// "dashboards/mesh.json", ...
Files dashboards();

// As YAML for people: keys in their order, texts of several lines as blocks.
std::string to_yaml(const Json& value);

// Every alert's name; each has a heading in docs/runbooks.md.
std::vector<std::string> alert_names();

}  // namespace graymesh::monitoring
