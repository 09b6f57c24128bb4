// The same as objects of the prometheus-operator (monitoring.coreos.com): three Prometheus, an
// Alertmanager, and what they select by the label `monitoring`.
//
//   data-plane      PodMonitor graymesh-sidecars, ServiceMonitor graymeshd
//   infrastructure  monitors of kubelet, nodes, kube-state-metrics: the operator's own
//   business        monitors of the teams, in every namespace
#include <fmt/core.h>

#include "monitoring/alertmanager.h"
#include "monitoring/relabel.h"
#include "monitoring/rules.h"

namespace graymesh::monitoring {
namespace {

constexpr const char* planes[] = {"data-plane", "infrastructure", "business"};

Json object(const Description& description, const char* version, const char* kind,
            const std::string& name, const std::string& plane, Json spec) {
  Json metadata = {{"name", name}, {"namespace", description.namespace_}};
  if (!plane.empty()) metadata["labels"] = {{"monitoring", plane}};
  return {{"apiVersion", std::string("monitoring.coreos.com/") + version},
          {"kind", kind},
          {"metadata", std::move(metadata)},
          {"spec", std::move(spec)}};
}

Json prometheus(const Description& description, const std::string& plane) {
  const Json selector = {{"matchLabels", {{"monitoring", plane}}}};
  Json spec = {
      {"replicas", 2},
      {"scrapeInterval", text(description.interval)},
      {"evaluationInterval", text(description.interval)},
      {"externalLabels", {{"prometheus", plane}}},
      {"enableFeatures", {"exemplar-storage"}},
      {"serviceAccountName", "prometheus"},
      {"serviceMonitorSelector", selector},
      {"podMonitorSelector", selector},
      {"ruleSelector", selector},
      // In every namespace: an empty selector selects all.
      {"serviceMonitorNamespaceSelector", Json::object()},
      {"podMonitorNamespaceSelector", Json::object()},
      {"ruleNamespaceSelector", Json::object()},
      {"alerting",
       {{"alertmanagers",
         {{{"namespace", description.namespace_},
           {"name", "alertmanager-operated"},
           {"port", "web"}}}}}},
  };
  // Shards split targets by their address. Rules see one shard alone: beyond one, alerts belong
  // into what is written to remotely, or into a Prometheus that federates (docs/monitoring.md).
  if (plane == "data-plane" && description.shards > 1) spec["shards"] = description.shards;
  Json writes = Json::array();
  for (const auto& url : description.remote_write) writes.push_back({{"url", url}});
  if (!writes.empty()) spec["remoteWrite"] = std::move(writes);
  return object(description, "v1", "Prometheus", plane, "", std::move(spec));
}

Json sidecars(const Description& description) {
  return object(description, "v1", "PodMonitor", "graymesh-sidecars", "data-plane",
                {{"selector", {{"matchExpressions", {{{"key", "app"}, {"operator", "Exists"}}}}}},
                 {"namespaceSelector", {{"any", true}}},
                 {"sampleLimit", 50'000},
                 {"podMetricsEndpoints",
                  {{{"path", "/stats/prometheus"},
                    {"interval", text(description.interval)},
                    {"relabelings", to_json(pods(), Spelling::prometheus_operator)},
                    {"metricRelabelings",
                     to_json(metrics_of_sidecars(description), Spelling::prometheus_operator)}}}}});
}

Json control_plane(const Description& description) {
  return object(description, "v1", "ServiceMonitor", "graymeshd", "data-plane",
                {{"selector", {{"matchLabels", {{"app", "graymeshd"}}}}},
                 {"namespaceSelector", {{"any", true}}},
                 {"endpoints",
                  {{{"port", "http-monitoring"},
                    {"interval", text(description.interval)},
                    {"honorLabels", true},  // namespace and service are of what it tells about
                    {"relabelings", {{{"targetLabel", "job"}, {"replacement", "graymeshd"}}}}}}}});
}

}  // namespace

Files operator_objects(const Description& description) {
  Files out;
  for (const char* plane : planes)
    out.emplace_back(fmt::format("prometheus-{}.yaml", plane), prometheus(description, plane));
  out.emplace_back("podmonitor-sidecars.yaml", sidecars(description));
  out.emplace_back("servicemonitor-graymeshd.yaml", control_plane(description));
  for (auto& [name, rules] : rule_files(description)) {
    out.emplace_back("prometheusrule-" + name + ".yaml",
                     object(description, "v1", "PrometheusRule", "graymesh-" + name, name, rules));
  }
  // As the whole configuration, not as a part that sees one namespace only.
  out.emplace_back(
      "alertmanager.yaml",
      object(description, "v1", "Alertmanager", "graymesh", "",
             {{"replicas", 2}, {"alertmanagerConfiguration", {{"name", "graymesh"}}}}));
  out.emplace_back("alertmanagerconfig.yaml",
                   object(description, "v1alpha1", "AlertmanagerConfig", "graymesh", "",
                          alertmanager_config(description)));
  return out;
}

}  // namespace graymesh::monitoring
