// The same as objects of the prometheus-operator (monitoring.coreos.com): three Prometheus, an
// Alertmanager, and what they select by the label `monitoring`.
//
//   data-plane      PodMonitor graymesh-sidecars, ServiceMonitor graymeshd
//   infrastructure  ServiceMonitors of the Prometheus and the Alertmanager themselves; monitors of
//                   kubelet, nodes, kube-state-metrics, which are others'
//   business        ServiceMonitor graymesh-by-service, which federates; monitors of the teams, in
//                   every namespace
#include <fmt/core.h>

#include "monitoring/alertmanager.h"
#include "monitoring/relabel.h"
#include "monitoring/rules.h"

namespace graymesh::monitoring {
namespace {

constexpr const char* planes[] = {"data-plane", "infrastructure", "business"};
constexpr const char* account = "graymesh-prometheus";

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
      {"serviceAccountName", account},
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
  // Shards split targets by their address, and each evaluates the rules on its own callers
  // (docs/monitoring.md).
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
  Json relabelings = {{{"targetLabel", "job"}, {"replacement", "graymeshd"}}};
  // Rules join what it tells with what the sidecars do, and miss it where it is not.
  if (description.shards > 1)
    relabelings.push_back({{"targetLabel", "__tmp_disable_sharding"}, {"replacement", "true"}});
  return object(description, "v1", "ServiceMonitor", "graymeshd", "data-plane",
                {{"selector", {{"matchLabels", {{"app", "graymeshd"}}}}},
                 {"namespaceSelector", {{"any", true}}},
                 {"endpoints",
                  {{{"port", "http-monitoring"},
                    {"interval", text(description.interval)},
                    {"honorLabels", true},  // namespace and service are of what it tells about
                    {"relabelings", std::move(relabelings)}}}}});
}

// Of the Service that the operator makes for all of its Prometheus, or Alertmanagers, of a
// namespace: "prometheus", "alertmanager".
Json operated(const Description& description, const std::string& name, const std::string& plane,
              const std::string& program, Json endpoint) {
  endpoint["port"] = "web";
  endpoint["interval"] = text(description.interval);
  return object(description, "v1", "ServiceMonitor", name, plane,
                {{"selector", {{"matchLabels", {{"operated-" + program, "true"}}}}},
                 {"endpoints", {std::move(endpoint)}}});
}

Json own(const Description& description, const std::string& program) {
  return operated(description, "graymesh-" + program, "infrastructure", program,
                  {{"relabelings", {{{"targetLabel", "job"}, {"replacement", program}}}}});
}

// Of two replicas of the data plane one is enough.
Json by_service(const Description& description) {
  return operated(description, "graymesh-by-service", "business", "prometheus",
                  {{"path", "/federate"},
                   {"honorLabels", true},
                   {"params", {{"match[]", {by_service_series}}}},
                   {"relabelings",
                    {{{"sourceLabels", {"__meta_kubernetes_pod_name"}},
                      {"regex", "prometheus-data-plane-(?:shard-[0-9]+-)?0"},
                      {"action", "keep"}},
                     {{"targetLabel", "job"}, {"replacement", "mesh"}}}}});
}

// Who may ask Kubernetes what there is to scrape.
void add_account(const Description& description, Files& out) {
  constexpr const char* group = "rbac.authorization.k8s.io";
  const std::string version = std::string(group) + "/v1";
  const Json subject = {
      {"kind", "ServiceAccount"}, {"name", account}, {"namespace", description.namespace_}};
  const Json read = {"get", "list", "watch"};
  out.emplace_back("serviceaccount.yaml",
                   Json{{"apiVersion", "v1"},
                        {"kind", "ServiceAccount"},
                        {"metadata", {{"name", account}, {"namespace", description.namespace_}}}});
  out.emplace_back(
      "clusterrole.yaml",
      Json{{"apiVersion", version},
           {"kind", "ClusterRole"},
           {"metadata", {{"name", account}}},
           {"rules",
            {{{"apiGroups", {""}},
              {"resources", {"nodes", "nodes/metrics", "services", "endpoints", "pods"}},
              {"verbs", read}},
             {{"apiGroups", {"discovery.k8s.io"}},
              {"resources", {"endpointslices"}},
              {"verbs", read}},
             {{"nonResourceURLs", {"/metrics", "/metrics/cadvisor"}}, {"verbs", {"get"}}}}}});
  out.emplace_back(
      "clusterrolebinding.yaml",
      Json{{"apiVersion", version},
           {"kind", "ClusterRoleBinding"},
           {"metadata", {{"name", account}}},
           {"roleRef", {{"apiGroup", group}, {"kind", "ClusterRole"}, {"name", account}}},
           {"subjects", {subject}}});
}

}  // namespace

Files operator_objects(const Description& description) {
  Files out;
  add_account(description, out);
  for (const char* plane : planes)
    out.emplace_back(fmt::format("prometheus-{}.yaml", plane), prometheus(description, plane));
  out.emplace_back("podmonitor-sidecars.yaml", sidecars(description));
  out.emplace_back("servicemonitor-graymeshd.yaml", control_plane(description));
  for (const char* program : {"prometheus", "alertmanager"})
    out.emplace_back(fmt::format("servicemonitor-{}.yaml", program), own(description, program));
  out.emplace_back("servicemonitor-by-service.yaml", by_service(description));
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
