// Files for Prometheus and Alertmanager on one machine. Three Prometheus, as in a cluster:
//
//   data plane      every sidecar's page (by graymeshd's HTTP SD), graymeshd; all our rules
//   infrastructure  the Prometheus, the Alertmanager, what targets/infrastructure/ names
//   business        what targets/business/ names, the mesh's shares by service, federated
//
// With `one` a single Prometheus does all three.
#include <fmt/core.h>

#include <algorithm>

#include "monitoring/alertmanager.h"
#include "monitoring/relabel.h"
#include "monitoring/rules.h"

namespace graymesh::monitoring {
namespace {

std::string address(const Description& description, std::uint16_t at) {
  return fmt::format("{}:{}", description.prometheus, description.first_port + at);
}

Json fixed(const std::string& job, std::vector<std::string> targets) {
  return {{"job_name", job}, {"static_configs", {{{"targets", std::move(targets)}}}}};
}

Json from_files(const std::string& job, const std::string& folder) {
  return {{"job_name", job},
          {"file_sd_configs",
           {{{"files", {"targets/" + folder + "/*.yml", "targets/" + folder + "/*.json"}}}}}};
}

Json data_plane_jobs(const Description& description) {
  const std::string graymeshd = "http://" + description.graymeshd;
  // A new sidecar is found within an interval or two, and never asked for more than once a second.
  const auto refresh = std::max(description.interval, std::chrono::milliseconds(1000));
  Json sidecars = {
      {"job_name", "graymesh-sidecars"},
      {"metrics_path", "/stats/prometheus"},
      {"http_sd_configs",
       {{{"url", graymeshd + "/api/v1/prometheus/sidecars"}, {"refresh_interval", text(refresh)}}}},
      {"metric_relabel_configs", to_json(metrics_of_sidecars(description), Spelling::prometheus)}};
  // A page of 1 MB is 4,000 series; a proxy that has ten times as many is misconfigured.
  sidecars["sample_limit"] = 50'000;
  return Json::array({std::move(sidecars), fixed("graymeshd", {description.graymeshd})});
}

Json infrastructure_jobs(const Description& description) {
  std::vector<std::string> servers;
  const std::uint16_t count = description.one ? 1 : 3;
  for (std::uint16_t i = 0; i < count; ++i) servers.push_back(address(description, i));
  return Json::array({fixed("prometheus", std::move(servers)),
                      fixed("alertmanager", {description.alertmanager}),
                      from_files("infrastructure", "infrastructure")});
}

Json business_jobs(const Description& description) {
  Json jobs = Json::array({from_files("business", "business")});
  if (description.one) return jobs;
  Json federate = fixed("mesh", {address(description, 0)});
  federate["metrics_path"] = "/federate";
  federate["honor_labels"] = true;
  federate["params"] = {{"match[]", {by_service_series}}};
  jobs.push_back(std::move(federate));
  return jobs;
}

Json prometheus(const Description& description, const std::string& name, Json jobs,
                const std::vector<std::string>& rules) {
  Json out = {
      {"global",
       {{"scrape_interval", text(description.interval)},
        {"scrape_timeout", text(std::min(description.interval, std::chrono::milliseconds(10'000)))},
        {"evaluation_interval", text(description.interval)},
        {"external_labels", {{"prometheus", name}}}}}};
  Json files = Json::array();
  for (const auto& rule : rules) files.push_back("rules/" + rule + ".yml");
  out["rule_files"] = std::move(files);
  // Which of three Prometheus saw it must not make three alerts of one.
  out["alerting"] = {
      {"alert_relabel_configs", {{{"regex", "prometheus"}, {"action", "labeldrop"}}}},
      {"alertmanagers", {{{"static_configs", {{{"targets", {description.alertmanager}}}}}}}}};
  out["scrape_configs"] = std::move(jobs);
  Json writes = Json::array();
  for (const auto& url : description.remote_write) writes.push_back({{"url", url}});
  if (!writes.empty()) out["remote_write"] = std::move(writes);
  return out;
}

}  // namespace

Files plain(const Description& description) {
  Files out;
  if (description.one) {
    Json jobs = data_plane_jobs(description);
    for (auto more : {infrastructure_jobs(description), business_jobs(description)}) {
      for (Json& job : more) jobs.push_back(std::move(job));
    }
    out.emplace_back("prometheus.yml", prometheus(description, "all", std::move(jobs),
                                                  {"data-plane", "infrastructure"}));
  } else {
    out.emplace_back(
        "prometheus-data-plane.yml",
        prometheus(description, "data-plane", data_plane_jobs(description), {"data-plane"}));
    out.emplace_back("prometheus-infrastructure.yml",
                     prometheus(description, "infrastructure", infrastructure_jobs(description),
                                {"infrastructure"}));
    out.emplace_back("prometheus-business.yml",
                     prometheus(description, "business", business_jobs(description), {}));
  }
  for (auto& [name, rules] : rule_files(description))
    out.emplace_back("rules/" + name + ".yml", rules);
  out.emplace_back("alertmanager.yml", alertmanager(description));
  return out;
}

}  // namespace graymesh::monitoring
